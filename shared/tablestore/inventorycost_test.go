package tablestore_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotationtest"
	"rekey/shared/tablestore"
)

// population returns applications with three credentials each, of which one never ends. Their
// client ids are the same each time, and so are the partitions that they lie in.
func population(tenantID string, n int) []inventory.Application {
	apps := make([]inventory.Application, n)
	for i := range apps {
		app := inventory.Application{Key: inventory.Key{TenantID: tenantID, ClientID: fmt.Sprintf("%08x-0000-4000-8000-00000000000a", i)},
			ObjectID: inventorytest.NewID(), PrincipalID: inventorytest.NewID(), Name: fmt.Sprint("application ", i), Audience: "AzureADMyOrg",
			CreatedAt:   epoch,
			Owners:      []inventory.Owner{{ID: inventorytest.NewID(), Kind: "user", Name: "Ada", PrincipalName: "ada@example.com"}},
			FirstSeenAt: epoch, ChangedAt: epoch}
		for j := range 3 {
			c := inventory.Credential{KeyID: inventorytest.NewID(), Kind: inventory.ClientSecret, Holder: inventory.Registration,
				Name: "key", Hint: "abc",
				StartsAt: epoch, EndsAt: epoch.Add(time.Duration((i*37+j*101)%(730*24)) * time.Hour)}
			if j == 2 {
				c.EndsAt = time.Time{}
			}
			app.Credentials = append(app.Credentials, c)
		}
		apps[i] = app
	}
	return apps
}

// What the calls cost in requests. A first scan writes each row once, a second one only what has
// changed, and what ends next is a query for each partition, among 200 applications and among
// 1,000.
func TestCostOfTheInventory(t *testing.T) {
	rotationtest.PlainOnly(t)
	for i, n := range []int{200, 1000} {
		if !rotationtest.Sample(i) {
			continue
		}
		f := newFixture(t, table.Config{}, nil)
		v, tenantID := f.Inventory(), "0f3a5b7c-0000-4000-8000-00000000000a"
		apps := population(tenantID, n)
		c := costs{t, f}
		tenant := inventory.Tenant{ID: tenantID, Version: 1, WakeAt: epoch}
		if _, err := v.Tenant(t.Context(), tenantID); err == nil { // makes the table
			t.Fatal("there is a tenant")
		}
		put := func(write []inventory.Application, gone ...inventory.Key) func() (int, error) {
			return func() (int, error) { return v.Put(t.Context(), write, gone) }
		}
		c.check("first Put", cost{4 * n, 16, 0, n/25 + 16}, put(apps))
		c.check("second Put", cost{0, 16, 0, 0}, put(apps))
		for i := range 10 {
			apps[i*20].Name = "changed"
		}
		c.check("Put of ten that have changed", cost{10, 16, 10, 10}, put(apps))
		one := apps[7]
		one.Credentials = one.Credentials[1:]
		c.check("Put of one", cost{2, 0, 1, 1}, put([]inventory.Application{one}))
		c.check("Put of one that goes", cost{3 + 1, 0, 2, 1}, put(nil, apps[8].Key))
		c.check("Rows", cost{n - 1, 16, 0, 0}, func() (rows int, err error) {
			err = v.Rows(t.Context(), tenantID, func(catalog.Row) error {
				rows++
				return nil
			})
			return rows, err
		})
		for _, q := range []catalog.EndQuery{{TenantID: tenantID}, {From: epoch.AddDate(0, 3, 0)}, {From: catalog.Never}} {
			c.check("Ending", cost{50, 16, 0, 0}, func() (int, error) {
				ends, _, err := v.Ending(t.Context(), q, 50)
				return len(ends), err
			})
		}
		c.check("Row", cost{1, 1, 0, 0}, func() (int, error) {
			_, err := v.Row(t.Context(), apps[0].Key)
			return 1, err
		})
		c.check("Accept", cost{1, 0, 2, 1}, func() (int, error) {
			return 1, v.Accept(t.Context(), apps[0].Key, func([]inventory.Acceptance) ([]inventory.Acceptance, error) {
				return []inventory.Acceptance{{Kind: inventory.Ownerless}}, nil
			})
		})
		c.tenants(v, tenant)
	}
}

// cost is how many rows a call is about, and how many requests it may send at most.
type cost struct{ rows, queries, gets, batches int }

type costs struct {
	t *testing.T
	f *fixture
}

func (c costs) check(what string, want cost, do func() (rows int, err error)) {
	c.t.Helper()
	c.f.service.ResetCalls()
	start := time.Now()
	rows, err := do()
	got := cost{rows, c.f.service.Calls(table.OpQuery), c.f.service.Calls(table.OpGet), c.f.service.Calls(table.OpBatch)}
	others := 0
	for _, op := range []string{table.OpInsert, table.OpReplace, table.OpMerge, table.OpDelete} {
		others += c.f.service.Calls(op)
	}
	c.t.Logf("%-30s %+v, %s", what, got, time.Since(start).Round(time.Millisecond))
	if err != nil || rows != want.rows || got.queries > want.queries || got.gets > want.gets || got.batches > want.batches || others > 0 {
		c.t.Errorf("%s: %+v and %d others, %v; want %+v at most", what, got, others, err, want)
	}
}

