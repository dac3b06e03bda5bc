package inventorytest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
)

// keep commits a page.
func (s storeTest) keep(t *testing.T, tenant inventory.Tenant, p scan.KeptPage) inventory.Tenant {
	t.Helper()
	return s.commit(t, tenant, scan.Write{Page: &p})
}

// kept returns the pages of a scan.
func (s storeTest) kept(t *testing.T, scanID string) (pages []scan.KeptPage) {
	t.Helper()
	if err := s.Pages(t.Context(), scanID, func(number int, list inventory.List, apps []inventory.Application) error {
		pages = append(pages, scan.KeptPage{ScanID: scanID, Number: number, List: list, Applications: apps})
		return nil
	}); err != nil {
		t.Fatalf("Pages: %v", err)
	}
	return pages
}

func (s storeTest) pages(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	var want []scan.KeptPage
	id := inventory.ScanID(tenant.ID, "a")
	for i := range 12 {
		page := scan.KeptPage{ScanID: id, Number: i, List: inventory.Lists[i/3],
			Applications: []inventory.Application{{Key: inventory.Key{ClientID: NewID()}, Name: fmt.Sprint(i) + everyScript}}}
		tenant = s.keep(t, tenant, page)
		want = append(want, page)
		tenant = s.keep(t, tenant, scan.KeptPage{ScanID: inventory.ScanID(tenant.ID, "a-0"), Number: i}) // a name that begins alike
	}
	same(t, "the pages", s.kept(t, id), want)
	// A page that is kept again takes the place of the former one.
	want[3].List, want[3].Applications = inventory.Activity, nil
	s.keep(t, tenant, want[3])
	same(t, "the pages", s.kept(t, id), want)
}

func (s storeTest) largePage(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	page := scan.KeptPage{ScanID: inventory.ScanID(tenant.ID, "a"), List: inventory.Applications}
	for i := range 15 {
		page.Applications = append(page.Applications, LargeApplication(inventory.Key{TenantID: tenant.ID, ClientID: NewID()}, epoch, 100, i))
	}
	tenant = s.keep(t, tenant, page)
	same(t, "the large page", s.kept(t, page.ScanID), []scan.KeptPage{page})
	page.Applications[0].Name = "another one"
	tenant = s.keep(t, tenant, page)
	got := s.kept(t, page.ScanID)
	if len(got) != 1 {
		t.Fatalf("%d pages", len(got))
	}
	same(t, "the large page, kept again", got, []scan.KeptPage{page})
	if err := s.DropPages(t.Context(), tenant.ID, ""); err != nil || len(s.kept(t, page.ScanID)) != 0 {
		t.Errorf("dropping a large page: %v", err)
	}
}

func (s storeTest) dropPages(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	other := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	others := inventory.ScanID(other.ID, "a")
	s.keep(t, other, scan.KeptPage{ScanID: others})
	ids := []string{inventory.ScanID(tenant.ID, "a"), inventory.ScanID(tenant.ID, "ab"), inventory.ScanID(tenant.ID, "a-b")}
	left := func(want ...int) {
		t.Helper()
		got := []int{len(s.kept(t, ids[0])), len(s.kept(t, ids[1])), len(s.kept(t, ids[2]))}
		if !slices.Equal(got, want) || len(s.kept(t, others)) != 1 {
			t.Errorf("left are %v, want %v", got, want)
		}
	}
	for _, id := range ids {
		for i := range 3 {
			tenant = s.keep(t, tenant, scan.KeptPage{ScanID: id, Number: i})
		}
	}
	for _, drop := range []struct {
		keep string
		want []int
	}{{ids[0], []int{3, 0, 0}}, {ids[0], []int{3, 0, 0}}, {"", []int{0, 0, 0}}, {"", []int{0, 0, 0}}} {
		if err := s.DropPages(t.Context(), tenant.ID, drop.keep); err != nil {
			t.Fatalf("DropPages: %v", err)
		}
		left(drop.want...)
	}
}

func (s storeTest) finished(t *testing.T) {
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	var want []inventory.Scan
	for i := range 5 {
		done := fullScan(tenant.ID)
		done.ID, done.StartedAt = inventory.ScanID(tenant.ID, fmt.Sprint(i)), epoch.Add(time.Duration((i*3)%5)*time.Hour)
		tenant = s.commit(t, tenant, scan.Write{Finished: done})
		want = append(want, *done)
		got, err := s.Scan(t.Context(), done.ID)
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
		same(t, "the finished scan", got, done)
	}
	slices.SortFunc(want, func(a, b inventory.Scan) int { return b.StartedAt.Compare(a.StartedAt) })
	all, err := s.Scans(t.Context(), tenant.ID, 10)
	if err != nil {
		t.Fatalf("Scans: %v", err)
	}
	same(t, "the scans", all, want)
	two, err := s.Scans(t.Context(), tenant.ID, 2)
	if err != nil {
		t.Fatalf("Scans: %v", err)
	}
	same(t, "the newest two", two, want[:2])
	// The one under way is the tenant's, also where it has been finished before.
	tenant.Scan = &want[2]
	tenant.Scan.Phase = inventory.Failed
	s.commit(t, tenant, scan.Write{})
	got, err := s.Scan(t.Context(), want[2].ID)
	if err != nil || got.Phase != inventory.Failed {
		t.Errorf("the tenant's scan is %s, %v", got.Phase, err)
	}
}

func (s storeTest) pruneScans(t *testing.T) {
	other := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	s.commit(t, other, scan.Write{Finished: &inventory.Scan{ID: inventory.ScanID(other.ID, "a"), StartedAt: epoch}})
	tenant := s.commit(t, inventory.Tenant{ID: NewID()}, scan.Write{})
	for i := range 6 {
		tenant = s.commit(t, tenant, scan.Write{Finished: &inventory.Scan{
			ID: inventory.ScanID(tenant.ID, fmt.Sprint(i)), StartedAt: epoch.Add(time.Duration(i) * time.Hour)}})
	}
	for _, keep := range []int{10, 4, 4, 1, 0} {
		if err := s.PruneScans(t.Context(), tenant.ID, keep); err != nil {
			t.Fatalf("PruneScans: %v", err)
		}
		all, err := s.Scans(t.Context(), tenant.ID, 10)
		if err != nil || len(all) != min(6, keep) || keep > 0 && all[0].ID != inventory.ScanID(tenant.ID, "5") {
			t.Errorf("%d are kept, want %d, %v", len(all), keep, err)
		}
	}
	if all, err := s.Scans(t.Context(), other.ID, 10); err != nil || len(all) != 1 {
		t.Errorf("of the other tenant there are %d, %v", len(all), err)
	}
}
