package directory_test

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

// TestRefresh: each use returns another token, and the one that was used keeps working.
func TestRefresh(t *testing.T) {
	o := newOffice(t, directory.Config{})
	first := o.tokens(o.ada).text("refresh_token")
	seen := map[string]bool{first: true}
	for range 2 {
		a := o.ask(o.tenant, o.refreshForm(first))
		next := a.text("refresh_token")
		if a.status != http.StatusOK || next == "" || seen[next] {
			t.Fatalf("refreshing: %d %v", a.status, a.body)
		}
		seen[next] = true
		if got := claims(t, a.text("id_token")); got["oid"] != o.ada || got["nonce"] != nil {
			t.Errorf("ID token %v", got)
		}
	}
	if n := o.RefreshTokens(o.ada); n != 3 || o.RefreshTokens("") != 3 || o.RefreshTokens(o.otto) != 0 {
		t.Errorf("%d live refresh tokens", n)
	}
	if n := o.Calls(directory.OpRefresh); n != 2 {
		t.Errorf("%d calls", n)
	}
	form := o.refreshForm(first)
	form.Del("scope")
	if a := o.ask("organizations", form); a.status != http.StatusOK ||
		claims(t, a.text("access_token"))["scp"] != "Application.ReadWrite.All User.Read" {
		t.Errorf("without a scope: %d %v", a.status, a.body)
	}
	o.pass(90*24*time.Hour - time.Second)
	last := o.ask(o.tenant, o.refreshForm(first)).text("refresh_token")
	o.pass(time.Second)
	a := o.ask(o.tenant, o.refreshForm(first))
	o.wantEntra("after 90 days", a, 400, "invalid_grant", 700082)
	if a.text("suberror") != "bad_token" {
		t.Errorf("suberror %q", a.text("suberror"))
	}
	if n := o.RefreshTokens(o.ada); n != 1 {
		t.Errorf("%d live refresh tokens", n)
	}
	if _, _, ok := o.RefreshTokenOf(last); !ok {
		t.Error("the newest token is not alive")
	}
}

func TestRefreshRefusals(t *testing.T) {
	o := newOffice(t, directory.Config{})
	other := o.register(directory.Registration{Settings: directory.Settings{SignInAudience: "AzureADMultipleOrgs"}})
	token := o.tokens(o.ada).text("refresh_token")
	with := func(change ...string) url.Values {
		form := o.refreshForm(token)
		for i := 0; i < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		return form
	}
	o.wantEntra("wrong secret", o.ask(o.tenant, with("client_secret", "x")), 401, "invalid_client", 7000215)
	o.wantEntra("no token", o.ask(o.tenant, with("refresh_token", "")), 400, "invalid_request", 900144)
	o.wantEntra("unknown token", o.ask(o.tenant, with("refresh_token", "x")), 400, "invalid_grant", 70000)
	o.wantEntra("another tenant", o.ask(o.AddTenant(), with()), 400, "invalid_grant", 70000)
	o.wantEntra("another client", o.ask(o.tenant, with("client_id", other.ClientID, "client_secret", other.Secret)), 400,
		"invalid_grant", 70000)
	o.wantEntra("no consent", o.ask(o.tenant, with("scope", "Directory.Read.All")), 400, "invalid_grant", 65001)

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	disable := func(yes bool) error { return o.ChangeUser(o.ada, func(u *directory.User) { u.Disabled = yes }) }
	must(disable(true))
	o.wantEntra("disabled", o.ask(o.tenant, with()), 400, "invalid_grant", 50057)
	must(disable(false))
	if a := o.ask(o.tenant, with()); a.status != http.StatusOK {
		t.Errorf("enabled again: %d %v", a.status, a.body)
	}

	must(o.RevokeConsent(o.web.ClientID, o.ada))
	a := o.ask(o.tenant, with())
	o.wantEntra("consent withdrawn", a, 400, "invalid_grant", 65001)
	if a.text("suberror") != "consent_required" || o.RefreshTokens(o.ada) != 0 {
		t.Errorf("suberror %q, %d alive", a.text("suberror"), o.RefreshTokens(o.ada))
	}
	must(o.GrantConsent(o.web.ClientID, "", directory.ScopeUserRead, directory.RoleReadWriteAll))
	if a := o.ask(o.tenant, with()); a.status != http.StatusOK {
		t.Errorf("after consent of the tenant: %d %v", a.status, a.body)
	}

	must(o.RevokeSessions(o.ada))
	o.wantEntra("revoked", o.ask(o.tenant, with()), 400, "invalid_grant", 50173)
	again := o.tokens(o.ada).text("refresh_token") // at the same instant
	if _, _, ok := o.RefreshTokenOf(again); !ok || o.RefreshTokens(o.ada) != 1 {
		t.Error("a sign-in after the revocation does not count")
	}
	must(o.RemoveUser(o.ada))
	o.wantEntra("deleted", o.ask(o.tenant, with("refresh_token", again)), 400, "invalid_grant", 50057)
	if o.RevokeSessions(o.ada) == nil || o.RemoveUser(o.ada) == nil || o.ChangeUser(o.ada, func(*directory.User) {}) == nil {
		t.Error("a deleted user can be changed")
	}
}

// TestRefreshByCertificate: the user's tokens are bound to the client, however that
// authenticates.
func TestRefreshByCertificate(t *testing.T) {
	o := newOffice(t, directory.Config{})
	token := o.tokens(o.ada).text("refresh_token")
	certificate, key := newCertificate(t)
	if err := o.AddCertificate(o.web.ObjectID, certificate); err != nil {
		t.Fatal(err)
	}
	form := o.refreshForm(token)
	form.Del("client_secret")
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion(t, key, thumbprint(certificate), o.assertionClaims(o.web)))
	a := o.ask(o.tenant, form)
	if a.status != http.StatusOK || claims(t, a.text("access_token"))["appidacr"] != "2" {
		t.Errorf("got %d %v", a.status, a.body)
	}
	if err := o.RemoveCertificate(o.web.ObjectID, &x509.Certificate{}); err == nil {
		t.Error("removing what is not there succeeds")
	}
}