// tenants checks what tenants, their pages and their scans cost.
func (c costs) tenants(v tablestore.Inventory, tenant inventory.Tenant) {
	t, scanID := c.t, inventory.ScanID(tenant.ID, "a")
	commit := func(w scan.Write) func() (int, error) {
		return func() (n int, err error) {
			tenant.Version, tenant.WakeAt = tenant.Version+1, tenant.WakeAt.Add(time.Minute)
			tenant, err = v.Commit(t.Context(), tenant, w)
			return 1, err
		}
	}
	c.check("Commit of a new tenant", cost{1, 0, 0, 1}, commit(scan.Write{}))
	for i := range 20 {
		page := scan.KeptPage{ScanID: scanID, Number: i, Applications: population(tenant.ID, 20)}
		c.check("Commit with a page", cost{1, 0, 0, 1}, commit(scan.Write{Page: &page}))
	}
	for i := range 3 {
		done := inventory.Scan{ID: inventory.ScanID(tenant.ID, fmt.Sprint(i)), StartedAt: epoch.AddDate(0, 0, i)}
		c.check("Commit with all", cost{1, 0, 0, 1}, commit(scan.Write{Finished: &done,
			Notice: &scan.Notice{TenantID: tenant.ID, Kind: history.InventoryFindings, At: epoch}}))
	}
	c.check("Tenant", cost{1, 0, 1, 0}, func() (int, error) {
		_, err := v.Tenant(t.Context(), tenant.ID)
		return 1, err
	})
	c.check("Tenants", cost{1, 16, 0, 0}, func() (int, error) {
		all, err := v.Tenants(t.Context())
		return len(all), err
	})
	c.check("Pages", cost{20, 3, 0, 0}, func() (n int, err error) {
		err = v.Pages(t.Context(), scanID, func(int, inventory.List, []inventory.Application) error {
			n++
			return nil
		})
		return n, err
	})
	c.check("Scans", cost{3, 1, 0, 0}, func() (int, error) {
		all, err := v.Scans(t.Context(), tenant.ID, 10)
		return len(all), err
	})
	c.check("Scan", cost{1, 1, 2, 0}, func() (int, error) {
		_, err := v.Scan(t.Context(), inventory.ScanID(tenant.ID, "0"))
		return 1, err
	})
	c.check("DropPages", cost{1, 1, 0, 1}, func() (int, error) { return 1, v.DropPages(t.Context(), tenant.ID, "") })
	c.check("DropPages, with none there", cost{1, 1, 0, 0}, func() (int, error) { return 1, v.DropPages(t.Context(), tenant.ID, "") })
	c.check("PruneScans", cost{1, 1, 0, 1}, func() (int, error) { return 1, v.PruneScans(t.Context(), tenant.ID, 1) })
}

// Of many applications a few at a time are written. In the order of client ids that costs a query
// for each partition and call; in another one no more rows are read than is worth it.
func TestCostOfPutInParts(t *testing.T) {
	rotationtest.PlainOnly(t)
	const n, atOnce = 1000, 200
	for _, sorted := range []bool{true, false} {
		var most atomic.Int64
		f := newFixture(t, table.Config{Hook: func(op string, r *http.Request) *fault.Effect {
			if top, err := strconv.ParseInt(r.URL.Query().Get("$top"), 10, 64); err == nil && op == table.OpQuery && top > most.Load() {
				most.Store(top)
			}
			return nil
		}}, nil)
		apps := population("0f3a5b7c-0000-4000-8000-00000000000a", n)
		if !sorted {
			rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { apps[i], apps[j] = apps[j], apps[i] })
		}
		c := costs{t, f}
		if _, err := f.Inventory().Row(t.Context(), apps[0].Key); err == nil { // makes the table
			t.Fatal("there is an application")
		}
		for _, second := range []bool{false, true} {
			for part := range slices.Chunk(apps, atOnce) {
				want := cost{4 * atOnce, 16, 0, 20}
				if second {
					want.rows, want.batches = 0, 0
				}
				if !sorted {
					want.gets = atOnce
				}
				c.check("Put of a part", want, func() (int, error) { return f.Inventory().Put(t.Context(), part, nil) })
			}
		}
		if most.Load() > rowsRead*atOnce/4 {
			t.Errorf("sorted %v: a query asks for %d rows", sorted, most.Load())
		}
	}
}

// rowsRead is how many rows a query reads for each application of its partition.
const rowsRead = 4
