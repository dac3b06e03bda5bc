package inventory_test

import (
	"testing"
	"time"

	"rekey/shared/inventory"
)

// Every property of a row counts, but when it was seen and changed.
func TestSame(t *testing.T) {
	base := func() *inventory.Application { return concluded(nil, nil, everything()...) }
	if a := base(); !inventory.Same(a, base()) {
		t.Fatal("a row is not the same as itself")
	}
	for name, change := range map[string]func(*inventory.Application){
		"tenant":              func(a *inventory.Application) { a.TenantID = id(8) },
		"client id":           func(a *inventory.Application) { a.ClientID = id(8) },
		"registration":        func(a *inventory.Application) { a.ObjectID = "" },
		"service principal":   func(a *inventory.Application) { a.PrincipalID = "" },
		"name":                func(a *inventory.Application) { a.Name = "x" },
		"audience":            func(a *inventory.Application) { a.Audience = "x" },
		"created":             func(a *inventory.Application) { a.CreatedAt = now },
		"home":                func(a *inventory.Application) { a.HomeTenantID = "x" },
		"disabled":            func(a *inventory.Application) { a.Disabled = !a.Disabled },
		"an owner less":       func(a *inventory.Application) { a.Owners = a.Owners[:1] },
		"an owner's name":     func(a *inventory.Application) { a.Owners[0].Name = "x" },
		"what an owner owns":  func(a *inventory.Application) { a.Owners[0].OfPrincipal = false },
		"more owners":         func(a *inventory.Application) { a.MoreOwners = true },
		"a credential less":   func(a *inventory.Application) { a.Credentials = a.Credentials[1:] },
		"a credential's name": func(a *inventory.Application) { a.Credentials[0].Name = "x" },
		"its start":           func(a *inventory.Application) { a.Credentials[0].StartsAt = now },
		"its end":             func(a *inventory.Application) { a.Credentials[0].EndsAt = now },
		"its last use":        func(a *inventory.Application) { a.Credentials[0].UsedAt = now },
		"its hint":            func(a *inventory.Application) { a.Credentials[0].Hint = "x" },
		"more credentials":    func(a *inventory.Application) { a.MoreCredentials++ },
		"federated":           func(a *inventory.Application) { a.Federated = nil },
		"a subject":           func(a *inventory.Application) { a.Federated[0].Subject = "x" },
		"unread":              func(a *inventory.Application) { a.Unread = []inventory.List{inventory.Activity} },
	} {
		a := base()
		change(a)
		if inventory.Same(a, base()) || inventory.Same(base(), a) {
			t.Errorf("%s: the same all the same", name)
		}
	}
	for name, change := range map[string]func(*inventory.Application){
		"first seen": func(a *inventory.Application) { a.FirstSeenAt = now.Add(day) },
		"changed":    func(a *inventory.Application) { a.ChangedAt = now.Add(day) },
		"a time in another zone": func(a *inventory.Application) {
			a.Credentials[0].EndsAt = a.Credentials[0].EndsAt.In(time.FixedZone("", 60))
		},
		"an empty list for no list": func(a *inventory.Application) { a.Unread = []inventory.List{} },
	} {
		a := base()
		change(a)
		if !inventory.Same(a, base()) {
			t.Errorf("%s: not the same", name)
		}
	}
}
