package inventorytest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// everyScript is text that travels badly.
const everyScript = "text <&\"'\\\u0000\u2028ü€😀"

// fullScan is a scan with something in every member, and as many changes as there may be.
func fullScan(tenantID string) *inventory.Scan {
	at := epoch.Add(123456700 * time.Nanosecond)
	unread := inventory.Unread{List: inventory.Activity, Class: serviceerror.Permission, Message: everyScript}
	s := &inventory.Scan{
		ID: inventory.ScanID(tenantID, "0f3a"), ConnectionID: "one", Trigger: rotation.OnRequest, RequestedBy: "user:" + everyScript,
		StartedAt: at, FinishedAt: at.Add(time.Hour), Phase: inventory.Writing, List: inventory.Principals,
		Cursor: "https://graph.microsoft.com/v1.0/servicePrincipals?$skiptoken=" + strings.Repeat("x", 4000), Pages: 7,
		Unread: []inventory.Unread{unread}, Longest: 180 * 24 * time.Hour, Failures: 2, Problem: &unread, Calls: 12, Rows: 34,
		Result: &inventory.Result{
			Applications: 1, Credentials: 2, Federated: 3, Added: 4, Changed: 5, Gone: 6, MoreChanges: 7,
			Findings: map[inventory.FindingKind]int{inventory.Expired: 1}, Arisen: map[inventory.FindingKind]int{inventory.Orphan: 2},
		},
	}
	for i := range inventory.MaxChanges {
		s.Result.Changes = append(s.Result.Changes, inventory.Change{Key: inventory.Key{TenantID: tenantID, ClientID: NewID()},
			Name: fmt.Sprint(i) + Scripts(inventory.MaxText-3, i), Kind: inventory.FindingArisen, KeyID: NewID(), Finding: inventory.Ownerless})
	}
	return s
}

// Scripts returns n characters of three bytes that hardly compress; another text for each seed.
func Scripts(n, seed int) string {
	const first, last = 0x4e00, 0x9fff
	out := make([]rune, n)
	x := uint64(seed)*2862933555777941757 + 3037000493
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = first + rune(x>>33%(last-first+1))
	}
	return string(out)
}

func fullTenant() inventory.Tenant {
	id := NewID()
	return inventory.Tenant{
		ID: id, ConnectionID: "one", Daily: true, WakeAt: epoch, Lease: rotation.Lease{Token: "l", Until: epoch.Add(time.Minute)},
		Scan: fullScan(id), AsOf: epoch.Add(-24 * time.Hour),
		Unread:  []inventory.Unread{{List: inventory.FederatedIDs, Class: serviceerror.Throttled, Message: "m"}},
		Longest: time.Hour, Version: 41,
	}
}

func (s storeTest) everyField(t *testing.T) {
	want := s.commit(t, fullTenant(), scan.Write{})
	if want.Handle.ETag == "" || !want.Handle.Wake.Equal(epoch) {
		t.Errorf("handle %+v", want.Handle)
	}
	got := s.tenant(t, want.ID)
	same(t, "the tenant", got, want)
	if got.Handle != want.Handle || got.Version != 42 {
		t.Errorf("handle %+v, want %+v, version %d", got.Handle, want.Handle, got.Version)
	}
	empty := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	same(t, "a tenant with nothing in it", s.tenant(t, empty.ID), empty)
	got.Scan, got.WakeAt = nil, time.Time{}
	got = s.commit(t, got, scan.Write{})
	same(t, "the tenant without its scan", s.tenant(t, got.ID), got)
}

