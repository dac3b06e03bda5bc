package catalog_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotationtest"
)

// has keeps what has a finding.
func has(kind inventory.FindingKind, accepted bool) func(*catalog.Item) bool {
	return func(i *catalog.Item) bool {
		return slices.ContainsFunc(i.Findings, func(f inventory.Finding) bool { return f.Kind == kind && (accepted || f.Accepted == nil) })
	}
}

// asked is what a list is asked for, and what it should have of which applications.
type asked struct {
	q    catalog.Query
	keep func(*catalog.Item) bool
	apps []inventory.Application
}

// questions are about two tenants.
func questions(one, two []inventory.Application) map[string]asked {
	both := slices.Concat(one, two)
	owned := func(i *catalog.Item) bool { return len(i.Owners) > 0 }
	none := func(*catalog.Item) bool { return false }
	some := slices.IndexFunc(one, func(a inventory.Application) bool { return len(a.Credentials) > 0 })
	keyID := one[some].Credentials[0].KeyID
	all := map[string]asked{
		"everything":   {catalog.Query{}, nil, both},
		"one tenant":   {catalog.Query{TenantID: other}, nil, two},
		"a range":      {catalog.Query{EndsAfter: start.Add(-3 * day), EndsBefore: start.Add(40*day + 1)}, nil, both},
		"from then on": {catalog.Query{EndsAfter: start.Add(100 * day)}, nil, both},
		"ended":        {catalog.Query{EndsBefore: start}, nil, both},
		"ends in 90, in a range": {catalog.Query{Finding: inventory.EndsIn90Days, EndsAfter: start.Add(20 * day), EndsBefore: start.Add(60 * day)},
			has(inventory.EndsIn90Days, false), both},
		"accepted too": {catalog.Query{Finding: inventory.EndsIn30Days, IncludeAccepted: true}, has(inventory.EndsIn30Days, true), both},
		"accepted only": {catalog.Query{OnlyAccepted: true}, func(i *catalog.Item) bool {
			return slices.ContainsFunc(i.Findings, func(f inventory.Finding) bool { return f.Accepted != nil })
		}, both},
		"accepted only, of a kind": {catalog.Query{Finding: inventory.EndsIn30Days, OnlyAccepted: true}, func(i *catalog.Item) bool {
			return slices.ContainsFunc(i.Findings, func(f inventory.Finding) bool {
				return f.Kind == inventory.EndsIn30Days && f.Accepted != nil
			})
		}, both},
		"of a tenant":  {catalog.Query{Finding: inventory.Expired, TenantID: tenant}, has(inventory.Expired, false), one},
		"another text": {catalog.Query{Text: " strasse σίσυφος "}, none, both},
		"text in another case": {catalog.Query{Text: "σίσυφος", EndsAfter: start},
			func(i *catalog.Item) bool { return strings.HasPrefix(i.Name, "Stra") }, both},
		"client id":    {catalog.Query{Text: one[3].ClientID}, func(i *catalog.Item) bool { return i.ClientID == one[3].ClientID }, both},
		"owner":        {catalog.Query{Owner: "ADA@contoso.COM"}, owned, both},
		"owner's name": {catalog.Query{Owner: "ada lovelace"}, owned, both},
		"half a name":  {catalog.Query{Owner: "ADA lov"}, owned, both},
		"key id": {catalog.Query{Text: strings.ToUpper(keyID)}, func(i *catalog.Item) bool {
			return slices.ContainsFunc(i.Credentials, func(c inventory.Credential) bool { return c.KeyID == keyID })
		}, both},
		"owner's id": {catalog.Query{Owner: numbered(900_007)},
			func(i *catalog.Item) bool { return i.ClientID == numbered(7) && owned(i) }, both},
		"owner and text": {catalog.Query{Owner: "ada lovelace", Text: "APP 1"},
			func(i *catalog.Item) bool { return owned(i) && strings.HasPrefix(i.Name, "app 1") }, both},
	}
	for _, kind := range inventory.Kinds {
		all[string(kind)] = asked{catalog.Query{Finding: kind}, has(kind, false), both}
	}
	return all
}

