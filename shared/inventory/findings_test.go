package inventory_test

import (
	"slices"
	"testing"
	"time"

	"rekey/shared/inventory"
)

// findingRow has what Findings says of an application, as kinds in their order.
type findingRow struct {
	name  string
	app   *inventory.Application
	facts inventory.Facts
	want  []inventory.FindingKind
}

func testFindings(t *testing.T, rows []findingRow) {
	t.Helper()
	for _, row := range rows {
		var got []inventory.FindingKind
		for _, f := range inventory.Findings(now, row.app, row.facts, nil) {
			got = append(got, f.Kind)
			if f.Advice == "" || f.Accepted != nil {
				t.Errorf("%s: %s has no advice, or is accepted", row.name, f.Kind)
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}

type kinds = []inventory.FindingKind

func TestFindingsAboutEnds(t *testing.T) {
	saml, cert := kind(inventory.SAMLSigning), kind(inventory.Certificate)
	testFindings(t, []findingRow{
		{"nothing to say of an application without credentials", app(), all(), nil},
		{"nor of a client secret that ends in 91 days", app(with(secret(10, 91*day))), all(), nil},
		{"a second more than 90 days is not yet within 90", app(with(secret(10, 90*day+second))), all(), nil},
		{"exactly 90 days are", app(with(secret(10, 90*day))), all(), kinds{inventory.EndsIn90Days}},
		{"a second more than 30 days is within 90", app(with(secret(10, 30*day+second))), all(), kinds{inventory.EndsIn90Days}},
		{"exactly 30 days are within 30", app(with(secret(10, 30*day))), all(), kinds{inventory.EndsIn30Days}},
		{"a second more than 7 days is within 30", app(with(secret(10, 7*day+second))), all(), kinds{inventory.EndsIn30Days}},
		{"exactly 7 days are within 7, and in no other range", app(with(secret(10, 7*day))), all(), kinds{inventory.EndsIn7Days}},
		{"so is the last second", app(with(secret(10, second))), all(), kinds{inventory.EndsIn7Days}},
		{"at its end a credential has expired", app(with(secret(10, 0))), all(), kinds{inventory.Expired}},
		{"and stays so", app(with(secret(10, -400*day, since(800*day)))), all(), kinds{inventory.Expired}},
		{"a certificate counts", app(with(secret(10, 5*day, cert))), all(), kinds{inventory.EndsIn7Days}},
		{"a SAML signing certificate counts", app(with(secret(10, 5*day, saml, held(inventory.Principal)))), all(),
			kinds{inventory.EndsIn7Days}},
		{"what the service principal has counts", app(with(secret(10, 5*day, held(inventory.Principal)))), all(), kinds{inventory.EndsIn7Days}},
		{"one that is not good yet counts", app(with(secret(10, 5*day, since(-day)))), all(), kinds{inventory.EndsIn7Days}},
		{"each credential has its own, the most pressing first", app(with(secret(10, -day), secret(11, 5*day, cert), secret(12, 20*day,
			cert))), all(),
			kinds{inventory.EndsIn7Days, inventory.EndsIn30Days, inventory.Expired}},
		{"what never ends", app(with(secret(10, 0, endless))), all(), kinds{inventory.NeverEnds}},
		{"a certificate that never ends", app(with(secret(10, 0, endless, cert))), all(), kinds{inventory.NeverEnds}},
	})
}

func TestFindingsAboutLength(t *testing.T) {
	cert := kind(inventory.Certificate)
	policy := func(longest time.Duration) inventory.Facts {
		f := all()
		f.Longest = longest
		return f
	}
	testFindings(t, []findingRow{
		{"180 days are right", app(with(secret(10, 170*day))), all(), nil},
		{"a second more is too long", app(with(secret(10, 170*day+second))), all(), kinds{inventory.TooLong}},
		{"a policy that allows less counts", app(with(secret(10, 110*day))), policy(100 * day), kinds{inventory.TooLong}},
		{"exactly what it allows is right", app(with(secret(10, 110*day, since(0)))), policy(110 * day), nil},
		{"a policy that allows more does not", app(with(secret(10, 200*day))), policy(365 * day), kinds{inventory.TooLong}},
		{"certificates live for longer", app(with(secret(10, 300*day, cert))), policy(100 * day), nil},
		{"what has ended is not too long any more", app(with(secret(10, -day, since(800*day)))), all(), kinds{inventory.Expired}},
		{"what ends within days is to be replaced anyway", app(with(secret(10, 7*day, since(800*day), used(day)))), all(),
			kinds{inventory.EndsIn7Days}},
		{"what ends later is too long as well", app(with(secret(10, 7*day+second, since(800*day), used(day)))), all(),
			kinds{inventory.EndsIn30Days, inventory.TooLong}},
		{"what never ends is not too long as well", app(with(secret(10, 0, endless))), policy(100 * day), kinds{inventory.NeverEnds}},
		{"without a start it counts from now", app(with(secret(10, 181*day, func(c *inventory.Credential) { c.StartsAt = time.Time{} }))), all(),
			kinds{inventory.TooLong}},
		{"without a start 180 days from now may be right", app(with(secret(10, 180*day,
			func(c *inventory.Credential) { c.StartsAt = time.Time{} }))),
			all(), nil},
	})
}

func TestFindingsAboutRotation(t *testing.T) {
	long := secret(10, 300*day)
	marked := func(n int, name string) inventory.Credential { return secret(n, 100*day, named(name)) }
	mine := marked(10, "rekey/prod/"+id(70)+"/abcdefghij")
	signsIn := inventory.Manager{ConnectionID: id(71), Name: "admin", KeyIDs: []string{id(10)}}
	issuing := inventory.Manager{ConnectionID: id(70), Rotates: true, Markers: []string{mine.Name}}
	target := inventory.Manager{ConnectionID: id(72), TargetID: id(70), Rotates: true}
	unknown := all()
	unknown.Known = false
	nameless := all()
	nameless.Deployment = ""
	removedSince, removedBefore := rotation(id(11)), rotation(id(11))
	removedSince.RemovedAt, removedBefore.RemovedAt = now.Add(second), now
	otherRemovedSince := removedSince
	otherRemovedSince.ConnectionID = id(71)
	targetRemovedSince := target
	targetRemovedSince.RemovedAt = now.Add(second)
	testFindings(t, []findingRow{
		{"what rotates is told", app(), all(rotation()), kinds{inventory.Managed}},
		{"what only signs in is not", app(), all(signsIn), nil},
		{"the end of what a rotation knows is its business", app(with(secret(10, 5*day))), all(rotation(id(10))), kinds{inventory.Managed}},
		{"so is its length", app(with(long)), all(rotation(id(10))), kinds{inventory.Managed}},
		{"and that it has no end", app(with(secret(10, 0, endless))), all(rotation(id(10))), kinds{inventory.Managed}},
		{"but not that it has expired", app(with(secret(10, -day))), all(rotation(id(10))), kinds{inventory.Expired, inventory.Managed}},
		{"what is being issued is known by its marker", app(with(marked(10, mine.Name))), all(issuing), kinds{inventory.Managed}},
		{"what it does not know ends as ever", app(with(secret(10, 5*day))), all(rotation(id(11))), kinds{inventory.EndsIn7Days,
			inventory.Managed}},
		{"so does what a connection only signs in with", app(with(secret(10, 5*day))), all(signsIn), kinds{inventory.EndsIn7Days}},

		{"two live client secrets are several", app(with(secret(10, 100*day), secret(11, 110*day))), all(), kinds{inventory.SeveralSecrets}},
		{"of registration and service principal together", app(with(secret(10, 100*day), secret(11, 110*day, held(inventory.Principal)))), all(),
			kinds{inventory.SeveralSecrets}},
		{"expired ones do not count", app(with(secret(10, -day), secret(11, 110*day))), all(), kinds{inventory.Expired}},
		{"certificates do not count", app(with(secret(10, 100*day, kind(inventory.Certificate)), secret(11, 110*day))), all(), nil},
		{"a rotation explains the ones that it knows", app(with(secret(10, 100*day), secret(11, 110*day), secret(12, 120*day))),
			all(rotation(id(10), id(11), id(12))), kinds{inventory.Managed}},
		{"another one beside them is one too many", app(with(secret(10, 100*day), secret(11, 110*day))), all(rotation(id(10))),
			kinds{inventory.SeveralSecrets, inventory.Managed}},
		{"without the records there may be an explanation", app(with(secret(10, 100*day), secret(11, 110*day))), unknown, nil},

		{"a marker that no record has", app(with(mine)), all(), kinds{inventory.Orphan}},
		{"nor that of its connection", app(with(mine)), all(rotation(id(11))), kinds{inventory.Orphan, inventory.Managed}},
		{"expired or not", app(with(secret(10, -day, named(mine.Name)))), all(), kinds{inventory.Orphan, inventory.Expired}},
		{"one that a connection knows is none", app(with(mine)), all(rotation(id(10))), kinds{inventory.Managed}},
		{"whatever the case of the key id", app(with(secret(10, 100*day, named(mine.Name), func(c *inventory.Credential) { c.KeyID = "ABC" }))),
			all(rotation("abc")), kinds{inventory.Managed}},
		{"whether it rotates it or signs in with it", app(with(mine)), all(signsIn), nil},
		{"without the records that is not known", app(with(mine)), unknown, nil},
		{"the marker of another deployment is another's business", app(with(marked(10, "rekey/test/"+id(70)+"/abcdefghij"))), all(), nil},
		{"a deployment whose name begins alike is another one", app(with(marked(10, "rekey/prod2/"+id(70)+"/abcdefghij"))), all(), nil},
		{"the prefix alone is no marker", app(with(marked(10, "rekey/prod/"+id(70)))), all(), nil},
		{"nor is one without a connection", app(with(marked(10, "rekey/prod//abcdefghij"))), all(), nil},
		{"a certificate of that name is none of Rekey's", app(with(secret(10, 100*day, named(mine.Name), kind(inventory.Certificate)))),
			all(), nil},
		{"without a deployment no marker is known", app(with(marked(10, "rekey//x/y"))), nameless, nil},
		{"what its connection has removed since the scan is gone", app(with(mine)), all(removedSince), kinds{inventory.Managed}},
		{"what its target has removed since, too", app(with(mine)), all(targetRemovedSince), kinds{inventory.Managed}},
		{"what was removed before the scan would not show", app(with(mine)), all(removedBefore), kinds{inventory.Orphan, inventory.Managed}},
		{"what another connection has removed says nothing", app(with(mine)), all(otherRemovedSince), kinds{inventory.Orphan,
			inventory.Managed}},
	})
}

func TestFindingsAboutOwners(t *testing.T) {
	unreadable := all()
	unreadable.Owners = false
	unread := func(list inventory.List) func(*inventory.Application) {
		return func(a *inventory.Application) { a.Unread = append(a.Unread, list) }
	}
	testFindings(t, []findingRow{
		{"without an owner", app(ownerless), all(), kinds{inventory.Ownerless}},
		{"an owner of the service principal is one", app(func(a *inventory.Application) {
			a.Owners = []inventory.Owner{{ID: id(4), OfPrincipal: true}}
		}), all(), nil},
		{"owners that could not be read may be there", app(ownerless), unreadable, nil},
		{"those of the service principal, too", app(ownerless, unread(inventory.Principals)), all(), kinds{inventory.Incomplete}},
		{"something ends in exactly 30 days", app(ownerless, with(secret(10, 30*day))), all(),
			kinds{inventory.OwnerlessEnding, inventory.EndsIn30Days, inventory.Ownerless}},
		{"a second later is not soon", app(ownerless, with(secret(10, 30*day+second))), all(), kinds{inventory.EndsIn90Days,
			inventory.Ownerless}},
		{"what has ended does not end", app(ownerless, with(secret(10, 0))), all(), kinds{inventory.Expired, inventory.Ownerless}},
		{"what a rotation replaces needs no owner", app(ownerless, with(secret(10, 5*day))), all(rotation(id(10))),
			kinds{inventory.Ownerless, inventory.Managed}},
		{"one that ends among many is enough", app(ownerless, with(secret(10, 5*day), secret(11, 120*day, kind(inventory.Certificate)))), all(),
			kinds{inventory.EndsIn7Days, inventory.OwnerlessEnding, inventory.Ownerless}},
	})
}

func TestFindingsAboutUse(t *testing.T) {
	blind := all()
	blind.Activity = false
	stale := all()
	stale.AsOf = now.Add(-20 * day)
	old := func(changes ...func(*inventory.Credential)) *inventory.Application {
		return app(with(secret(10, 60*day+40*day, append([]func(*inventory.Credential){since(80 * day)}, changes...)...)))
	}
	testFindings(t, []findingRow{
		{"never used, and good for 90 days", old(since(90 * day)), allowing(all(), 400*day), kinds{inventory.TooLong, inventory.Unused}},
		{"a second less is too young to tell", old(since(90*day - second)), all(), kinds{inventory.TooLong}},
		{"last used 90 days ago", old(since(100*day), used(90*day)), all(), kinds{inventory.TooLong, inventory.Unused}},
		{"a second later is in use", old(since(100*day), used(90*day-second)), all(), kinds{inventory.TooLong}},
		{"without the activity that is not known", old(since(100 * day)), blind, kinds{inventory.TooLong}},
		{"it is judged as of the scan", old(since(100*day), used(100*day)), stale, kinds{inventory.TooLong}},
		{"certificates count", old(since(400*day), kind(inventory.Certificate)), all(), kinds{inventory.Unused}},
		{"what signs SAML tokens signs nothing in", old(since(400*day), kind(inventory.SAMLSigning)), all(), nil},
		{"what has expired is not unused as well", app(with(secret(10, -day, since(170*day)))), all(), kinds{inventory.Expired}},
		{"without a start its age is not known", old(func(c *inventory.Credential) { c.StartsAt = time.Time{} }), all(), nil},
	})
}

func allowing(f inventory.Facts, longest time.Duration) inventory.Facts {
	f.Longest = longest
	return f
}

func TestFindingsAboutApplications(t *testing.T) {
	disabled := func(a *inventory.Application) { a.Disabled = true }
	federated := func(a *inventory.Application) { a.Federated = []inventory.Federated{{ID: "f", Name: "github"}} }
	audience := func(s string) func(*inventory.Application) {
		return func(a *inventory.Application) { a.Audience = s }
	}
	unread := func(lists ...inventory.List) func(*inventory.Application) {
		return func(a *inventory.Application) { a.Unread = lists }
	}
	testFindings(t, []findingRow{
		{"disabled with a live credential", app(disabled, with(secret(10, 100*day))), all(), kinds{inventory.DisabledFinding}},
		{"disabled with a certificate", app(disabled, with(secret(10, 100*day, kind(inventory.Certificate)))), all(),
			kinds{inventory.DisabledFinding}},
		{"disabled with an expired one", app(disabled, with(secret(10, 0))), all(), kinds{inventory.Expired}},
		{"disabled with nothing", app(disabled), all(), nil},

		{"federated with a live client secret", app(federated, with(secret(10, 100*day))), all(), kinds{inventory.FederatedAlready}},
		{"federated with a certificate", app(federated, with(secret(10, 100*day, kind(inventory.Certificate)))), all(), nil},
		{"federated with an expired one", app(federated, with(secret(10, 0))), all(), kinds{inventory.Expired}},
		{"federated with one of the service principal", app(federated, with(secret(10, 100*day, held(inventory.Principal)))), all(), nil},
		{"federated only", app(federated), all(), nil},

		{"personal accounts of all kinds", app(audience("AzureADandPersonalMicrosoftAccount")), all(), kinds{inventory.RoomForOne}},
		{"personal accounts only", app(audience("PersonalMicrosoftAccount"), with(secret(10, 100*day))), all(), kinds{inventory.RoomForOne}},
		{"several tenants have room", app(audience("AzureADMultipleOrgs")), all(), nil},
		{"so has what is registered elsewhere", app(audience("PersonalMicrosoftAccount"),
			func(a *inventory.Application) { a.ObjectID = "" }), all(), nil},

		{"a part was not read", app(unread(inventory.FederatedIDs)), all(), kinds{inventory.Incomplete}},
		{"activity is told of the tenant", app(unread(inventory.Activity)), all(), nil},
		{"too many credentials", app(func(a *inventory.Application) { a.MoreCredentials = 1 }), all(), kinds{inventory.Incomplete}},
		{"twenty owners are enough", app(func(a *inventory.Application) { a.MoreOwners = true }), all(), nil},
	})
}

// Every kind of finding is in the order, and has its own place.
func TestUrgency(t *testing.T) {
	for i, k := range inventory.Kinds {
		if k.Urgency() != i {
			t.Errorf("%s: %d, want %d", k, k.Urgency(), i)
		}
	}
	if got := inventory.FindingKind("another").Urgency(); got != len(inventory.Kinds) {
		t.Errorf("an unknown kind: %d", got)
	}
}

func TestAcceptance(t *testing.T) {
	a := app(with(secret(10, 5*day), secret(11, 20*day, kind(inventory.Certificate))))
	ends := func(k inventory.FindingKind, n int, until time.Duration) inventory.Acceptance {
		x := inventory.Acceptance{Kind: k, Reason: "r", By: "b", Until: now.Add(until)}
		if n > 0 {
			x.KeyID = id(n)
		}
		return x
	}
	for _, row := range []struct {
		name     string
		accepted []inventory.Acceptance
		want     string // kinds in their order, the accepted ones with *
	}{
		{"nothing is accepted", nil, "ends-in-7-days ends-in-30-days"},
		{"by kind and key id", []inventory.Acceptance{ends(inventory.EndsIn7Days, 10, day)}, "ends-in-30-days ends-in-7-days*"},
		{"by kind, whatever credential", []inventory.Acceptance{ends(inventory.EndsIn7Days, 0, day)}, "ends-in-30-days ends-in-7-days*"},
		{"another key id", []inventory.Acceptance{ends(inventory.EndsIn7Days, 11, day)}, "ends-in-7-days ends-in-30-days"},
		{"another kind", []inventory.Acceptance{ends(inventory.EndsIn30Days, 10, day)}, "ends-in-7-days ends-in-30-days"},
		{"until its end", []inventory.Acceptance{ends(inventory.EndsIn7Days, 10, second)}, "ends-in-30-days ends-in-7-days*"},
		{"and not at its end", []inventory.Acceptance{ends(inventory.EndsIn7Days, 10, 0)}, "ends-in-7-days ends-in-30-days"},
		{"another one may go on", []inventory.Acceptance{ends(inventory.EndsIn7Days, 10, 0), ends(inventory.EndsIn7Days, 0, day)},
			"ends-in-30-days ends-in-7-days*"},
		{"both", []inventory.Acceptance{ends(inventory.EndsIn30Days, 11, day), ends(inventory.EndsIn7Days, 10, day)},
			"ends-in-7-days* ends-in-30-days*"},
	} {
		got := ""
		for i, f := range inventory.Findings(now, a, all(), row.accepted) {
			if i > 0 {
				got += " "
			}
			if got += string(f.Kind); f.Accepted != nil {
				got += "*"
			}
		}
		if got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
	// The one that holds for longest is shown.
	found := inventory.Findings(now, a, all(), []inventory.Acceptance{ends(inventory.EndsIn7Days, 10, day), ends(inventory.EndsIn7Days,
		0, 2*day)})
	if got := found[1].Accepted; got == nil || !got.Until.Equal(now.Add(2*day)) {
		t.Errorf("of two acceptances: %+v", got)
	}
}

// A scan that was refused a list knows less.
func TestFactsOf(t *testing.T) {
	refused := func(lists ...inventory.List) (unread []inventory.Unread) {
		for _, list := range lists {
			unread = append(unread, inventory.Unread{List: list})
		}
		return unread
	}
	if f := inventory.FactsOf(now, refused(inventory.Principals, inventory.Policy), day); !f.Activity || !f.Owners || f.AsOf != now ||
		f.Longest != day || f.Known {
		t.Errorf("got %+v", f)
	}
	if f := inventory.FactsOf(now, refused(inventory.Activity), 0); f.Activity || !f.Owners {
		t.Errorf("without the activity: %+v", f)
	}
	if f := inventory.FactsOf(now, refused(inventory.Applications), 0); !f.Activity || f.Owners {
		t.Errorf("without the applications: %+v", f)
	}
}