func (s storeTest) missing(t *testing.T) {
	for _, id := range []string{NewID(), "", "x", "a/b", strings.ToUpper(NewID()) + "A", NewID() + "' or '"} {
		_, err := s.Tenant(t.Context(), id)
		wantError(t, "Tenant "+id, err, serviceerror.ErrNotFound)
		_, err = s.Row(t.Context(), inventory.Key{TenantID: id, ClientID: NewID()})
		wantError(t, "Row of tenant "+id, err, serviceerror.ErrNotFound)
		_, err = s.Row(t.Context(), inventory.Key{TenantID: NewID(), ClientID: id})
		wantError(t, "Row of application "+id, err, serviceerror.ErrNotFound)
		for _, scanID := range []string{id, inventory.ScanID(id, "x"), inventory.ScanID(NewID(), id)} {
			_, err = s.Scan(t.Context(), scanID)
			wantError(t, "Scan "+scanID, err, serviceerror.ErrNotFound)
			wantError(t, "Pages", s.Pages(t.Context(), scanID, nil), nil)
		}
		all, err := s.Scans(t.Context(), id, 10)
		if err != nil || len(all) != 0 || len(s.rows(t, id)) != 0 {
			t.Errorf("of the tenant %q there are %v, %v", id, all, err)
		}
		wantError(t, "PruneScans", s.PruneScans(t.Context(), id, 0), nil)
		wantError(t, "DropPages", s.DropPages(t.Context(), id, ""), nil)
	}
}

func (s storeTest) createTwice(t *testing.T) {
	first := s.commit(t, inventory.Tenant{ID: NewID(), ConnectionID: "first"}, scan.Write{})
	_, err := s.Commit(t.Context(), inventory.Tenant{ID: first.ID, ConnectionID: "second", Version: 1, WakeAt: epoch}, scan.Write{})
	wantError(t, "Commit", err, serviceerror.ErrConflict)
	same(t, "the tenant", s.tenant(t, first.ID), first)
}

func (s storeTest) stale(t *testing.T) {
	old := s.commit(t, inventory.Tenant{ID: NewID(), WakeAt: epoch}, scan.Write{})
	is := old
	is.WakeAt = epoch.Add(time.Hour)
	is = s.commit(t, is, scan.Write{})
	for _, wake := range []time.Time{epoch, is.WakeAt, epoch.Add(2 * time.Hour), {}} {
		old.WakeAt, old.Version = wake, 2
		_, err := s.Commit(t.Context(), old, scan.Write{})
		wantError(t, "Commit", err, serviceerror.ErrConflict)
	}
	same(t, "the tenant", s.tenant(t, is.ID), is)
	never := inventory.Tenant{ID: NewID(), Handle: old.Handle}
	_, err := s.Commit(t.Context(), never, scan.Write{})
	wantError(t, "Commit of a tenant that is not there", err, serviceerror.ErrConflict)
}

func (s storeTest) race(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		next := tenant
		next.Version, next.WakeAt = 2, epoch.Add(time.Duration(i)*time.Minute)
		all.Go(func() { _, errs[i] = s.Commit(t.Context(), next, scan.Write{}) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantError(t, "a loser's Commit", err, serviceerror.ErrConflict)
		}
	}
	if won != 1 || len(s.wakes(t, epoch.Add(time.Hour), tenant.ID)) != 1 {
		t.Errorf("%d of %d commits have won", won, len(errs))
	}
}

// wakes returns when tenants are due up to until, as the store orders them.
func (s storeTest) wakes(t *testing.T, until time.Time, tenantIDs ...string) []index.Due {
	t.Helper()
	all, err := s.Due(t.Context(), until, 1000)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return slices.DeleteFunc(all, func(d index.Due) bool {
		tenantID, ok := inventory.ParseDueID(d.ID)
		return !ok || !slices.Contains(tenantIDs, tenantID)
	})
}

func (s storeTest) due(t *testing.T) {
	tenant := inventory.Tenant{ID: NewID()}
	for i, wake := range []time.Time{
		epoch, epoch.Add(time.Minute), epoch.Add(time.Minute), epoch.Add(time.Minute - 100*time.Millisecond), {}, {},
		epoch.Add(time.Nanosecond).In(time.FixedZone("", 3600)), epoch,
	} {
		tenant.WakeAt = wake
		tenant = s.commit(t, tenant, scan.Write{})
		got := s.wakes(t, epoch.Add(time.Hour), tenant.ID)
		if wake.IsZero() {
			if len(got) != 0 || !tenant.WakeAt.IsZero() {
				t.Fatalf("move %d: %v is due, want nothing", i, got)
			}
			continue
		}
		want := wake.Add(time.Second - time.Nanosecond).UTC().Truncate(time.Second)
		if len(got) != 1 || got[0].Wake != want || tenant.WakeAt != want || tenant.Handle.Wake != want || s.tenant(t, tenant.ID).WakeAt != want {
			t.Fatalf("move %d to %v: due is %v, the tenant's %v", i, wake, got, tenant.WakeAt)
		}
	}
	if got := s.wakes(t, epoch.Add(-time.Nanosecond), tenant.ID); len(got) != 0 {
		t.Errorf("%v is due too early", got)
	}
}

