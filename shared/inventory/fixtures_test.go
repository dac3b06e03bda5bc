package inventory_test

import (
	"fmt"
	"time"

	"rekey/shared/inventory"
)

// The tests of the findings are their specification: each row says in its name what holds.
// All of them happen now.
var (
	now    = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	tenant = id(9)
	key    = inventory.Key{TenantID: tenant, ClientID: id(1)}
)

const (
	second = time.Second
	day    = 24 * time.Hour
)

// id makes a GUID.
func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// app is an application with an owner, about which there is nothing to say.
func app(changes ...func(*inventory.Application)) *inventory.Application {
	a := &inventory.Application{
		Key: key, ObjectID: id(2), PrincipalID: id(3), Name: "billing", Audience: "AzureADMyOrg",
		Owners: []inventory.Owner{{ID: id(4), Kind: "user", OfRegistration: true}},
	}
	for _, change := range changes {
		change(a)
	}
	return a
}

// secret is a client secret of the registration, made ten days ago, which ends after a time.
func secret(n int, ends time.Duration, changes ...func(*inventory.Credential)) inventory.Credential {
	c := inventory.Credential{
		KeyID: id(n), Kind: inventory.ClientSecret, Holder: inventory.Registration, StartsAt: now.Add(-10 * day), EndsAt: now.Add(ends),
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func kind(k inventory.CredentialKind) func(*inventory.Credential) {
	return func(c *inventory.Credential) { c.Kind = k }
}

func held(h inventory.Holder) func(*inventory.Credential) {
	return func(c *inventory.Credential) { c.Holder = h }
}

func named(name string) func(*inventory.Credential) {
	return func(c *inventory.Credential) { c.Name = name }
}

func since(age time.Duration) func(*inventory.Credential) {
	return func(c *inventory.Credential) { c.StartsAt = now.Add(-age) }
}

func used(ago time.Duration) func(*inventory.Credential) {
	return func(c *inventory.Credential) { c.UsedAt = now.Add(-ago) }
}

func endless(c *inventory.Credential) { c.EndsAt = time.Time{} }

func with(credentials ...inventory.Credential) func(*inventory.Application) {
	return func(a *inventory.Application) { a.Credentials = credentials }
}

func ownerless(a *inventory.Application) { a.Owners = nil }

// all is what is known where everything can be read.
func all(managers ...inventory.Manager) inventory.Facts {
	return inventory.Facts{Deployment: "prod", AsOf: now, Activity: true, Owners: true, Known: true, Managers: managers}
}

// rotation is a connection that rotates the application's client secret, and knows some.
func rotation(keyIDs ...string) inventory.Manager {
	return inventory.Manager{ConnectionID: id(70), Name: "billing", Rotates: true, KeyIDs: keyIDs}
}
