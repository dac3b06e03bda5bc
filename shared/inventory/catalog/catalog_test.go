package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
)

const (
	day    = 24 * time.Hour
	tenant = "11111111-0000-4000-8000-000000000001"
	other  = "22222222-0000-4000-8000-000000000002"
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// deployment is a catalog on a store in memory, which counts what it is asked.
type deployment struct {
	*catalog.Catalog
	store    *inventorytest.MemoryStore
	managers *managers
	scanner  *scanner
	now      time.Time
	log      bytes.Buffer

	mu    sync.Mutex
	calls map[string]int
}

func newDeployment(t *testing.T, tenants ...string) *deployment {
	t.Helper()
	d := &deployment{now: start, calls: map[string]int{}, managers: &managers{known: true}, scanner: &scanner{}}
	d.store = &inventorytest.MemoryStore{Hook: func(call string, do func() error) error {
		d.mu.Lock()
		d.calls[call]++
		d.mu.Unlock()
		return do()
	}}
	d.managers.d = d
	d.Catalog = &catalog.Catalog{
		Store: d.store, Managers: d.managers, Scanner: d.scanner, Deployment: "test", Now: func() time.Time { return d.now },
		Log: slog.New(slog.NewTextHandler(&d.log, nil)),
	}
	for _, id := range tenants {
		d.commit(t, inventory.Tenant{ID: id, ConnectionID: id, Daily: true, AsOf: start, Version: 1, Longest: 400 * day})
	}
	return d
}

func (d *deployment) commit(t *testing.T, tenant inventory.Tenant, finished ...inventory.Scan) {
	t.Helper()
	for i := range finished {
		var err error
		if tenant, err = d.store.Commit(t.Context(), tenant, scan.Write{Finished: &finished[i]}); err != nil {
			t.Fatal(err)
		}
		tenant.Version++
	}
	if _, err := d.store.Commit(t.Context(), tenant, scan.Write{}); err != nil {
		t.Fatal(err)
	}
}

// put writes applications.
func (d *deployment) put(t *testing.T, apps ...inventory.Application) {
	t.Helper()
	if _, err := d.store.Put(t.Context(), apps, nil); err != nil {
		t.Fatal(err)
	}
}

// counted are the calls that f makes.
func (d *deployment) counted(f func()) map[string]int {
	before := maps.Clone(d.calls)
	f()
	after := maps.Clone(d.calls)
	for call, n := range before {
		if after[call] -= n; after[call] == 0 {
			delete(after, call)
		}
	}
	return after
}

// managers are those of applications by client id.
type managers struct {
	d     *deployment
	by    map[string][]inventory.Manager
	known bool
}

func (m *managers) Of(_ context.Context, apps []inventory.Application) (map[inventory.Key][]inventory.Manager, bool, error) {
	m.d.calls["Of"]++
	found := map[inventory.Key][]inventory.Manager{}
	for _, a := range apps {
		found[a.Key] = m.by[a.ClientID]
	}
	return found, m.known, nil
}

func (m *managers) All(context.Context, string) (map[string][]inventory.Manager, bool, error) {
	m.d.calls["All"]++
	return m.by, m.known, nil
}

// scanner begins scans by name.
type scanner struct {
	asked []catalog.Request
	err   error
}

func (s *scanner) Request(_ context.Context, in catalog.Request) (inventory.Scan, error) {
	s.asked = append(s.asked, in)
	return inventory.Scan{ID: inventory.ScanID(in.TenantID, in.Random), ConnectionID: in.ConnectionID, Phase: inventory.Reading}, s.err
}

// numbered is the id of something by its number.
func numbered(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// app is an application whose client secrets end in so many days; 0: never.
func app(tenantID string, n int, days ...float64) inventory.Application {
	a := inventory.Application{
		Key: inventory.Key{TenantID: tenantID, ClientID: numbered(n)}, ObjectID: numbered(n), Name: fmt.Sprintf("app %d", n),
		Owners:    []inventory.Owner{{ID: numbered(900_000 + n), Name: "Ada Lovelace", PrincipalName: "ada@contoso.com"}},
		ChangedAt: start.Add(-day),
	}
	for i, d := range days {
		c := inventory.Credential{KeyID: numbered(1000*n + i), Kind: inventory.ClientSecret, Holder: inventory.Registration,
			StartsAt: start.Add(-90 * day)}
		if d != 0 {
			c.EndsAt = start.Add(time.Duration(d * float64(day)))
		}
		a.Credentials = append(a.Credentials, c)
	}
	return a
}

// crowd is a tenant's applications of every sort, from a seed.
func crowd(tenantID string, seed uint64, n int) []inventory.Application {
	r := rand.New(rand.NewPCG(seed, 1))
	var all []inventory.Application
	for i := range n {
		var days []float64
		for range []int{0, 1, 1, 1, 2, 3, 12}[r.IntN(7)] {
			switch r.IntN(6) {
			case 0:
				days = append(days, 0)
			case 1:
				days = append(days, -float64(r.IntN(400))-0.5)
			case 2:
				days = append(days, float64(1+r.IntN(3))) // many at the same moment
			default:
				days = append(days, r.Float64()*300)
			}
		}
		a := app(tenantID, i+1, days...)
		if r.IntN(4) == 0 {
			a.Owners = nil
		}
		if r.IntN(5) == 0 {
			a.Name = "Straße ΣΊΣΥΦΟΣ"
		}
		all = append(all, a)
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// pages lists everything that a query asks for, and returns it with the number of pages.
func (d *deployment) pages(t *testing.T, q catalog.Query) (all []catalog.Item, pages int) {
	t.Helper()
	for {
		p, err := d.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Limit > 0 && len(p.Items) > q.Limit {
			t.Fatalf("a page of %d, limit %d", len(p.Items), q.Limit)
		}
		all, pages = append(all, p.Items...), pages+1
		if q.Cursor = p.Next; q.Cursor == "" {
			return all, pages
		}
		if pages > 10_000 {
			t.Fatal("the pages do not end")
		}
	}
}

func names(items []catalog.Item) (all []string) {
	for _, i := range items {
		all = append(all, i.TenantID[:2]+i.ClientID[len(i.ClientID)-6:])
	}
	return all
}

// refused fails unless err is one for the caller, of that kind and with these words.
func refused(t *testing.T, err error, kind connection.Kind, says string) {
	t.Helper()
	e, ok := errors.AsType[*connection.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Message, says) {
		t.Errorf("%v, want %s: %s", err, kind, says)
	}
}

// want are the names of what a list should have, as one that has all of it in memory makes it.
func (d *deployment) want(q catalog.Query, keep func(*catalog.Item) bool, apps ...inventory.Application) []string {
	var items []catalog.Item
	for _, a := range apps {
		item, _, err := d.Get(context.Background(), a.Key)
		if err != nil {
			panic(err)
		}
		at := item.EndsAt
		if at.IsZero() {
			at = catalog.Never
		}
		if !at.Before(q.EndsAfter) && (q.EndsBefore.IsZero() || at.Before(q.EndsBefore)) && (keep == nil || keep(&item)) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b catalog.Item) int {
		return catalog.Place(&a.Application, d.now).Compare(catalog.Place(&b.Application, d.now))
	})
	return names(items)
}
