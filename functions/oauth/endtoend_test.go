package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/emulator/directory"
	"rekey/shared/oauth"
)

func TestConnectAndReconnect(t *testing.T) {
	w := newWorld(t)
	v := w.visitor()
	callback := w.approve(w.app.Administrator, v.depart(w.begin("billing")))
	if got := v.finish(callback); got != "connected" {
		t.Fatalf("ended with %q", got)
	}
	before := w.signedIn(w.app.Administrator)
	if before.Auth.AccountName != "Ada Administrator" {
		t.Errorf("the person is called %q", before.Auth.AccountName)
	}
	if got := v.finish(callback); got != "connected" || len(w.connections()) != 1 {
		t.Errorf("a replay ended with %q, and there are %d connections", got, len(w.connections()))
	}

	// The sign-in is lost: the connection says so, and what to do.
	if err := w.stack.Directory.RevokeSessions(w.app.Administrator); err != nil {
		t.Fatal(err)
	}
	if _, err := w.conns.Actors.Token(t.Context(), before.ID); err == nil {
		t.Fatal("a revoked refresh token still works")
	}
	lost, err := w.conns.Get(t.Context(), before.ID)
	if err != nil || lost.Auth.Problem == nil || lost.Auth.Problem.Class != serviceerror.SignInExpired ||
		!strings.Contains(lost.Auth.Problem.Message, "Sign in again") {
		t.Fatalf("the connection says %+v, %v", lost.Auth, err)
	}

	again := w.visitor()
	link := w.beginAs(oauth.Request{ConnectionID: before.ID, By: "alice"})
	if got := again.finish(w.approve(w.app.Administrator, again.depart(link))); got != "reconnected" {
		t.Fatalf("reconnecting ended with %q", got)
	}
	after := w.signedIn(w.app.Administrator)
	if after.Auth.Problem != nil || after.Auth.Generation != before.Auth.Generation+1 || after.Auth.VaultVersion == before.Auth.VaultVersion {
		t.Errorf("after reconnecting it is %+v", after.Auth)
	}
	if _, err := w.conns.Actors.Token(t.Context(), before.ID); err != nil {
		t.Errorf("it can't sign in: %v", err)
	}
}

// An ID token that is not what it has to be leaves nothing behind.
func TestBadIDTokensStoreNothing(t *testing.T) {
	for name, forge := range map[string]func(w *world, claims map[string]any) (header map[string]any){
		"nonce of another flow": func(_ *world, c map[string]any) map[string]any { c["nonce"] = strings.Repeat("A", 43); return nil },
		"no nonce":              func(_ *world, c map[string]any) map[string]any { delete(c, "nonce"); return nil },
		"another tenant": func(w *world, c map[string]any) map[string]any {
			w.tenantOf(c, w.stack.Directory.AddTenant())
			return nil
		},
		"another audience": func(w *world, c map[string]any) map[string]any { c["aud"] = w.stack.OwnClientID(); return nil },
		"another issuer":   func(_ *world, c map[string]any) map[string]any { c["iss"] = "https://evil.example/v2.0"; return nil },
		"expired":          func(w *world, c map[string]any) map[string]any { c["exp"] = w.now().Add(-time.Hour).Unix(); return nil },
		"alg none":         func(*world, map[string]any) map[string]any { return map[string]any{"alg": "none"} },
		"an unknown key":   func(*world, map[string]any) map[string]any { return map[string]any{"kid": "unknown"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.idToken = func(good string) string {
				claims := claimsOf(t, good)
				header := forge(w, claims)
				return w.stack.Directory.Sign(header, claims)
			}
			v := w.visitor()
			if got := v.finish(w.approve(w.app.Administrator, v.depart(w.begin("billing")))); got != "identity" {
				t.Errorf("ended with %q", got)
			}
			w.nothing()
		})
	}
	// The same without a lie in it is accepted, so that it was the lie.
	w := newWorld(t)
	w.idToken = func(good string) string { return w.stack.Directory.Sign(nil, claimsOf(t, good)) }
	v := w.visitor()
	if got := v.finish(w.approve(w.app.Administrator, v.depart(w.begin("billing")))); got != "connected" {
		t.Errorf("an honest one ended with %q", got)
	}
}

func (w *world) tenantOf(claims map[string]any, tenant string) {
	claims["tid"], claims["iss"] = tenant, w.stack.AuthorityURL+"/"+tenant+"/v2.0"
}

// A person who is in another tenant, and changes the tenant in Entra's address.
func TestAnotherTenantsPerson(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.stack.Directory.AddTenant()
	stranger, err := w.stack.Directory.AddUser(directory.User{TenantID: elsewhere, Name: "Mallory",
		Roles: []string{directory.GlobalAdministrator}})
	if err != nil {
		t.Fatal(err)
	}
	v := w.visitor()
	to := strings.Replace(v.depart(w.begin("billing")), w.stack.TenantID, elsewhere, 1)
	if got := v.finish(w.approve(stranger, to)); got != "code-spent" {
		t.Errorf("ended with %q", got)
	}
	w.nothing()
}

func TestRedeemOfACallersCode(t *testing.T) {
	w := newWorld(t)
	if err := w.stack.Directory.GrantConsent(w.app.ClientID, "", directory.ScopeUserRead, directory.RoleReadWriteAll); err != nil {
		t.Fatal(err)
	}
	// As Infisical's form sends people there.
	address := w.stack.AuthorityURL + "/" + w.stack.TenantID + "/oauth2/v2.0/authorize?" + url.Values{
		"client_id": {w.app.ClientID}, "response_type": {"code"}, "response_mode": {"query"}, "redirect_uri": {w.url + oauth.CallbackPath},
		"scope": {"https://graph.microsoft.com/.default openid offline_access"},
		"state": {"0123456789abcdef0123456789abcdef<:>azure-client-secrets"},
	}.Encode()
	back, err := url.Parse(w.approve(w.app.Administrator, address))
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.flow.Redeem(t.Context(), secret.New(back.Query().Get("code")), w.stack.TenantID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.conns.Create(t.Context(), connection.Input{Name: "billing", Credentials: c, By: "alice"}); err != nil {
		t.Fatal(err)
	}
	w.signedIn(w.app.Administrator)
}

// claimsOf reads a JWT without looking at its signature.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