func (s storeTest) tenants(t *testing.T) {
	var want []inventory.Tenant
	for range 20 { // more than there are partitions
		want = append(want, s.commit(t, inventory.Tenant{ID: NewID(), ConnectionID: "c"}, scan.Write{}))
	}
	slices.SortFunc(want, func(a, b inventory.Tenant) int { return strings.Compare(a.ID, b.ID) })
	all, err := s.Tenants(t.Context())
	if err != nil {
		t.Fatalf("Tenants: %v", err)
	}
	got := slices.DeleteFunc(all, func(a inventory.Tenant) bool {
		return !slices.ContainsFunc(want, func(b inventory.Tenant) bool { return a.ID == b.ID })
	})
	same(t, "the tenants", got, want)
}

// told returns the notices of a tenant.
func (s storeTest) told(t *testing.T, tenantID string) []scan.Notice {
	t.Helper()
	return slices.DeleteFunc(s.Told(t), func(n scan.Notice) bool { return n.TenantID != tenantID })
}

func (s storeTest) together(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	stale := tenant
	tenant = s.commit(t, tenant, scan.Write{})
	done := fullScan(tenant.ID)
	w := scan.Write{
		Page:     &scan.KeptPage{ScanID: inventory.ScanID(tenant.ID, "p"), Number: 0, List: inventory.Activity},
		Finished: done,
		Notice: &scan.Notice{TenantID: tenant.ID, ConnectionID: "conn", ScanID: done.ID, At: epoch.Add(time.Nanosecond),
			Kind: history.InventoryFindings, Message: everyScript},
	}
	stale.Version, stale.WakeAt = 2, epoch
	_, err := s.Commit(t.Context(), stale, w)
	wantError(t, "Commit", err, serviceerror.ErrConflict)
	for _, want := range []int{0, 1} {
		if want == 1 {
			tenant.WakeAt = epoch
			tenant = s.commit(t, tenant, w)
		}
		pages := 0
		if err := s.Pages(t.Context(), w.Page.ScanID, func(int, inventory.List, []inventory.Application) error {
			pages++
			return nil
		}); err != nil {
			t.Fatalf("Pages: %v", err)
		}
		scans, err := s.Scans(t.Context(), tenant.ID, 10)
		if told, due := s.told(t, tenant.ID), s.wakes(t, epoch, tenant.ID); err != nil || pages != want || len(scans) != want ||
			len(told) != want || len(due) != want {
			t.Fatalf("%d pages, %d scans, %d notices, %d wake-ups, want %d of each, %v", pages, len(scans), len(told), len(due), want, err)
		}
	}
	same(t, "the notice", s.told(t, tenant.ID)[0], w.Notice)
}

func (s storeTest) foreign(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	tenant.Version++
	other := inventory.ScanID(NewID(), "x")
	for name, w := range map[string]scan.Write{
		"a page":             {Page: &scan.KeptPage{ScanID: other}},
		"a page below zero":  {Page: &scan.KeptPage{ScanID: inventory.ScanID(tenant.ID, "x"), Number: -1}},
		"a page of no scan":  {Page: &scan.KeptPage{ScanID: tenant.ID}},
		"a scan":             {Finished: &inventory.Scan{ID: other}},
		"a notice":           {Notice: &scan.Notice{TenantID: NewID()}},
		"a page of odd name": {Page: &scan.KeptPage{ScanID: inventory.ScanID(tenant.ID, "a/b")}},
	} {
		if _, err := s.Commit(t.Context(), tenant, w); serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"", "one", strings.ToUpper(NewID()) + "A"} {
		if _, err := s.Commit(t.Context(), inventory.Tenant{ID: id}, scan.Write{}); serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("tenant %q: %v", id, err)
		}
	}
}
