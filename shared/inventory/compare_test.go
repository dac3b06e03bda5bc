package inventory_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
)

// lastScan is the start of the scan before the one that starts now.
var lastScan = now.Add(-day)

// compare is what a scan comes to that finds one application.
func compare(formerly time.Time, former, next *inventory.Application, facts inventory.Facts,
	accepted ...inventory.Acceptance) *inventory.Result {
	note(former, facts, accepted...)
	c := inventory.Compare(formerly, now, nil)
	c.Add(former, next, facts, accepted)
	return c.Result()
}

// note has the last scan find former.
func note(former *inventory.Application, facts inventory.Facts, accepted ...inventory.Acceptance) {
	inventory.Compare(time.Time{}, lastScan, nil).Add(nil, former, facts, accepted)
}

// changes is the kinds of changes in short, with the last digits of key ids.
func changes(r *inventory.Result) string {
	var words []string
	for _, c := range r.Changes {
		word := string(c.Kind)
		if c.Finding != "" {
			word += " " + string(c.Finding)
		}
		if c.KeyID != "" {
			word += " " + c.KeyID[34:]
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestCompareChanges(t *testing.T) {
	base := func(changes ...func(*inventory.Application)) *inventory.Application {
		return app(append([]func(*inventory.Application){with(secret(10, 100*day), secret(11, 110*day, kind(inventory.Certificate)))},
			changes...)...)
	}
	for _, row := range []struct {
		name                 string
		former, next         *inventory.Application
		added, changed, gone int
		want                 string
	}{
		{"nothing", base(), base(), 0, 0, 0, ""},
		{"neither was nor is there", nil, nil, 0, 0, 0, ""},
		{"an application was added", nil, base(), 1, 0, 0, "application-added"},
		{"one is gone", base(), nil, 0, 0, 1, "application-gone"},
		{"a credential was added", base(with(secret(11, 110*day, kind(inventory.Certificate)))), base(), 0, 1, 0, "credential-added 10"},
		{"one is gone, too", base(), base(with(secret(10, 100*day))), 0, 1, 0, "credential-removed 11"},
		{"one was replaced", base(), base(with(secret(10, 100*day), secret(12, 110*day, kind(inventory.Certificate)))), 0, 1, 0,
			"credential-removed 11, credential-added 12"},
		{"owners", base(), base(ownerless), 0, 1, 0, "owners-changed"},
		{"enabled or not", base(), base(func(a *inventory.Application) { a.Disabled = true }), 0, 1, 0, "enabled-changed"},
		{"the name", base(), base(func(a *inventory.Application) { a.Name = "x" }), 0, 1, 0, "details-changed"},
		{"what has no kind of its own", base(), base(func(a *inventory.Application) { a.Credentials[0].Name = "x" }), 0, 1, 0,
			"details-changed"},
		{"everything", base(), base(ownerless, with(secret(12, 100*day)), func(a *inventory.Application) {
			a.Disabled, a.Name = true,
				"x"
		}), 0, 1, 0,
			"enabled-changed, credential-removed 10, credential-removed 11, credential-added 12, owners-changed, details-changed"},
		{"a sign-in is no change", base(), base(func(a *inventory.Application) { a.Credentials[0].UsedAt = now }), 0, 0, 0, ""},
		{"nor is what could be read", base(), base(func(a *inventory.Application) { a.Unread = inventory.Lists }), 0, 0, 0, ""},
	} {
		r := compare(lastScan, row.former, row.next, all())
		if got := changes(r); got != row.want || r.Added != row.added || r.Changed != row.changed || r.Gone != row.gone {
			t.Errorf("%s: got %q, %d added, %d changed, %d gone", row.name, got, r.Added, r.Changed, r.Gone)
		}
	}
}

// What is told is what is there at this scan and was not at the last one.
func TestCompareArisen(t *testing.T) {
	ending := func(in time.Duration) *inventory.Application { return app(with(secret(10, in))) }
	accept := func(k inventory.FindingKind, until time.Duration) inventory.Acceptance {
		return inventory.Acceptance{Kind: k, Until: now.Add(until)}
	}
	orphan := app(with(secret(10, 100*day, named("rekey/prod/c/abcdefghij"))))
	removed := rotation()
	removed.ConnectionID, removed.RemovedAt = "c", now.Add(-time.Minute)
	for _, row := range []struct {
		name         string
		former, next *inventory.Application
		facts        inventory.Facts
		accepted     []inventory.Acceptance
		want         string
	}{
		{"what was within 90 days still is", ending(50 * day), ending(50 * day), all(), nil, ""},
		{"it comes within 90 days", ending(90*day - second), ending(90*day - second), all(), nil, "finding-arisen ends-in-90-days 10"},
		{"at the last scan it was already", ending(89 * day), ending(89 * day), all(), nil, ""},
		{"it comes within 30", ending(29*day + second), ending(29*day + second), all(), nil, "finding-arisen ends-in-30-days 10"},
		{"it comes within 7", ending(7 * day), ending(7 * day), all(), nil, "finding-arisen ends-in-7-days 10"},
		{"that it has expired was foreseen", ending(-second), ending(-second), all(), nil, ""},
		{"another credential of the kind", ending(50 * day), app(with(secret(10, 50*day), secret(11, 50*day, kind(inventory.Certificate)))),
			all(), nil,
			"finding-arisen ends-in-90-days 11, credential-added 11"},
		{"the last owner is gone", app(with(secret(10, 20*day))), app(ownerless, with(secret(10, 20*day))), all(), nil,
			"finding-arisen ownerless-ending, owners-changed"},
		{"an orphan that was there is not new", orphan, orphan, all(), nil, ""},
		{"a new application has all of them", nil, app(ownerless, with(secret(10, 20*day, named("rekey/prod/c/abcdefghij")))), all(), nil,
			"finding-arisen ownerless-ending, finding-arisen ends-in-30-days 10, finding-arisen orphan 10, application-added"},
		{"what has been removed since the last scan, and not since this one, is none of the former ones", nil, orphan, all(removed), nil,
			"finding-arisen orphan 10, application-added"},
		{"what a rotation takes care of", ending(90*day - second), ending(90*day - second), all(rotation(id(10))), nil, ""},
		{"what is accepted is not told", ending(7 * day), ending(7 * day), all(), []inventory.Acceptance{accept(inventory.EndsIn7Days,
			second)}, ""},
		{"as it ends nearer it is", ending(7 * day), ending(7 * day), all(), []inventory.Acceptance{accept(inventory.EndsIn30Days, second)},
			"finding-arisen ends-in-7-days 10"},
		{"the end of an acceptance is told", ending(5 * day), ending(5 * day), all(), []inventory.Acceptance{accept(inventory.EndsIn7Days, 0)},
			"finding-arisen ends-in-7-days 10"},
		{"once", ending(5 * day), ending(5 * day), all(), []inventory.Acceptance{accept(inventory.EndsIn7Days, -day)}, ""},
		{"an application that is gone has none", ending(5 * day), nil, all(), nil, "application-gone"},
	} {
		r := compare(lastScan, row.former, row.next, row.facts, row.accepted...)
		if got := changes(r); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
		told := map[inventory.FindingKind]int{}
		for _, c := range r.Changes {
			if c.Finding != "" {
				told[c.Finding] = 1
			}
		}
		if !reflect.DeepEqual(r.Arisen, told) {
			t.Errorf("%s: counted %v, listed %v", row.name, r.Arisen, told)
		}
	}
}

// A first scan tells of everything at once, and calls nothing a change.
func TestCompareFirstScan(t *testing.T) {
	c := inventory.Compare(time.Time{}, now, nil)
	for n := range 5 {
		a := app(with(secret(10, 20*day), secret(11, 25*day, kind(inventory.Certificate))))
		a.ClientID = id(n)
		c.Add(nil, a, all(), nil)
	}
	r := c.Result()
	if r.Added != 5 || r.Arisen[inventory.EndsIn30Days] != 5 || len(r.Changes) != 10 || r.MoreChanges != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestCompareCounts(t *testing.T) {
	a := app(with(secret(10, 5*day), secret(11, 6*day, kind(inventory.Certificate)), secret(12, -day), secret(13, 0, endless,
		kind(inventory.Certificate))),
		func(a *inventory.Application) { a.MoreCredentials, a.Federated = 2, []inventory.Federated{{ID: "f"}} })
	r := compare(lastScan, a, a, all(), inventory.Acceptance{Kind: inventory.Expired, Until: now.Add(day)})
	want := map[inventory.FindingKind]int{
		inventory.EndsIn7Days: 1, inventory.NeverEnds: 1, inventory.FederatedAlready: 1, inventory.Incomplete: 1,
	}
	if !reflect.DeepEqual(r.Findings, want) {
		t.Errorf("findings by application, without accepted ones: %v", r.Findings)
	}
	ends := map[inventory.Left]int{inventory.Left7Days: 2, inventory.LeftNone: 1, inventory.LeftNever: 1}
	if !reflect.DeepEqual(r.Ends, ends) || r.Applications != 1 || r.Credentials != 6 || r.Federated != 1 {
		t.Errorf("got %+v", r)
	}
}

// tenantOf makes applications of a seed, as they were and as they are.
func tenantOf(seed uint64, n int) (former, next []*inventory.Application) {
	r := rand.New(rand.NewPCG(seed, 1))
	random := func(i int) *inventory.Application {
		a := app()
		a.ClientID, a.Name = id(i), fmt.Sprint("app ", r.IntN(n))
		for range r.IntN(6) {
			a.Credentials = append(a.Credentials, secret(r.IntN(1000), time.Duration(r.IntN(200)-20)*day, since(time.Duration(r.IntN(200))*day)))
		}
		if r.IntN(4) == 0 {
			a.Owners = nil
		}
		return a
	}
	for i := range n {
		was, is := random(i), random(i)
		switch r.IntN(6) {
		case 0:
			was = nil
		case 1:
			is = nil
		case 2, 3:
			is = new(*was)
		}
		note(was, all())
		former, next = append(former, was), append(next, is)
	}
	return former, next
}

// The result is the same in whatever order applications come, in one part or in several, and
// it is bounded.
func TestCompareInAnyOrderAndParts(t *testing.T) {
	former, next := tenantOf(1, 700)
	of := func(r *rand.Rand, parts int) *inventory.Result {
		order := r.Perm(len(former))
		var result *inventory.Result
		for part := range parts {
			c := inventory.Compare(lastScan, now, result)
			for i, n := range order {
				if i%parts == part {
					c.Add(former[n], next[n], all(), nil)
				}
			}
			result = c.Result()
		}
		return result
	}
	want := of(rand.New(rand.NewPCG(0, 0)), 1)
	if len(want.Changes) != inventory.MaxChanges || want.MoreChanges == 0 || want.Arisen[inventory.EndsIn7Days] == 0 {
		t.Fatalf("%d changes, %d more, arisen %v", len(want.Changes), want.MoreChanges, want.Arisen)
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		if got := of(r, 1+r.IntN(9)); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: another result", seed)
		}
	}
}

// A result is not changed by what is added to the comparison after it, or to one that goes on from it.
func TestCompareLeavesResultsAlone(t *testing.T) {
	former, next := tenantOf(2, 40)
	c := inventory.Compare(lastScan, now, nil)
	for i := range former {
		c.Add(former[i], next[i], all(), nil)
	}
	result := c.Result()
	changes, findings := slices.Clone(result.Changes), maps.Clone(result.Findings)
	for _, c := range []*inventory.Comparison{c, inventory.Compare(lastScan, now, result)} {
		for range 2 { // each of which is listed first
			c.Add(nil, app(with(secret(10, second))), all(), nil)
			c.Result()
		}
	}
	if !slices.Equal(result.Changes, changes) || !maps.Equal(result.Findings, findings) {
		t.Error("it was changed")
	}
}

// Those that are most pressing are listed, however many others come before them.
func TestCompareListsTheMostPressing(t *testing.T) {
	c := inventory.Compare(lastScan, now, nil)
	for n := range 6 * inventory.MaxChanges {
		a := app(with(secret(10, 100*day)))
		if a.ClientID = id(n); n == 5*inventory.MaxChanges {
			a = app(with(secret(10, 6*day)))
		}
		c.Add(nil, a, all(), nil)
	}
	r := c.Result()
	if r.Changes[0].Finding != inventory.EndsIn7Days || !r.Changes[0].EndsAt.Equal(now.Add(6*day)) ||
		r.MoreChanges != 5*inventory.MaxChanges+1 {
		t.Errorf("the first is %+v, of %d more", r.Changes[0], r.MoreChanges)
	}
}

// Some of each kind are listed, so that a notice names some of each, however many are more pressing.
func TestCompareListsSomeOfEach(t *testing.T) {
	c := inventory.Compare(lastScan, now, nil)
	for n := range 4 * inventory.MaxChanges {
		a := app(with(secret(10, 6*day)))
		if a.ClientID = id(n); n%40 == 0 {
			a = app(with(secret(10, 20*day)))
		}
		c.Add(nil, a, all(), nil)
	}
	r := c.Result()
	listed := map[string]int{}
	for _, change := range r.Changes {
		listed[string(change.Kind)+" "+string(change.Finding)]++
	}
	want := map[string]int{"finding-arisen ends-in-7-days": 180, "finding-arisen ends-in-30-days": 10, "application-added ": 10}
	if !maps.Equal(listed, want) || r.MoreChanges != 7*inventory.MaxChanges {
		t.Errorf("got %v and %d more", listed, r.MoreChanges)
	}
}

func TestWords(t *testing.T) {
	c := inventory.Compare(lastScan, now, nil)
	for n := range 6 {
		ends := time.Duration(20-n) * day
		a := app(with(secret(10, ends), secret(11, ends+time.Hour, kind(inventory.Certificate))))
		a.ClientID, a.Name = id(n), fmt.Sprint("app ", n)
		c.Add(nil, a, all(), nil)
	}
	hostile := app(ownerless, with(secret(10, 5*day)))
	hostile.ClientID, hostile.Name = id(100), "x\" ends.\n\u202eAll is well"
	note(hostile, all())
	c.Add(hostile, hostile, all(), nil)
	c.Add(app(ownerless, with(secret(10, 20*day))), app(with(secret(10, 7*day))), all(), nil)
	got := inventory.Words(c.Result(), false)
	want := `New since the last scan of the tenant: 1 application has a credential that ends within 7 days: "billing". ` +
		`6 applications have a credential that ends within 30 days: "app 5", "app 4", "app 3" and 3 more. ` +
		`In all it has 8 applications and 14 credentials. ` +
		`GET .../azure-client-secrets/inventory?finding=<kind> lists them, and says what to do.`
	if got != want {
		t.Errorf("got %s", got)
	}
	first := inventory.Compare(time.Time{}, now, nil)
	first.Add(nil, hostile, all(), nil)
	want = `The first scan of the tenant found: 1 application has a credential that ends within 7 days: "x\" ends.\n\u202eAll is well". ` +
		`1 application has no owner, and something that ends within 30 days: "x\" ends.\n\u202eAll is well". ` +
		`In all it has 1 application and 1 credential. ` +
		`GET .../azure-client-secrets/inventory?finding=<kind> lists them, and says what to do.`
	if got := inventory.Words(first.Result(), true); got != want {
		t.Errorf("of a first scan: %s", got)
	}
	if got := inventory.Words(compare(lastScan, app(), app(ownerless), all()), false); got != "" {
		t.Errorf("of what is not worth a notice: %s", got)
	}
}

// A notice of the worst tenant fits into a message.
func TestWordsAreBounded(t *testing.T) {
	c := inventory.Compare(time.Time{}, now, nil)
	for n := range 3000 {
		a := app(ownerless, with(secret(10, 5*day, named("rekey/prod/c/abcdefghij")), secret(11, 20*day), secret(12, 80*day)))
		a.ClientID, a.Name = id(n), strings.Repeat("\U000e0001", inventory.MaxText)
		c.Add(nil, a, all(), nil)
	}
	if got := inventory.Words(c.Result(), true); len(got) > 2000 || strings.Count(got, "and 2997 more") != 5 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// Every kind has words, and no two have the same.
func TestTitles(t *testing.T) {
	var titles []string
	for _, k := range inventory.Kinds {
		titles = append(titles, k.Title())
	}
	slices.Sort(titles)
	if titles[0] == "" || len(slices.Compact(titles)) != len(inventory.Kinds) {
		t.Errorf("got %q", titles)
	}
}

func BenchmarkCompare10000(b *testing.B) {
	former, next := tenantOf(3, 10_000)
	for b.Loop() {
		c := inventory.Compare(lastScan, now, nil)
		for i := range former {
			c.Add(former[i], next[i], all(), nil)
		}
		c.Result()
	}
}
