package inventory_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"rekey/shared/inventory"
)

// What a refused list would have told stays as it was known, and is marked; what the other
// lists told counts.
func TestConcludeKeeps(t *testing.T) {
	former := concluded(nil, nil, everything()...)
	fewer := registration(func(a *inventory.Application) {
		a.Credentials, a.Owners = []inventory.Credential{secret(10, 40*day)}, nil
	})
	lists := func(l ...inventory.List) []inventory.List { return l }
	for _, row := range []struct {
		name    string
		former  *inventory.Application
		refused []inventory.List
		told    []told
		unread  []inventory.List
		want    string
	}{
		{"everything was read", former, nil, []told{fewer, principal()}, nil, "10+20 owners 45 f0 principal"},
		{"nothing refused and nothing told is gone", former, nil, []told{fewer}, nil, "10 owners  f0"},
		{"service principals were refused", former, lists(inventory.Principals), []told{fewer, federatedIDs()}, lists(inventory.Principals),
			"10+20 owners 45 f1 principal"},
		{"after they told of this one", former, lists(inventory.Principals), []told{fewer, principal()}, nil, "10+20 owners 45 f0 principal"},
		{"federated credentials were refused", former, lists(inventory.FederatedIDs), []told{fewer, principal()}, lists(inventory.FederatedIDs),
			"10+20 owners 45 f1 principal"},
		{"of an application that was not known nothing is kept", nil, lists(inventory.Principals, inventory.FederatedIDs), []told{fewer},
			lists(inventory.FederatedIDs, inventory.Principals), "10 owners  f0"},
		{"what is registered elsewhere has no federated credentials to read", nil, lists(inventory.FederatedIDs), []told{principal()}, nil,
			"20 owners 45 f0 principal"},
		{"activity was refused", former, lists(inventory.Activity), []told{fewer, principal()}, lists(inventory.Activity),
			"10+20 owners 45 f0 principal"},
		{"which says nothing about signing SAML tokens", nil, lists(inventory.Activity), []told{principal()}, nil, "20 owners 45 f0 principal"},
		{"no list showed it, and its registration is there", former, nil,
			[]told{{inventory.Missing, inventory.Application{ObjectID: "x"}}}, lists(inventory.Applications, inventory.FederatedIDs),
			"10+11 owners 4 f1"},
		{"no list showed it, and both are there", former, nil,
			[]told{{inventory.Missing, inventory.Application{ObjectID: "x", PrincipalID: "y"}}},
			lists(inventory.Applications, inventory.FederatedIDs, inventory.Principals), "10+20+11 owners 45 f1 principal"},
		{"only the service principal was left out", former, nil,
			[]told{fewer, {inventory.Missing, inventory.Application{ObjectID: "x", PrincipalID: "y"}}},
			lists(inventory.Principals), "10+20 owners 45 f0 principal"},
		{"whether it is there could not be asked", former, lists(inventory.Missing), nil,
			lists(inventory.Applications, inventory.FederatedIDs, inventory.Principals), "10+20+11 owners 45 f1 principal"},
		{"what the lists told needs not be asked", former, lists(inventory.Missing), []told{fewer, principal()}, nil,
			"10+20 owners 45 f0 principal"},
	} {
		a := concluded(row.former, row.refused, row.told...)
		if got := summary(a); got != row.want || !slices.Equal(a.Unread, row.unread) {
			t.Errorf("%s: got %q unread %v, want %q unread %v", row.name, got, a.Unread, row.want, row.unread)
		}
	}
}

// summary is the last digits of credentials and owners, and so on.
func summary(a *inventory.Application) (s string) {
	for i, c := range a.Credentials {
		if i > 0 {
			s += "+"
		}
		s += c.KeyID[34:]
	}
	s += " owners "
	for _, o := range a.Owners {
		s += o.ID[35:]
	}
	s += " f" + string(rune('0'+len(a.Federated)))
	if a.PrincipalID != "" {
		s += " principal"
	}
	return s
}

