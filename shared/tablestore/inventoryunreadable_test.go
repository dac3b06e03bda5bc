package tablestore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rekey/shared/emulator/table"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
	"rekey/shared/tablestore"
)

// A row that can't be read hides no other, and the next scan writes it anew. A row of a newer
// schema is left alone.
func TestUnreadableInventory(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	v, tenantID := f.Inventory(), inventorytest.NewID()
	apps := population(tenantID, 20)
	if _, err := v.Put(t.Context(), apps, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := v.Accept(t.Context(), apps[i].Key, func([]inventory.Acceptance) ([]inventory.Acceptance, error) {
			return []inventory.Acceptance{{Reason: "r"}}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	f.spoil(t, "app-"+tenantID+"-"+apps[0].ClientID, "z00", "hush")
	f.spoil(t, "app-"+tenantID+"-"+apps[1].ClientID+"-accepted", "z00", "hush")
	f.spoil(t, "app-"+tenantID+"-"+apps[2].ClientID, "schema", 99)
	f.spoil(t, "app-"+tenantID+"-"+apps[3].ClientID, "schema", "hush")
	list := func() (rows map[string]catalog.Row, left int) {
		t.Helper()
		rows = map[string]catalog.Row{}
		err := v.Rows(t.Context(), tenantID, func(r catalog.Row) error {
			rows[r.ClientID] = r
			return nil
		})
		unreadable, ok := errors.AsType[*tablestore.UnreadableError](err)
		if err != nil && !ok || err != nil && strings.Contains(err.Error(), "hush") {
			t.Fatalf("Rows: %v", err)
		}
		if ok {
			left = unreadable.LeftOut()
		}
		return rows, left
	}
	if rows, left := list(); len(rows) != 17 || left != 4 || len(rows[apps[1].ClientID].Accepted) != 0 {
		t.Errorf("%d rows, %d left out", len(rows), left)
	}
	for i, want := range []error{nil, nil, serviceerror.ErrNewerSchema, nil} {
		row, err := v.Row(t.Context(), apps[i].Key)
		if err == nil || want != nil && !errors.Is(err, want) || strings.Contains(err.Error(), "hush") || (row.ClientID != "") != (i == 1) {
			t.Errorf("row %d is of %q, %v", i, row.ClientID, err)
		}
	}
	for _, write := range [][]inventory.Application{apps, apps[2:3]} {
		if _, err := v.Put(t.Context(), write, nil); !errors.Is(err, serviceerror.ErrNewerSchema) {
			t.Errorf("Put over a newer schema: %v", err)
		}
	}
	if _, err := v.Put(t.Context(), nil, []inventory.Key{apps[2].Key}); !errors.Is(err, serviceerror.ErrNewerSchema) {
		t.Errorf("deleting a newer schema: %v", err)
	}
	if _, err := v.Put(t.Context(), append(slices.Clone(apps[:2]), apps[3:]...), nil); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if rows, left := list(); len(rows) != 19 || left != 2 || len(rows[apps[0].ClientID].Accepted) != 1 {
		t.Errorf("%d rows, %d left out", len(rows), left)
	}
}

func TestUnreadableTenants(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	v := f.Inventory()
	tenants := make([]inventory.Tenant, 4)
	for i := range tenants {
		var err error
		id := inventorytest.NewID()
		if tenants[i], err = v.Commit(t.Context(), inventory.Tenant{ID: id, Version: 1}, scan.Write{
			Page:     &scan.KeptPage{ScanID: inventory.ScanID(id, "a"), Applications: population(id, 3)},
			Finished: &inventory.Scan{ID: inventory.ScanID(id, "a")},
		}); err != nil {
			t.Fatal(err)
		}
	}
	f.spoil(t, "tenant-"+tenants[0].ID, "schema", 99)
	f.spoil(t, "tenant-"+tenants[1].ID, "z00", "hush")
	f.spoil(t, "scanpage-"+tenants[2].ID+"-a-000000", "z00", "hush")
	f.spoil(t, "scan-"+tenants[2].ID+"-1062135596800-a", "z00", "hush")
	if _, err := v.Tenant(t.Context(), tenants[0].ID); !errors.Is(err, serviceerror.ErrNewerSchema) {
		t.Errorf("a newer tenant: %v", err)
	}
	if _, err := v.Tenant(t.Context(), tenants[1].ID); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a spoilt tenant: %v", err)
	}
	all, err := v.Tenants(t.Context())
	if unreadable, ok := errors.AsType[*tablestore.UnreadableError](err); len(all) != 2 || !ok || unreadable.LeftOut() < 1 {
		t.Errorf("%d tenants, %v", len(all), err)
	}
	noVisit := func(int, inventory.List, []inventory.Application) error {
		t.Error("a page that can't be read was visited")
		return nil
	}
	if err := v.Pages(t.Context(), inventory.ScanID(tenants[2].ID, "a"), noVisit); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a spoilt page: %v", err)
	}
	scans, err := v.Scans(t.Context(), tenants[2].ID, 10)
	if unreadable, ok := errors.AsType[*tablestore.UnreadableError](err); len(scans) != 0 || !ok || unreadable.LeftOut() != 1 {
		t.Errorf("%d scans, %v", len(scans), err)
	}
}

// spoil changes a property of a row behind the store's back.
func (f *fixture) spoil(t *testing.T, rowKey, name string, value any) {
	t.Helper()
	r := f.row(t, rowKey)
	for property, v := range r.Properties { // of a binary property only its text is known here
		if text, ok := v.(string); ok {
			r.Properties[property+"@odata.type"], r.Properties[property] = "Edm.Binary", text
		}
	}
	delete(r.Properties, name+"@odata.type")
	r.Properties[name] = value
	if err := f.service.Load([]table.Row{r}); err != nil {
		t.Fatal(err)
	}
}
