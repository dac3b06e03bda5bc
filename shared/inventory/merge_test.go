package inventory_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/inventory"
)

// told is what one list says.
type told struct {
	list inventory.List
	part inventory.Application
}

func merged(parts ...told) *inventory.Application {
	a := &inventory.Application{Key: key}
	for _, p := range parts {
		inventory.Merge(a, p.list, p.part)
	}
	return a
}

// concluded is the row of a scan that starts now.
func concluded(former *inventory.Application, refused []inventory.List, parts ...told) *inventory.Application {
	a := merged(parts...)
	a.Conclude(former, refused, now)
	return a
}

// registration, principal, federatedIDs and activity are what the lists say of one application.
func registration(changes ...func(*inventory.Application)) told {
	a := inventory.Application{
		Key: inventory.Key{ClientID: key.ClientID}, ObjectID: id(2), Name: "billing", Audience: "AzureADMyOrg",
		CreatedAt: now.Add(-900 * day), Owners: []inventory.Owner{{ID: id(4), Kind: "user", Name: "Ada"}},
		Credentials: []inventory.Credential{secret(11, 60*day), secret(10, 40*day)},
	}
	for _, change := range changes {
		change(&a)
	}
	return told{inventory.Applications, a}
}

func principal(changes ...func(*inventory.Application)) told {
	a := inventory.Application{
		Key: inventory.Key{ClientID: key.ClientID}, PrincipalID: id(3), Name: "billing (enterprise)", HomeTenantID: tenant, Disabled: true,
		Owners:      []inventory.Owner{{ID: id(4), Kind: "user", PrincipalName: "ada@example.com"}, {ID: id(5), Kind: "servicePrincipal"}},
		Credentials: []inventory.Credential{secret(20, 50*day, kind(inventory.SAMLSigning), held(inventory.Principal))},
	}
	for _, change := range changes {
		change(&a)
	}
	return told{inventory.Principals, a}
}

func federatedIDs() told {
	return told{inventory.FederatedIDs, inventory.Application{
		Key: inventory.Key{ClientID: key.ClientID}, ObjectID: id(2), Federated: []inventory.Federated{{ID: "f", Name: "github"}},
	}}
}

func activity(n int, ago time.Duration) told {
	return told{inventory.Activity, inventory.Application{
		Key: inventory.Key{ClientID: key.ClientID}, Credentials: []inventory.Credential{{KeyID: id(n), UsedAt: now.Add(-ago)}},
	}}
}

func everything() []told {
	return []told{registration(), federatedIDs(), principal(), activity(10, 40*day), activity(11, 30*day), activity(10, 20*day),
		activity(99, day)}
}

func TestMerge(t *testing.T) {
	a := concluded(nil, nil, everything()...)
	var credentials []string
	for _, c := range a.Credentials {
		credentials = append(credentials, fmt.Sprintf("%s %s %s used %s", c.KeyID[34:], c.Kind, c.Holder, c.UsedAt.Format("2006-01-02")))
	}
	want := []string{
		"10 client-secret application used 2026-02-18",
		"20 saml-signing service-principal used 0001-01-01",
		"11 client-secret application used 2026-02-08",
	}
	if !slices.Equal(credentials, want) {
		t.Errorf("credentials in the order of their ends, with the last of their sign-ins: %q", credentials)
	}
	owners := []inventory.Owner{
		{ID: id(4), Kind: "user", Name: "Ada", PrincipalName: "ada@example.com", OfRegistration: true, OfPrincipal: true},
		{ID: id(5), Kind: "servicePrincipal", OfPrincipal: true},
	}
	if !slices.Equal(a.Owners, owners) {
		t.Errorf("owners without repetition: %+v", a.Owners)
	}
	if a.Key != key || a.ObjectID != id(2) || a.PrincipalID != id(3) || a.HomeTenantID != tenant || !a.Disabled || len(a.Federated) != 1 ||
		a.Name != "billing" || a.Audience != "AzureADMyOrg" || !a.CreatedAt.Equal(now.Add(-900*day)) || len(a.Unread) > 0 {
		t.Errorf("got %+v", a)
	}
	if !a.FirstSeenAt.Equal(now) || !a.ChangedAt.Equal(now) {
		t.Errorf("first seen %s, changed %s", a.FirstSeenAt, a.ChangedAt)
	}
}

// Lists come in any order, and may say again what they said.
func TestMergeInAnyOrder(t *testing.T) {
	want := concluded(nil, nil, everything()...)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		parts := everything()
		for range r.IntN(4) {
			parts = append(parts, parts[r.IntN(len(parts))])
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		for i := range parts {
			c, o := slices.Clone(parts[i].part.Credentials), slices.Clone(parts[i].part.Owners)
			r.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
			r.Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
			parts[i].part.Credentials, parts[i].part.Owners = c, o
		}
		if got := concluded(nil, nil, parts...); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: got %+v, want %+v", seed, got, want)
		}
	}
}

