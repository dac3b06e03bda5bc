package catalog_test

import (
	"context"
	"errors"
	"testing"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/serviceerror"
)

var unavailable = &serviceerror.Error{Op: "reading a row", Class: serviceerror.Transient, Status: 503}

// damaged is a store that can read all rows but one, and says so.
type damaged struct {
	catalog.Store
	err error
}

func (s *damaged) Row(ctx context.Context, key inventory.Key) (catalog.Row, error) {
	if key.ClientID == numbered(2) {
		return catalog.Row{}, errors.New("decoding an application: it is none")
	}
	return s.Store.Row(ctx, key)
}

func (s *damaged) Rows(ctx context.Context, tenantID string, visit func(catalog.Row) error) error {
	err := s.Store.Rows(ctx, tenantID, func(row catalog.Row) error {
		if row.ClientID == numbered(2) {
			return nil
		}
		return visit(row)
	})
	return errors.Join(err, s.err)
}

// everything are the errors of one call each.
func (d *deployment) everything(t *testing.T) (all []error) {
	t.Helper()
	ctx, key := t.Context(), inventory.Key{TenantID: tenant, ClientID: numbered(1)}
	_, err := d.List(ctx, catalog.Query{})
	all = append(all, err)
	_, err = d.List(ctx, catalog.Query{TenantID: tenant, Text: "app"})
	all = append(all, err)
	_, _, err = d.Get(ctx, key)
	all = append(all, err)
	_, err = d.Summarize(ctx, "")
	all = append(all, err)
	_, _, err = d.Accept(ctx, key, accepting(inventory.EndsIn7Days, ""))
	all = append(all, err)
	_, err = d.Scans(ctx, tenant, 5)
	all = append(all, err)
	_, err = d.RequestScan(ctx, catalog.Request{TenantID: tenant, ConnectionID: tenant, Random: "again"})
	return append(all, err)
}

// accepting accepts a finding for a month.
func accepting(kind inventory.FindingKind, keyID string) catalog.Acceptance {
	return catalog.Acceptance{Kind: kind, KeyID: keyID, Reason: "it is replaced in August", Until: start.Add(30 * day), By: "boss",
		Caller: "boss", From: "192.0.2.7"}
}

func (d *deployment) accept(t *testing.T, key inventory.Key, kind inventory.FindingKind, keyID string) catalog.Item {
	t.Helper()
	item, _, err := d.Accept(t.Context(), key, accepting(kind, keyID))
	if err != nil {
		t.Fatal(err)
	}
	return item
}
