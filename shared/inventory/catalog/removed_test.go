package catalog_test

import (
	"slices"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// What was removed since the scan ends no application: it stands at what ends next of the rest. Where nothing is left to
// end the order of ends has no other place for it, so that it stays where it was, unless its end is none that is asked for.
func TestRemovedSinceTheScanEndsNothing(t *testing.T) {
	d := newDeployment(t, tenant)
	apps := []inventory.Application{app(tenant, 1, 5, 20), app(tenant, 2, 10), app(tenant, 3, 5), app(tenant, 4, -100, 5),
		app(tenant, 5, 5, 0)}
	d.put(t, apps...)
	d.managers.by = map[string][]inventory.Manager{}
	for i, cred := range map[int]int{0: 0, 2: 0, 3: 1, 4: 0} {
		removed := map[string]time.Time{apps[i].Credentials[cred].KeyID: start.Add(time.Hour)}
		d.managers.by[apps[i].ClientID] = []inventory.Manager{{ConnectionID: "c", Removed: removed}}
	}
	for name, row := range map[string]struct {
		q    catalog.Query
		want []int
	}{
		"everything":    {catalog.Query{}, []int{3, 4, 2, 1, 5}},
		"ends soon":     {catalog.Query{EndsAfter: start, EndsBefore: start.Add(7 * day)}, nil},
		"ended":         {catalog.Query{EndsBefore: start.Add(7 * day)}, []int{4}},
		"ends in days":  {catalog.Query{EndsAfter: start, EndsBefore: start.Add(15 * day)}, []int{2}},
		"ends later":    {catalog.Query{EndsAfter: start.Add(15 * day)}, []int{1, 5}},
		"with findings": {catalog.Query{Finding: inventory.EndsIn30Days}, []int{2, 1}},
	} {
		var want []string
		for _, n := range row.want {
			want = append(want, names([]catalog.Item{{Row: catalog.Row{Application: apps[n-1]}}})...)
		}
		for _, text := range []string{"", "app"} { // along the order of ends, and by reading all rows
			for limit := range 3 {
				q := row.q
				q.Text, q.Limit = text, limit
				if items, _ := d.pages(t, q); !slices.Equal(names(items), want) {
					t.Errorf("%s, text %q, by %d: got %v, want %v", name, text, limit, names(items), want)
				}
			}
		}
	}
	gone := apps[0].Credentials[0].KeyID
	published := inventory.Credential{KeyID: "own", Kind: inventory.ClientSecret, StartsAt: start.Add(time.Hour), EndsAt: start.Add(60 * day)}
	for i, app := range apps {
		d.managers.by[app.ClientID] = append(d.managers.by[app.ClientID], inventory.Manager{ConnectionID: "c", Published: published})
		before := published
		before.KeyID, before.StartsAt = "before", start // a scan that began then shows it, or it is gone
		if i == 1 {
			d.managers.by[app.ClientID] = append(d.managers.by[app.ClientID], inventory.Manager{ConnectionID: "c", Published: before})
		}
	}
	items, _ := d.pages(t, catalog.Query{})
	if len(items) != len(apps) {
		t.Errorf("with what was published since: %v", names(items))
	}
	for _, item := range items {
		has := func(id string) bool {
			return slices.ContainsFunc(item.Credentials, func(c inventory.Credential) bool { return c.KeyID == id })
		}
		first := item.Credentials[0] // what never ends is last
		if !has("own") || has("before") || item.EndsAt.IsZero() || first.EndsAt.IsZero() || first.EndsAt.After(published.EndsAt) {
			t.Errorf("%s has %+v, and ends %s", item.Name, item.Credentials, item.EndsAt)
		}
	}
	if items, _ := d.pages(t, catalog.Query{Text: gone}); len(items) != 0 {
		t.Errorf("found by what was removed: %v", names(items))
	}
}