// What a list says last counts: it may have the same application twice, before and after a change.
func TestMergeOfWhatChangedMeanwhile(t *testing.T) {
	changed := registration(func(a *inventory.Application) {
		a.Name, a.Owners, a.Credentials = "invoices", nil, []inventory.Credential{secret(12, 90*day)}
	})
	a := concluded(nil, nil, registration(), principal(), changed)
	if a.Name != "invoices" || len(a.Credentials) != 2 || a.Credentials[1].KeyID != id(12) {
		t.Errorf("got %q with %+v", a.Name, a.Credentials)
	}
	if a.Owners[0].OfRegistration || !a.Owners[0].OfPrincipal {
		t.Errorf("owners: %+v", a.Owners)
	}
}

func TestMergeOfTheServicePrincipalAlone(t *testing.T) {
	a := concluded(nil, nil, principal())
	if a.Name != "billing (enterprise)" || a.ObjectID != "" || !a.Kept() {
		t.Errorf("got %+v", a)
	}
	bare := concluded(nil, nil, principal(func(a *inventory.Application) { a.Credentials = nil }))
	if bare.Kept() {
		t.Error("an application of another tenant is kept without a credential in this one")
	}
	if own := concluded(nil, nil, registration(func(a *inventory.Application) { a.Credentials = nil })); !own.Kept() {
		t.Error("a registration is not kept")
	}
}

// Ids come in either letter case, ends with fractions of a second and from any zone, and one
// key id may come twice.
func TestMergeWritesAlike(t *testing.T) {
	c := secret(10, 40*day)
	c.KeyID, c.EndsAt = strings.ToUpper("ab-cd"), c.EndsAt.Add(300*time.Millisecond).In(time.FixedZone("", 3600))
	a := concluded(nil, nil, registration(func(a *inventory.Application) { a.Credentials = []inventory.Credential{c, c} }),
		told{inventory.Activity, inventory.Application{Credentials: []inventory.Credential{{KeyID: "AB-CD", UsedAt: now.Add(-day)}}}})
	if len(a.Credentials) != 1 || a.Credentials[0].KeyID != "ab-cd" || a.Credentials[0].EndsAt != now.Add(40*day) ||
		!a.Credentials[0].UsedAt.Equal(now.Add(-day)) {
		t.Errorf("got %+v", a.Credentials)
	}
}

func TestMergeBounds(t *testing.T) {
	part := registration(func(a *inventory.Application) {
		a.Name = strings.Repeat("ü", inventory.MaxText+1)
		a.Credentials, a.Owners = nil, nil
		for n := range inventory.MaxCredentials + 5 {
			a.Credentials = append(a.Credentials, secret(n, time.Duration(2000-n)*day, named("\xff"+strings.Repeat("n", 300))))
		}
		a.Credentials[7].EndsAt = time.Time{}
		a.MoreCredentials = 3
		for n := range inventory.MaxOwners {
			a.Owners = append(a.Owners, inventory.Owner{ID: id(n)})
		}
	})
	fic := federatedIDs()
	for n := range inventory.MaxFederated + 1 {
		fic.part.Federated = append(fic.part.Federated, inventory.Federated{ID: fmt.Sprint("f", n)})
	}
	a := concluded(nil, nil, part, fic)
	if a.Name != strings.Repeat("ü", inventory.MaxText) {
		t.Errorf("the name has %d bytes", len(a.Name))
	}
	if len(a.Credentials) != inventory.MaxCredentials || a.MoreCredentials != 8 {
		t.Errorf("%d credentials and %d more", len(a.Credentials), a.MoreCredentials)
	}
	// Those that end last are left out, and what never ends is the last of them.
	if last := a.Credentials[len(a.Credentials)-1]; last.KeyID != id(4) || last.EndsAt.IsZero() {
		t.Errorf("the last is %s", last.KeyID)
	}
	if name := a.Credentials[0].Name; !strings.HasPrefix(name, "\uFFFDn") || len([]rune(name)) != inventory.MaxText {
		t.Errorf("a name of a credential has %d bytes", len(name))
	}
	if len(a.Federated) != inventory.MaxFederated || !a.MoreOwners {
		t.Errorf("%d federated credentials, more owners %t", len(a.Federated), a.MoreOwners)
	}
	if b := concluded(nil, nil, principal()); b.MoreOwners {
		t.Error("two owners are not as many as Graph expands")
	}
}

// What is read from a row is what was written, so that a second scan finds nothing to write.
func TestRowsReadAsTheyWereWritten(t *testing.T) {
	a := concluded(nil, nil, everything()...)
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var row inventory.Application
	if err := json.Unmarshal(text, &row); err != nil {
		t.Fatal(err)
	}
	next := merged(everything()...)
	if next.Conclude(&row, nil, now.Add(day)) || !inventory.Same(next, &row) {
		t.Errorf("a second scan writes %+v over %+v", next, row)
	}
	if !next.FirstSeenAt.Equal(now) || !next.ChangedAt.Equal(now) {
		t.Errorf("first seen %s, changed %s", next.FirstSeenAt, next.ChangedAt)
	}
}
