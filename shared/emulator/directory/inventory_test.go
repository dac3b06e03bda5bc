package directory_test

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// The requests of a scan, as it sends them.
const (
	scanApplications = "/applications?$select=id,appId,displayName,signInAudience,createdDateTime,passwordCredentials,keyCredentials" +
		"&$expand=owners($select=id,displayName,userPrincipalName)&$top=200"
	scanFederated  = "/applications?$select=id,appId&$expand=federatedIdentityCredentials&$top=200"
	scanPrincipals = "/servicePrincipals?$select=id,appId,displayName,servicePrincipalType,accountEnabled,appOwnerOrganizationId," +
		"passwordCredentials,keyCredentials&$expand=owners($select=id,displayName,userPrincipalName)&$top=200"
	scanActivity = "/reports/appCredentialSignInActivities?$top=200"
	policyPath   = "/policies/defaultAppManagementPolicy"
)

// beta asks for a path of the beta version.
func (w *world) beta(token, path string) answer {
	w.t.Helper()
	return w.bearer(token, w.graph.URL+"/beta"+path)
}

func (w *world) bearer(token, address string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return w.do(w.graph.Client(), r)
}

// reader returns the token of an application that has these permissions.
func (w *world) reader(roles ...string) string {
	w.t.Helper()
	return w.token(w.register(directory.Registration{Settings: directory.Settings{DisplayName: "reader", Roles: roles}}))
}

// pages reads a list to its end, and calls between after each page but the last.
func (w *world) pages(token string, first answer, between func(page int)) (all []map[string]any, pages int) {
	w.t.Helper()
	for a := first; ; a = w.bearer(token, a.body["@odata.nextLink"].(string)) {
		if a.status != http.StatusOK {
			w.t.Fatalf("page %d: %d %v", pages+1, a.status, a.body)
		}
		for _, v := range a.body["value"].([]any) {
			all = append(all, v.(map[string]any))
		}
		if pages++; pages > 1000 {
			w.t.Fatal("the list has no end")
		}
		if a.body["@odata.nextLink"] == nil {
			return all, pages
		}
		if between != nil {
			between(pages)
		}
	}
}

// one finds the object with that client id.
func one(t *testing.T, all []map[string]any, clientID string) map[string]any {
	t.Helper()
	i := slices.IndexFunc(all, func(o map[string]any) bool { return o["appId"] == clientID })
	if i < 0 {
		t.Fatalf("no object of %s among %d", clientID, len(all))
	}
	return all[i]
}

// wantJSON compares a value with its JSON.
func wantJSON(t *testing.T, what string, got any, want string) {
	t.Helper()
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	sorted, err := json.Marshal(wanted)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != string(sorted) {
		t.Errorf("%s:\n got %s\nwant %s", what, data, sorted)
	}
}

var (
	signingThumb = sha1.Sum([]byte("certificate"))
	began        = time.Date(2025, 1, 2, 3, 4, 5, 678900000, time.UTC)
	ends         = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
)

const (
	keyOne = "00000000-0000-4000-8000-000000000001"
	keyTwo = "00000000-0000-4000-8000-000000000002"
	home   = "00000000-0000-4000-8000-0000000000aa"
)

