package tablestore

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

// Tenant implements [scan.Store]. It costs one request.
func (v Inventory) Tenant(ctx context.Context, tenantID string) (inventory.Tenant, error) {
	if !inventory.ValidID(tenantID) {
		return inventory.Tenant{}, serviceerror.ErrNotFound // it could not have been stored
	}
	row, found, e := v.s.get(ctx, "reading a tenant", tenantPartition(tenantID), tenantKey(tenantID))
	if e != nil {
		return inventory.Tenant{}, e
	}
	if !found {
		return inventory.Tenant{}, serviceerror.ErrNotFound
	}
	return decodeTenant(row.Value, string(row.ETag))
}

func decodeTenant(row []byte, etag string) (inventory.Tenant, error) {
	const what = "a tenant"
	var t inventory.Tenant
	if err := decodeContent(what, row, &t); err != nil {
		return inventory.Tenant{}, err
	}
	if key, err := rowKey(row); err != nil || !inventory.ValidID(t.ID) || key != tenantKey(t.ID) {
		return inventory.Tenant{}, errNotItsKey(what)
	}
	t.Handle = inventory.Handle{ETag: etag, Wake: t.WakeAt}
	return t, nil
}

func errNotItsKey(what string) error {
	return errors.New("decoding " + what + ": it is not what its key says")
}

// Tenants implements [catalog.Store]. It costs a query for each partition.
func (v Inventory) Tenants(ctx context.Context) ([]inventory.Tenant, error) {
	const op = "listing tenants"
	return everywhere(math.MaxInt, func(shard int) ([]inventory.Tenant, error) {
		var all []inventory.Tenant
		unreadable := UnreadableError{op: op}
		err := v.s.scan(ctx, op, keyRange{shardKey(shard), tenantPrefix, tenantEnd}, "", maxPage, func(row []byte) (bool, error) {
			t, err := decodeTenant(row, "")
			if err != nil {
				unreadable.add(err)
				return true, nil
			}
			all = append(all, t)
			return true, nil
		})
		return all, errors.Join(err, unreadable.result())
	}, func(a, b inventory.Tenant) int { return cmp.Compare(a.ID, b.ID) })
}

// Commit implements [scan.Store]. It costs one transaction, and one request more for each further
// row of a page that one row cannot hold. Those are written before: if Rekey dies there, no page
// names them, and they go with the pages of their scan.
func (v Inventory) Commit(ctx context.Context, t inventory.Tenant, w scan.Write) (inventory.Tenant, error) {
	const op = "committing a tenant"
	t.WakeAt = roundUp(t.WakeAt)
	if e := checkCommit(op, t, w); e != nil {
		return t, e
	}
	c, parts, e := v.newCommit(op, t, w)
	if e != nil {
		return t, e
	}
	for _, part := range parts {
		if _, e := v.s.submit(ctx, part); e != nil {
			return t, e
		}
	}
	etag, err := v.attempt(ctx, c, false)
	if err != nil {
		return t, err
	}
	if etag == "" {
		etag = v.readBack(ctx, t)
	}
	t.Handle = inventory.Handle{ETag: etag, Wake: t.WakeAt}
	return t, nil
}

// checkCommit refuses what would not lie among the tenant's own rows.
func checkCommit(op string, t inventory.Tenant, w scan.Write) *serviceerror.Error {
	of := func(scanID string) bool {
		tenantID, ok := inventory.TenantOfScan(scanID)
		return ok && tenantID == t.ID
	}
	fail := func(detail string) *serviceerror.Error { return refused(op, "OutOfRangeInput", detail) }
	switch {
	case !inventory.ValidID(t.ID):
		return fail("a tenant's id is a GUID in lower case")
	case !t.WakeAt.IsZero() && (t.WakeAt.Year() < 1 || t.WakeAt.Year() > 9999):
		return fail("the wake-up is not in the years 1 to 9999")
	case w.Page != nil && (!of(w.Page.ScanID) || w.Page.Number < 0 || w.Page.Number >= maxPages),
		w.Finished != nil && !of(w.Finished.ID), w.Notice != nil && w.Notice.TenantID != t.ID:
		return fail("what goes with a commit is of the same tenant")
	}
	return nil
}

// tenantCommit is a commit of a tenant.
type tenantCommit struct {
	op     string
	tenant inventory.Tenant
	row    map[string]any
	others []row // beside the tenant's own and its due row: they are written whatever is there
}

type row struct {
	key        string
	properties map[string]any
}