// Whatever is asked for, and however it is cut into pages: a list has what it should, in the
// order of ends, everything once. Both ways to make it agree with a list that is made in memory.
func TestListsAreWhole(t *testing.T) {
	seeds := uint64(2)
	if rotationtest.Raced {
		seeds = 1
	}
	for seed := range seeds {
		d := newDeployment(t, tenant, other)
		one, two := crowd(tenant, seed, 40), crowd(other, seed+100, 15)
		d.put(t, one...)
		d.put(t, two...)
		for _, a := range one[:10] { // what was accepted counts for nothing
			item, _, _ := d.Get(t.Context(), a.Key)
			for _, f := range item.Findings {
				if f.Kind.Acceptable() {
					d.accept(t, a.Key, f.Kind, "")
				}
			}
		}
		for name, a := range questions(one, two) {
			want := d.want(a.q, a.keep, a.apps...)
			for _, limit := range []int{2, 1000} {
				q := a.q
				q.Limit = limit
				items, _ := d.pages(t, q)
				if got := names(items); !slices.Equal(got, want) {
					t.Errorf("%s, by %d: %d applications, want %d\ngot  %v\nwant %v", name, limit, len(got), len(want), got, want)
				}
			}
		}
	}
}

// The rows by end have every place that an application can have, from the scan on that found it so;
// and what ended before that beside something that ends later is in none of them.
func TestEndsHaveEveryPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 2000 {
		a := crowd(tenant, uint64(i), 1)[0]
		a.ChangedAt = start.Add(time.Duration(r.IntN(800)-400) * day)
		ends := catalog.Ends(&a)
		for range 20 {
			now := a.ChangedAt.Add(time.Duration(r.Int64N(int64(600*day))) - 10*time.Minute)
			if place := catalog.Place(&a, now); !slices.Contains(ends, place) {
				t.Fatalf("at %s it is at %+v, which is none of %+v", now, place, ends)
			}
		}
		if !slices.IsSortedFunc(ends, catalog.End.Compare) {
			t.Fatalf("not in order: %v", ends)
		}
	}
	old := app(tenant, 1, -300, -200, -100, 50)
	if ends := catalog.Ends(&old); len(ends) != 1 {
		t.Errorf("of three that ended long ago and one that is alive: %v", ends)
	}
	if ends := catalog.Ends(new(app(tenant, 1, -300, -200, -100))); len(ends) != 1 || !ends[0].At.Equal(start.Add(-100*day)) {
		t.Errorf("of three that ended long ago: %v", ends)
	}
}

// What ends between two pages is on one of them, once.
func TestTimePassesBetweenPages(t *testing.T) {
	for _, q := range []catalog.Query{{Limit: 2}, {Limit: 2, Text: "app"}} {
		d := newDeployment(t, tenant)
		for i := range 8 {
			d.put(t, app(tenant, i+1, 0.01*float64(i+1), 10+float64(i)))
		}
		seen := map[string]int{}
		for {
			p, err := d.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.Items {
				seen[i.ClientID]++
			}
			if q.Cursor = p.Next; q.Cursor == "" {
				break
			}
			d.now = d.now.Add(20 * time.Minute)
		}
		for i := range 8 {
			if n := seen[numbered(i+1)]; n != 1 {
				t.Errorf("%+v: application %d was listed %d times", q, i+1, n)
			}
		}
	}
}