// TestApplicationsWire is the golden form of an application with everything that a scan reads.
func TestApplicationsWire(t *testing.T) {
	w := newWorld(t, directory.Config{})
	person, err := w.AddUser(directory.User{TenantID: w.tenant, Name: "Ada Lovelace"})
	if err != nil {
		t.Fatal(err)
	}
	app := w.register(directory.Registration{
		Settings: directory.Settings{DisplayName: "full", SignInAudience: "PersonalMicrosoftAccount",
			Owners: []string{person, w.app.ServicePrincipalID}},
		CreatedAt: began,
		Credentials: &directory.Credentials{
			Secrets: []directory.Secret{{KeyID: keyOne, DisplayName: "never", StartsAt: began}},
			Keys:    []directory.Key{{KeyID: keyTwo, DisplayName: "CN=x", Identifier: signingThumb[:], StartsAt: began, EndsAt: ends}},
		},
	})
	all, _ := w.pages(w.reader(directory.RoleDirectoryReadAll), w.get(w.reader(directory.RoleDirectoryReadAll), scanApplications), nil)
	wantJSON(t, "application", one(t, all, app.ClientID), fmt.Sprintf(`{
		"id": %q, "appId": %q, "displayName": "full", "signInAudience": "PersonalMicrosoftAccount",
		"createdDateTime": "2025-01-02T03:04:05.6789000Z",
		"passwordCredentials": [{"customKeyIdentifier": null, "displayName": "never", "hint": null, "keyId": %q, "secretText": null,
			"startDateTime": "2025-01-02T03:04:05.6789000Z", "endDateTime": null}],
		"keyCredentials": [{"customKeyIdentifier": "c1rVccGJ17qERkv0qfHSKAF1sSg=", "displayName": "CN=x", "key": null, "keyId": %q,
			"type": "AsymmetricX509Cert", "usage": "Verify",
			"startDateTime": "2025-01-02T03:04:05.6789000Z", "endDateTime": "2027-01-02T03:04:05.0000000Z"}],
		"owners": [
			{"@odata.type": "#microsoft.graph.user", "id": %q, "displayName": "Ada Lovelace", "userPrincipalName": %q},
			{"@odata.type": "#microsoft.graph.servicePrincipal", "id": %q, "displayName": "sample"}]
	}`, app.ObjectID, app.ClientID, keyOne, keyTwo, person, w.PrincipalName(person), w.app.ServicePrincipalID))
}

