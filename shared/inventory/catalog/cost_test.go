package catalog_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotationtest"
)

// What a page costs in the order of ends does not depend on the size of the tenant.
func TestAPageCostsWhatIsOnIt(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, q := range map[string]catalog.Query{
		"everything": {Limit: 20}, "one tenant": {Limit: 20, TenantID: tenant}, "ends in 7 days": {Limit: 20, Finding: inventory.EndsIn7Days},
		"a range": {Limit: 20, EndsAfter: start.Add(day)},
	} {
		var costs []map[string]int
		for _, n := range []int{200, 1500} {
			d := newDeployment(t, tenant)
			var apps []inventory.Application
			for i := range n { // two of three have client secrets that ended long ago
				apps = append(apps, app(tenant, i+1, slices.Repeat([]float64{-300, -200}, i%3)...))
				c := app(tenant, i+1, 1+200*float64(i)/float64(n)).Credentials[0]
				c.KeyID = numbered(50_000_000 + i)
				apps[i].Credentials = append(apps[i].Credentials, c)
			}
			d.put(t, apps...)
			costs = append(costs, d.counted(func() {
				p, err := d.List(t.Context(), q)
				if err != nil || len(p.Items) < 5 || p.Next == "" && n == 1500 {
					t.Errorf("%s: %d applications, %v", name, len(p.Items), err)
				}
			}))
		}
		large := costs[1]
		if large["Ending"] != 1 || large["Row"] > 30 || large["Of"] > 2 || large["Rows"]+large["All"] != 0 {
			t.Errorf("%s: of 1500 applications a page costs %v", name, large)
		}
		t.Logf("%s: a page costs %v of 200 applications, %v of 1500", name, costs[0], large)
	}
	d := newDeployment(t, tenant, other)
	d.put(t, crowd(tenant, 1, 50)...)
	if cost := d.counted(func() { d.pages(t, catalog.Query{Text: "app"}) }); !maps.Equal(cost, map[string]int{"Tenants": 1, "Rows": 2,
		"All": 2}) {
		t.Errorf("a list by text costs %v", cost)
	}
}

// A walk goes past so many ends and no more; then the page has what there is, and the next one goes
// on there.
func TestAWalkIsBounded(t *testing.T) {
	rotationtest.PlainOnly(t)
	d := newDeployment(t, tenant)
	d.managers.by = map[string][]inventory.Manager{}
	var apps []inventory.Application
	for i := range 550 { // all of it is rotated, so that nothing is found about its end
		a := app(tenant, i+1, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9)
		m := inventory.Manager{ConnectionID: tenant, Name: "c", Rotates: true}
		for _, c := range a.Credentials {
			m.KeyIDs = append(m.KeyIDs, c.KeyID)
		}
		apps, d.managers.by[a.ClientID] = append(apps, a), []inventory.Manager{m}
	}
	last := app(tenant, 9000, 6)
	d.put(t, append(apps, last)...)
	items, pages := d.pages(t, catalog.Query{Finding: inventory.EndsIn7Days, Limit: 50})
	if len(items) != 1 || items[0].Key != last.Key || pages != 2 {
		t.Errorf("%d applications on %d pages", len(items), pages)
	}
}

// A page has less where applications have much.
func TestAPageIsBounded(t *testing.T) {
	rotationtest.PlainOnly(t)
	d := newDeployment(t, tenant)
	var apps []inventory.Application
	for i := range 15 {
		apps = append(apps, app(tenant, i+1, slices.Repeat([]float64{-5}, 900)...))
		apps[i].ChangedAt = start // so that it has one place
		for j := range apps[i].Credentials[1:] {
			apps[i].Credentials[j].EndsAt = start.Add(-10 * day)
		}
	}
	d.put(t, apps...)
	for _, q := range []catalog.Query{{Limit: 1000}, {Limit: 1000, Owner: "ada lovelace"}} {
		items, pages := d.pages(t, q)
		if len(items) != 15 || pages != 3 {
			t.Errorf("%+v: %d applications on %d pages", q, len(items), pages)
		}
	}
}

// A page with all that there is to say fits into an answer of every host: a Lambda function's has 6 MB.
func TestAPageFitsIntoAnAnswer(t *testing.T) {
	rotationtest.PlainOnly(t)
	d := newDeployment(t, tenant)
	var apps []inventory.Application
	for i := range 1000 {
		a := app(tenant, i+1, 5, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7, 5.8, 5.9)
		for j := range a.Credentials {
			a.Credentials[j].Name, a.Credentials[j].StartsAt = "a name such as people give", start.Add(-500*day)
		}
		apps = append(apps, a)
	}
	d.put(t, apps...)
	for cursor, n := "", 0; ; {
		p, err := d.List(t.Context(), catalog.Query{Limit: catalog.MaxLimit, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(p.Items)
		if err != nil || len(text) > 5_000_000 {
			t.Errorf("%d applications have %d bytes (%v)", len(p.Items), len(text), err)
		}
		n += len(p.Items)
		if cursor = p.Next; cursor == "" {
			if n != len(apps) {
				t.Errorf("%d applications in all", n)
			}
			return
		}
	}
}
