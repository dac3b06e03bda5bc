package directory_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// keyCredentials is shown where it is asked for by name, and the certificate itself only
// of a single object.
func TestCertificateBytes(t *testing.T) {
	w := newWorld(t, directory.Config{})
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var none *issuer
	c := none.issue(t, curve, "certificate", false, w.now(), w.now().Add(time.Hour))
	if err := w.AddCertificate(w.app.ObjectID, c); err != nil {
		t.Fatal(err)
	}
	token := w.reader(directory.RoleReadAll)
	path := "/applications/" + w.app.ObjectID
	if a := w.get(token, path); a.body["keyCredentials"] != nil {
		t.Errorf("not asked for: %v", a.body)
	}
	a := w.get(token, path+"?$select=keyCredentials")
	alone := a.body["keyCredentials"].([]any)[0].(map[string]any)
	list, _ := w.pages(token, w.get(token, scanApplications), nil)
	listed := one(t, list, w.app.ClientID)["keyCredentials"].([]any)[0].(map[string]any)
	if alone["key"] == nil || listed["key"] != nil || alone["keyId"] != listed["keyId"] || listed["customKeyIdentifier"] == nil {
		t.Errorf("alone %v, in a list %v", alone, listed)
	}
}

func TestDefaultPolicy(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.reader(directory.RolePolicyReadAll)
	if a := w.get(token, policyPath); a.body["isEnabled"] != false {
		t.Errorf("without one: %v", a.body)
	}
	if err := w.SetDefaultPolicy(w.tenant, directory.Policy{ID: home, MaxLifetime: 90*24*time.Hour + 90*time.Second}); err != nil {
		t.Fatal(err)
	}
	a := w.get(token, policyPath)
	wantJSON(t, "restrictions", a.body["applicationRestrictions"], `{"keyCredentials": [], "passwordCredentials": [
		{"restrictionType": "passwordLifetime", "state": "enabled", "maxLifetime": "P90DT90S",
			"restrictForAppsCreatedAfterDateTime": "2014-10-19T10:37:00Z"}]}`)
	add := func() answer { return w.act(w.token(w.app), "/applications/"+w.app.ObjectID+"/addPassword", `{}`) }
	w.wantGraph("two years, against the tenant's policy", add(), 400, "CredentialInvalidLifetimeAsPerAppPolicy")
	assigned := "/applications/" + w.app.ObjectID + "/appManagementPolicies"
	w.wantGraph("policies of an application that it may not read", w.get(token, assigned), 403, "Authorization_RequestDenied")
	token = w.reader(directory.RoleReadAll, directory.RolePolicyReadAll)
	wantJSON(t, "without one of its own", w.get(token, assigned).body["value"], `[]`)
	if err := w.Change(w.app.ObjectID, func(s *directory.Settings) { s.Policy = directory.Policy{ID: keyOne} }); err != nil {
		t.Fatal(err)
	}
	wantJSON(t, "its own", w.get(token, assigned).body["value"], `[{"id": "`+keyOne+`", "displayName": "Custom app management policy",
		"description": null, "isEnabled": true, "restrictions": {"keyCredentials": [], "passwordCredentials": []}}]`)
	if a := add(); a.status != http.StatusOK {
		t.Errorf("the application's own policy comes first: %d %v", a.status, a.body)
	}
	if err := w.SetDefaultPolicy(home, directory.Policy{}); err == nil {
		t.Error("a tenant that is not there has a policy")
	}
}