// A cursor is good for the list that gave it out, for a day.
func TestCursors(t *testing.T) {
	d := newDeployment(t, tenant)
	d.put(t, crowd(tenant, 1, 20)...)
	p, err := d.List(t.Context(), catalog.Query{Limit: 3})
	if err != nil || p.Next == "" {
		t.Fatal(err)
	}
	if _, err := d.List(t.Context(), catalog.Query{Limit: 5, Cursor: p.Next}); err != nil {
		t.Errorf("with another limit: %v", err)
	}
	for name, q := range map[string]catalog.Query{
		"another finding": {Finding: inventory.Expired}, "another tenant": {TenantID: tenant}, "another text": {Text: "a"},
		"another owner": {Owner: "a"}, "another range": {EndsBefore: start}, "with what is accepted": {IncludeAccepted: true},
		"only what is accepted": {OnlyAccepted: true},
	} {
		q.Cursor = p.Next
		_, err := d.List(t.Context(), q)
		if refused(t, err, connection.Invalid, "cursor"); err == nil {
			t.Error(name)
		}
	}
	// What a cursor names goes into a query of the table.
	forge := func(name, value string) string {
		data, err := base64.RawURLEncoding.DecodeString(p.Next)
		var c map[string]any
		if err != nil || json.Unmarshal(data, &c) != nil || c[name] == nil {
			t.Fatalf("the cursor is %s (%v)", data, err)
		}
		c[name] = value
		data, _ = json.Marshal(c)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	for _, cursor := range []string{"x", "e30", "!", strings.Repeat("A", 10_000), p.Next[1:], forge("t", "' or RowKey ge '"),
		forge("c", "' or RowKey ge '")} {
		_, err := d.List(t.Context(), catalog.Query{Cursor: cursor})
		refused(t, err, connection.Invalid, "cursor")
	}
	d.now = d.now.Add(25 * time.Hour)
	_, err = d.List(t.Context(), catalog.Query{Cursor: p.Next})
	refused(t, err, connection.Invalid, "older than a day")
}

func TestQueriesThatAreRefused(t *testing.T) {
	d := newDeployment(t, tenant)
	for says, q := range map[string]catalog.Query{
		"finding must be one of ends-in-7-days": {Finding: "rusty"},
		"text must be at most 256":              {Text: strings.Repeat("ä", 257)},
		"owner must be at most 256":             {Owner: strings.Repeat("x", 257)},
		"limit must be 1 to 1000":               {Limit: 1001},
		"endsAfter must be before":              {EndsAfter: start, EndsBefore: start},
	} {
		_, err := d.List(t.Context(), q)
		refused(t, err, connection.Invalid, says)
	}
	if _, err := d.List(t.Context(), catalog.Query{Text: strings.Repeat("ä", 256), Owner: strings.Repeat("x", 256)}); err != nil {
		t.Error(err)
	}
	_, err := d.List(t.Context(), catalog.Query{TenantID: other})
	refused(t, err, connection.NotFound, "no inventory of this tenant")
}

// partial is the error of a list that left rows out.
type partial struct{ error }

func (partial) LeftOut() int { return 2 }

// What cannot be read is counted, and hides nothing else.
func TestRowsThatCannotBeRead(t *testing.T) {
	d := newDeployment(t, tenant)
	d.put(t, app(tenant, 1, 3), app(tenant, 2, 4), app(tenant, 3, 5))
	d.Store = &damaged{d.store, partial{errors.New("of a newer schema")}}
	for _, q := range []catalog.Query{{}, {Text: "app"}} {
		p, err := d.List(t.Context(), q)
		if err != nil || p.LeftOut == 0 || len(p.Items) == 0 {
			t.Errorf("%+v: %d applications, %d left out, %v", q, len(p.Items), p.LeftOut, err)
		}
	}
	all, err := d.Summarize(t.Context(), tenant)
	if err != nil || all[0].LeftOut != 2 || all[0].Applications == 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if n := strings.Count(d.log.String(), "rows of the inventory left out"); n < 3 {
		t.Errorf("the log says so %d times: %s", n, d.log.String())
	}
}

// A store that fails is told as what can be tried again.
func TestAStoreThatFails(t *testing.T) {
	d := newDeployment(t, tenant)
	d.put(t, app(tenant, 1, 3))
	for _, call := range []string{"Tenant", "Tenants", "Row", "Rows", "Ending", "Accept", "Scan", "Scans"} {
		d.store.Hook = func(name string, do func() error) error {
			if name == call {
				return unavailable
			}
			return do()
		}
		failed := 0
		for _, err := range d.everything(t) {
			if err != nil {
				failed++
				refused(t, err, connection.Unavailable, "An outside service did not answer")
			}
		}
		if failed == 0 {
			t.Errorf("%s: nothing failed", call)
		}
	}
}