// The former row is not changed by what is kept of it.
func TestConcludeLeavesTheFormerRowAlone(t *testing.T) {
	former, copied := concluded(nil, nil, everything()...), concluded(nil, nil, everything()...)
	next := merged(registration(func(a *inventory.Application) { a.Owners = nil }))
	next.Conclude(former, []inventory.List{inventory.Principals, inventory.FederatedIDs}, now.Add(day))
	next.Owners[0].Name, next.Federated[0].Name, next.Credentials[0].Name = "x", "x", "x"
	if !reflect.DeepEqual(former, copied) {
		t.Errorf("got %+v", former)
	}
}

// A connection that may not read owners shows their ids alone. What was known of them stays, which is no change.
func TestConcludeKeepsWhatIsKnownOfOwners(t *testing.T) {
	former := concluded(nil, nil, everything()...)
	nameless := func(a *inventory.Application) {
		a.Owners = slices.Clone(a.Owners)
		for i := range a.Owners {
			a.Owners[i].Name, a.Owners[i].PrincipalName = "", ""
		}
	}
	next := merged(registration(nameless), federatedIDs(), principal(nameless))
	if next.Conclude(former, nil, now.Add(day)) || !next.ChangedAt.Equal(now) || !slices.Equal(next.Owners, former.Owners) {
		t.Errorf("changed %s: %+v", next.ChangedAt, next.Owners)
	}
	renamed := merged(registration(func(a *inventory.Application) { a.Owners[0].Name = "Ada Lovelace" }), federatedIDs(), principal())
	if !renamed.Conclude(former, nil, now.Add(day)) || renamed.Owners[0].Name != "Ada Lovelace" {
		t.Errorf("another name: %+v", renamed.Owners)
	}
}

// The first scan after something was refused for the first time writes rows, the next does not.
func TestConcludeWritesWhatCouldNotBeReadOnce(t *testing.T) {
	former := concluded(nil, nil, everything()...)
	refused := []inventory.List{inventory.Principals}
	next := merged(registration(), federatedIDs())
	if !next.Conclude(former, refused, now.Add(day)) || !next.ChangedAt.Equal(now) {
		t.Error("it is not marked, or it looks as if the application had changed")
	}
	again := merged(registration(), federatedIDs())
	if again.Conclude(next, refused, now.Add(2*day)) {
		t.Error("the same is written again")
	}
}

// What is in use every day is written once a week; when it is used no more, the row has the last
// sign-in exactly.
func TestLastUseIsWrittenOnceAWeek(t *testing.T) {
	scan := func(former *inventory.Application, at, usedAt time.Time) (*inventory.Application, bool) {
		a := merged(registration(), told{inventory.Activity, inventory.Application{
			Credentials: []inventory.Credential{{KeyID: id(10), UsedAt: usedAt}},
		}})
		write := a.Conclude(former, nil, at)
		return a, write
	}
	var row *inventory.Application
	var writes []int
	const lastDay = 45 // of its use
	for d := range 140 {
		at := now.Add(time.Duration(d) * day)
		next, write := scan(row, at, now.Add(time.Duration(min(d, lastDay))*day-3*time.Hour))
		if row = next; write {
			writes = append(writes, d)
		}
		if exact := now.Add(lastDay*day - 3*time.Hour); d >= lastDay+7 && !row.Credentials[0].UsedAt.Equal(exact) {
			t.Fatalf("day %d: last used %s, want %s", d, row.Credentials[0].UsedAt, exact)
		}
	}
	if want := []int{0, 7, 14, 21, 28, 35, 42, 52}; !slices.Equal(writes, want) {
		t.Errorf("written on the days %v, want %v", writes, want)
	}
	if !row.ChangedAt.Equal(now) {
		t.Errorf("it looks as if it had changed on %s", row.ChangedAt)
	}
	// What the report shows no more, or shows as it was before, was used all the same.
	for _, usedAt := range []time.Time{{}, now} {
		if next, write := scan(row, now.Add(150*day), usedAt); write || !next.Credentials[0].UsedAt.Equal(row.Credentials[0].UsedAt) {
			t.Errorf("the last sign-in became %s", next.Credentials[0].UsedAt)
		}
	}
}