// newCommit puts together what a commit writes; parts are what has to be there before it.
func (v Inventory) newCommit(op string, t inventory.Tenant, w scan.Write) (c tenantCommit, parts []*transaction, e *serviceerror.Error) {
	c = tenantCommit{op: op, tenant: t}
	if c.row, e = encodeRow(op, t); e != nil {
		return c, nil, e
	}
	if w.Page != nil {
		rows, e := pageRows(op, *w.Page)
		if e != nil {
			return c, nil, e
		}
		c.others = append(c.others, rows[0])
		for _, r := range rows[1:] {
			part := newTransaction(op, tenantPartition(t.ID))
			part.add(aztables.TransactionTypeInsertReplace, r.key, "", r.properties)
			parts = append(parts, part)
		}
	}
	if w.Finished != nil {
		properties, e := encodeRow(op, w.Finished)
		if e != nil {
			return c, nil, e
		}
		c.others = append(c.others, row{scanKey(t.ID, w.Finished.ID, w.Finished.StartedAt), properties})
	}
	if w.Notice != nil && v.s.notices {
		c.others = append(c.others, inventoryNotice(t, *w.Notice))
	}
	return c, parts, nil
}

// inventoryNotice is the row of a notice: as those of connections (see addNotices), under the
// tenant's id in the due index, so that the notices of a tenant are delivered in order.
func inventoryNotice(t inventory.Tenant, n scan.Notice) row {
	return row{noticeKey(n.At, inventory.DueID(t.ID), t.Version, 0), map[string]any{
		"tenantId": n.TenantID, "via": n.ConnectionID, "scanId": n.ScanID, "kind": n.Kind,
		"at": n.At.UTC().Format(time.RFC3339Nano), "message": clip(n.Message),
	}}
}

// clip shortens text to what a property holds, whatever it consists of: a character has two
// units of UTF-16 at most.
func clip(text string) string {
	const most = maxPropertyBytes / 4
	if len(text) <= most {
		return text
	}
	for n := most; ; n-- {
		if utf8.RuneStart(text[n]) {
			return text[:n]
		}
	}
}

// attempt sends the transaction, and once more without deleting the old due row if that is what
// was not there: a row that a person deleted must not block the tenant's scans (see drift).
func (v Inventory) attempt(ctx context.Context, c tenantCommit, oldGone bool) (etag string, err error) {
	etags, e := v.s.submit(ctx, c.transaction(oldGone))
	switch {
	case e == nil:
		return etags[0], nil
	case e.Status == http.StatusPreconditionFailed:
		return "", serviceerror.ErrConflict
	case e.Status != http.StatusNotFound && e.Status != http.StatusConflict || e.Code == string(aztables.TableNotFound):
		return "", e
	case oldGone || c.tenant.Handle.ETag == "":
		return "", serviceerror.ErrConflict
	}
	op, partition := c.op+": looking for drift", tenantPartition(c.tenant.ID)
	tenant, found, e := v.s.get(ctx, op, partition, tenantKey(c.tenant.ID))
	if e != nil {
		return "", e
	}
	if !found || string(tenant.ETag) != c.tenant.Handle.ETag {
		return "", serviceerror.ErrConflict
	}
	return v.attempt(ctx, c, true)
}

// transaction puts c together. The tenant's row comes first, so that a failure of its condition is
// what the service reports.
func (c *tenantCommit) transaction(oldGone bool) *transaction {
	t := newTransaction(c.op, tenantPartition(c.tenant.ID))
	kind := aztables.TransactionTypeUpdateReplace
	if c.tenant.Handle.ETag == "" {
		kind = aztables.TransactionTypeAdd
	}
	t.add(kind, tenantKey(c.tenant.ID), c.tenant.Handle.ETag, c.row)
	id := inventory.DueID(c.tenant.ID)
	if was, is := roundUp(c.tenant.Handle.Wake), c.tenant.WakeAt; !was.Equal(is) {
		if !was.IsZero() && !oldGone {
			t.add(aztables.TransactionTypeDelete, dueKey(was, id), string(azcore.ETagAny), nil)
		}
		if !is.IsZero() {
			t.add(aztables.TransactionTypeInsertReplace, dueKey(is, id), "", nil)
		}
	}
	for _, r := range c.others {
		t.add(aztables.TransactionTypeInsertReplace, r.key, "", r.properties)
	}
	return t
}

// readBack returns the ETag of a tenant's row if the row is still as this commit left it (see
// [Store.readBack]).
func (v Inventory) readBack(ctx context.Context, t inventory.Tenant) string {
	is, err := v.Tenant(ctx, t.ID)
	if err != nil {
		return ""
	}
	ours, e1 := encodeContent("", t)
	theirs, e2 := encodeContent("", is)
	if e1 != nil || e2 != nil || string(ours) != string(theirs) {
		return ""
	}
	return is.Handle.ETag
}