// TestPrincipalsWire: those of registrations, of other tenants' applications, and managed
// identities; a SAML signing certificate is three entries.
func TestPrincipalsWire(t *testing.T) {
	w := newWorld(t, directory.Config{})
	signing := directory.SigningCertificate{SignKeyID: keyOne, VerifyKeyID: keyTwo,
		DisplayName: "CN=Microsoft Azure Federated SSO Certificate", Thumbprint: signingThumb, StartsAt: began, EndsAt: ends}
	_, gallery, err := w.AddPrincipal(directory.Principal{TenantID: w.tenant, DisplayName: "gallery", HomeTenantID: home,
		PrincipalSettings: directory.PrincipalSettings{Disabled: true, Owners: []string{w.app.ServicePrincipalID}},
		Credentials:       signing.Credentials()})
	if err != nil {
		t.Fatal(err)
	}
	_, identity, err := w.AddPrincipal(directory.Principal{TenantID: w.tenant, DisplayName: "vm", Kind: directory.KindManagedIdentity})
	if err != nil {
		t.Fatal(err)
	}
	token := w.reader(directory.RoleReadAll)
	all, _ := w.pages(token, w.get(token, scanPrincipals), nil)
	own, foreign, managed := one(t, all, w.app.ClientID), one(t, all, gallery), one(t, all, identity)
	for _, p := range []struct {
		object                             map[string]any
		name, kind, home, enabled, expands string
	}{
		{own, "sample", "Application", w.tenant, "true", "[]"},
		{foreign, "gallery", "Application", home, "false", `[map[@odata.type:#microsoft.graph.servicePrincipal displayName:sample id:` +
			w.app.ServicePrincipalID + `]]`},
		{managed, "vm", "ManagedIdentity", "<nil>", "true", "[]"},
	} {
		got := fmt.Sprintln(p.object["displayName"], p.object["servicePrincipalType"], p.object["appOwnerOrganizationId"],
			p.object["accountEnabled"], p.object["owners"])
		if want := fmt.Sprintln(p.name, p.kind, p.home, p.enabled, p.expands); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	const entry = `"customKeyIdentifier": "c1rVccGJ17qERkv0qfHSKAF1sSg=", "displayName": "CN=Microsoft Azure Federated SSO Certificate",
		"startDateTime": "2025-01-02T03:04:05.6789000Z", "endDateTime": "2027-01-02T03:04:05.0000000Z"`
	wantJSON(t, "keys", foreign["keyCredentials"], fmt.Sprintf(`[
		{%s, "key": null, "keyId": %q, "type": "X509CertAndPassword", "usage": "Sign"},
		{%s, "key": null, "keyId": %q, "type": "AsymmetricX509Cert", "usage": "Verify"}]`, entry, keyOne, entry, keyTwo))
	wantJSON(t, "password", foreign["passwordCredentials"],
		fmt.Sprintf(`[{%s, "keyId": %q, "hint": null, "secretText": null}]`, entry, keyOne))
}

// A user's name is shown to those who may read users, a service principal's to all who
// get this far.
func TestOwnersNames(t *testing.T) {
	w := newWorld(t, directory.Config{})
	person, err := w.AddUser(directory.User{TenantID: w.tenant, Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	app := w.register(directory.Registration{Settings: directory.Settings{Owners: []string{person, w.app.ServicePrincipalID}}})
	for name, c := range map[string]struct {
		roles []string
		shown bool
	}{
		"applications":     {[]string{directory.RoleReadAll}, false},
		"writes":           {[]string{directory.RoleReadWriteAll}, false},
		"users":            {[]string{directory.RoleReadAll, directory.RoleUserReadAll}, true},
		"whole directory":  {[]string{directory.RoleDirectoryReadAll}, true},
		"own applications": {[]string{directory.RoleReadWriteOwnedBy}, false},
	} {
		token := w.reader(c.roles...)
		all, _ := w.pages(token, w.get(token, scanApplications), nil)
		owners := one(t, all, app.ClientID)["owners"].([]any)
		user, principal := owners[0].(map[string]any), owners[1].(map[string]any)
		if _, there := user["displayName"]; !there || user["id"] != person || (user["displayName"] != nil) != c.shown ||
			(user["userPrincipalName"] != nil) != c.shown || principal["displayName"] != "sample" {
			t.Errorf("%s: %v", name, owners)
		}
	}
}

// Graph expands 20 owners and does not say that there are more.
func TestTwentyOwners(t *testing.T) {
	w := newWorld(t, directory.Config{})
	var owners []string
	for i := range 25 {
		id, err := w.AddUser(directory.User{TenantID: w.tenant, Name: fmt.Sprint("owner ", i)})
		if err != nil {
			t.Fatal(err)
		}
		owners = append(owners, id)
	}
	app := w.register(directory.Registration{Settings: directory.Settings{Owners: owners}})
	token := w.reader(directory.RoleReadAll)
	all, _ := w.pages(token, w.get(token, scanApplications), nil)
	shown := one(t, all, app.ClientID)
	if n := len(shown["owners"].([]any)); n != 20 {
		t.Errorf("%d owners, want 20", n)
	}
	for name := range shown {
		if strings.HasPrefix(name, "owners@") {
			t.Errorf("there is %s", name)
		}
	}
	if err := w.RemoveUser(owners[0]); err != nil {
		t.Fatal(err)
	}
	all, _ = w.pages(token, w.get(token, scanApplications), nil)
	left := one(t, all, app.ClientID)["owners"].([]any)
	if len(left) != 20 || left[0].(map[string]any)["id"] != owners[1] {
		t.Errorf("after the first was deleted: %v", left)
	}
}

func TestFederatedList(t *testing.T) {
	w := newWorld(t, directory.Config{})
	for i := range 20 {
		c := directory.FederatedCredential{ID: keyOne, Name: "github",
			Issuer: "https://issuer", Subject: fmt.Sprint("repo:", i), Audience: "api://x"}
		if i > 0 {
			c.ID, c.Name = "", ""
		}
		if err := w.Federate(w.app.ClientID, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Federate(w.app.ClientID, directory.FederatedCredential{Issuer: "one too many"}); err == nil {
		t.Error("an application has 21 federated credentials")
	}
	token := w.reader(directory.RoleReadAll)
	all, _ := w.pages(token, w.get(token, scanFederated), nil)
	app := one(t, all, w.app.ClientID)
	federated := app["federatedIdentityCredentials"].([]any)
	wantJSON(t, "federated credential", federated[0], fmt.Sprintf(`{"id": %q, "name": "github",
		"issuer": "https://issuer", "subject": "repo:0", "audiences": ["api://x"], "description": null}`, keyOne))
	ids := map[any]bool{}
	for _, f := range federated {
		ids[f.(map[string]any)["id"]] = true
	}
	if len(ids) != 20 || len(app) != 3 {
		t.Errorf("%d ids, %d properties", len(ids), len(app))
	}
	w.wantGraph("with the whole directory's permission", w.get(w.reader(directory.RoleDirectoryReadAll), scanFederated), 403,
		"Authorization_RequestDenied")
	if w.Calls(directory.OpListFederated) != 2 || w.Calls(directory.OpListApplications) != 0 {
		t.Error("the calls are not counted as what they are")
	}
}
