package graph_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/tenant"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// reader is an application that may read all that a scan reads, but for what is left out.
func (w *world) reader(t *testing.T, without ...string) (clientID string, token rotation.Token) {
	t.Helper()
	roles := []string{directory.RoleReadAll, directory.RoleUserReadAll, directory.RoleAuditLogReadAll, directory.RolePolicyReadAll}
	app, err := w.AddApplication(directory.Registration{TenantID: w.app.TenantID, Settings: directory.Settings{
		DisplayName: "reader", Roles: slices.DeleteFunc(roles, func(r string) bool { return slices.Contains(without, r) }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	token, err = w.authority.Token(t.Context(), rotation.Application{TenantID: app.TenantID, ClientID: app.ClientID}, secret.New(app.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return app.ClientID, token
}

// scanned reads all lists and puts them together as a scan does.
func (w *world) scanned(t *testing.T, token rotation.Token) (apps map[string]inventory.Application, pages int) {
	t.Helper()
	merged := map[string]*inventory.Application{}
	for _, list := range inventory.Lists {
		for cursor, more := "", true; more; more = cursor != "" {
			p, err := w.graph.Page(t.Context(), token, list, cursor)
			if err != nil {
				t.Fatalf("%s: %v", list, err)
			}
			pages++
			cursor = p.Next
			for _, part := range p.Applications {
				if merged[part.ClientID] == nil {
					merged[part.ClientID] = &inventory.Application{Key: inventory.Key{TenantID: w.app.TenantID}}
				}
				inventory.Merge(merged[part.ClientID], list, part)
			}
		}
	}
	apps = map[string]inventory.Application{}
	for id, a := range merged {
		a.Conclude(nil, nil, w.now())
		a.FirstSeenAt, a.ChangedAt = time.Time{}, time.Time{}
		if a.Kept() {
			apps[id] = *a
		}
	}
	return apps, pages
}

// What is read of an ugly tenant is what was put into it, to the letter: all of it, and nothing
// else.
func TestInventoryOfTenant(t *testing.T) {
	w := newWorld(t, directory.Config{})
	truth, err := tenant.Generate(tenant.Config{
		Directory: w.Directory, TenantID: w.app.TenantID, Seed: 14, Applications: 300, Now: w.now(), Deployment: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	readerID, token := w.reader(t)
	found, pages := w.scanned(t, token)
	delete(found, readerID)
	delete(found, w.app.ClientID)
	want := truth.Applications()
	credentials := 0
	for _, a := range want {
		credentials += len(a.Credentials)
		got, wanted := row(t, found[a.ClientID]), row(t, a)
		if got != wanted {
			t.Errorf("found %s\nwant  %s", got, wanted)
		}
		delete(found, a.ClientID)
	}
	for id := range found {
		t.Errorf("%s is found, and is not in the tenant", id)
	}
	if len(want) != 300 || pages < 8 {
		t.Errorf("%d applications on %d pages: too few to show anything", len(want), pages)
	}
	t.Logf("%d applications with %d credentials on %d pages", len(want), credentials, pages)
	for _, shape := range []string{"nothing", "without-principal", "saml-of-gallery", "no such shape"} {
		a, ok := truth.Application(truth.Shape(shape))
		if !ok {
			a.ClientID = anyKey
		}
		registration, principal, err := w.graph.Exists(t.Context(), token, a.ClientID)
		if err != nil || registration != (a.ObjectID != "") || principal != (a.PrincipalID != "") {
			t.Errorf("%s: registration %t, principal %t, %v", shape, registration, principal, err)
		}
	}
}

// row is an application as it is stored.
func row(t *testing.T, a inventory.Application) string {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What a permission is missing for is refused as that, and the rest is read.
func TestInventoryPermissions(t *testing.T) {
	for _, tt := range []struct {
		without string
		refused []string // of [inventoryCalls]
	}{
		{"", nil},
		{directory.RoleAuditLogReadAll, []string{"activity"}},
		{directory.RolePolicyReadAll, []string{"policy"}},
		{directory.RoleReadAll, []string{"applications", "federated", "service-principals", "exists"}},
	} {
		w := newWorld(t, directory.Config{})
		_, token := w.reader(t, tt.without)
		for call, do := range inventoryCalls(w.graph, t, token) {
			err := do()
			if refused := slices.Contains(tt.refused, call); refused != (err != nil) ||
				refused && serviceerror.ClassOf(err) != serviceerror.Permission {
				t.Errorf("without %q, %s: %v", tt.without, call, err)
			}
		}
	}
}

// The limit on reads of certificates is that of two lists.
func TestInventoryThrottled(t *testing.T) {
	w := newWorld(t, directory.Config{Quotas: directory.DocumentedQuotas()})
	_, token := w.reader(t)
	var refused error
	read := 0
	for refused == nil && read < 1000 {
		list := []inventory.List{inventory.Applications, inventory.Principals}[read%2]
		if _, refused = w.graph.Page(t.Context(), token, list, ""); refused == nil {
			read++
		}
	}
	if read != 150 || serviceerror.ClassOf(refused) != serviceerror.Throttled || serviceerror.RetryAfterOf(refused) <= 0 {
		t.Fatalf("%d reads, then %v", read, refused)
	}
	for _, list := range []inventory.List{inventory.FederatedIDs, inventory.Activity} {
		if _, err := w.graph.Page(t.Context(), token, list, ""); err != nil {
			t.Errorf("%s: %v", list, err)
		}
	}
	w.pass(serviceerror.RetryAfterOf(refused))
	if _, err := w.graph.Page(t.Context(), token, inventory.Applications, ""); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// A place in a list that the directory has forgotten is refused as such, with the emulator's own
// 400.
func TestInventoryPlaceForgotten(t *testing.T) {
	w := newWorld(t, directory.Config{})
	if _, err := tenant.Generate(tenant.Config{
		Directory: w.Directory, TenantID: w.app.TenantID, Seed: 1, Applications: 260, Now: w.now(), Deployment: "test",
	}); err != nil {
		t.Fatal(err)
	}
	_, token := w.reader(t)
	p, err := w.graph.Page(t.Context(), token, inventory.Applications, "")
	if err != nil || p.Next == "" {
		t.Fatalf("next %q, %v", p.Next, err)
	}
	w.misbehave(func(string, *http.Request) *fault.Effect {
		return &fault.Effect{Status: 400, Code: "Directory_ExpiredPageToken"}
	})
	if _, err := w.graph.Page(t.Context(), token, inventory.Applications, p.Next); err == nil ||
		serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("forgotten: %v", err)
	}
	w.misbehave(nil)
	if next, err := w.graph.Page(t.Context(), token, inventory.Applications, p.Next); err != nil || len(next.Applications) == 0 {
		t.Errorf("remembered: %d applications, %v", len(next.Applications), err)
	}
}