// TestPrincipalsSignIn: what is disabled, or has no service principal, gets no token, and
// what has no value opens nothing.
func TestPrincipalsSignIn(t *testing.T) {
	w := newWorld(t, directory.Config{})
	ask := func(app directory.Application, secret string) string {
		codes, _ := w.ask(w.tenant, secretForm(app.ClientID, secret)).body["error_codes"].([]any)
		return fmt.Sprintf("%.0f", codes)
	}
	if err := w.ChangePrincipal(w.app.ServicePrincipalID, func(s *directory.PrincipalSettings) { s.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	listed := w.register(directory.Registration{Credentials: &directory.Credentials{
		Secrets: []directory.Secret{{Hint: "abc", StartsAt: began}}}})
	alone := w.register(directory.Registration{WithoutPrincipal: true})
	orphaned := w.register(directory.Registration{})
	if err := w.RemovePrincipal(orphaned.ServicePrincipalID); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		app          directory.Application
		secret, want string
	}{
		"disabled":              {w.app, w.app.Secret, "[7000112]"},
		"without a value":       {listed, "abc", "[7000215]"},
		"without principal":     {alone, alone.Secret, "[7000229]"},
		"its principal is gone": {orphaned, orphaned.Secret, "[7000229]"},
	} {
		if got := ask(c.app, c.secret); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	_, secret, err := w.AddPassword(listed.ObjectID, "never ends", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.ask(w.tenant, secretForm(listed.ClientID, secret)); a.status != http.StatusOK || !w.Authenticates(listed.ClientID, secret) {
		t.Errorf("what never ends: %d %v", a.status, a.body)
	}
	if w.Authenticates(listed.ClientID, "") {
		t.Error("an empty secret works")
	}
	if err := w.RemovePrincipal(home); err == nil {
		t.Error("a service principal is removed twice")
	}
}

// TestCredentialsByHand: credentials come and go, at applications and at service principals.
func TestCredentialsByHand(t *testing.T) {
	w := newWorld(t, directory.Config{})
	signing := directory.SigningCertificate{SignKeyID: keyOne, VerifyKeyID: keyTwo, Thumbprint: signingThumb, StartsAt: began, EndsAt: ends}
	token := w.reader(directory.RoleReadAll)
	count := func(path string) (n [2]int) {
		a := w.get(token, path+"?$select=passwordCredentials,keyCredentials")
		return [2]int{len(a.body["passwordCredentials"].([]any)), len(a.body["keyCredentials"].([]any))}
	}
	for path, c := range map[string]struct {
		id     string
		before int
	}{
		"/applications/" + w.app.ObjectID:                    {w.app.ObjectID, 1},
		"/servicePrincipals(appId='" + w.app.ClientID + "')": {w.app.ServicePrincipalID, 0},
	} {
		if err := w.AddCredentials(c.id, signing.Credentials()); err != nil {
			t.Fatal(err)
		}
		if n := count(path); n != [2]int{c.before + 1, 2} {
			t.Errorf("%s: %v", path, n)
		}
		if err := w.RemoveCredential(c.id, keyOne); err != nil {
			t.Fatal(err)
		}
		if n := count(path); n != [2]int{c.before, 1} {
			t.Errorf("%s after the removal: %v", path, n)
		}
		if w.RemoveCredential(c.id, keyOne) == nil || w.RemoveCredential(home, keyOne) == nil {
			t.Error("what is not there is removed")
		}
	}
}

// TestGivenIDs: ids that are given stay, once.
func TestGivenIDs(t *testing.T) {
	w := newWorld(t, directory.Config{})
	r := directory.Registration{TenantID: w.tenant, ObjectID: keyOne, ClientID: keyTwo, PrincipalID: home}
	app, err := w.AddApplication(r)
	if err != nil || app.ObjectID != keyOne || app.ClientID != keyTwo || app.ServicePrincipalID != home {
		t.Fatalf("%+v, %v", app, err)
	}
	if _, err := w.AddApplication(r); err == nil {
		t.Error("the same ids twice")
	}
	if _, _, err := w.AddPrincipal(directory.Principal{TenantID: w.tenant, ClientID: keyTwo}); err == nil {
		t.Error("two service principals of one client id")
	}
	token := w.reader(directory.RoleReadAll)
	path := "/servicePrincipals(appId='" + strings.ToUpper(keyTwo) + "')?$select=id"
	if a := w.get(token, path); a.body["id"] != home {
		t.Errorf("by client id: %d %v", a.status, a.body)
	}
	if err := w.RemoveApplication(keyOne); err != nil {
		t.Fatal(err)
	}
	w.wantGraph("the principal of what was removed", w.get(token, path), 404, "Request_ResourceNotFound")
	w.wantGraph("what was removed", w.get(token, "/applications(appId='"+keyTwo+"')?$select=id"), 404, "Request_ResourceNotFound")
}
