package directory_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

func TestSignIn(t *testing.T) {
	var mu sync.Mutex
	issued := map[string]bool{}
	o := newOffice(t, directory.Config{Issued: func(v string) { mu.Lock(); defer mu.Unlock(); issued[v] = true }})
	s := o.begin()
	to, err := o.person(o.ada).Approve(t.Context(), o.address(s))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if !strings.HasPrefix(to.String(), "https://rekey.example/callback?") || q.Get("from") != "entra" || q.Get("state") != "a&b<c" ||
		q.Get("session_state") == "" || q.Has("error") {
		t.Errorf("sent to %s", to)
	}
	a := o.ask(o.tenant, o.redeemForm(s, q.Get("code")))
	if a.status != http.StatusOK {
		t.Fatalf("redeeming: %d %v", a.status, a.body)
	}
	for _, value := range []string{q.Get("code"), a.text("access_token"), a.text("refresh_token"), a.text("id_token")} {
		if value == "" || !issued[value] {
			t.Errorf("%.20q was not told to Issued", value)
		}
	}
	if got := a.text("scope"); got != "User.Read Application.ReadWrite.All openid profile" {
		t.Errorf("scope %q", got)
	}
	info, err := base64.RawURLEncoding.DecodeString(a.text("client_info"))
	if want := `{"uid":"` + o.ada + `","utid":"` + o.tenant + `"}`; err != nil || string(info) != want {
		t.Errorf("client_info %s", info)
	}
	access := claims(t, a.text("access_token"))
	if access["scp"] != "Application.ReadWrite.All User.Read" || access["oid"] != o.ada || access["tid"] != o.tenant ||
		access["appid"] != o.web.ClientID {
		t.Errorf("access token %v", access)
	}
	if wids := access["wids"].([]any); !slices.Contains(wids, any("9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3")) {
		t.Errorf("wids %v", wids)
	}
	if got := o.Consented(o.web.ClientID, o.ada); !slices.Equal(got, []string{"Application.ReadWrite.All", "User.Read"}) {
		t.Errorf("consent %v", got)
	}
	if got := o.Consented(o.web.ClientID, ""); len(got) != 0 {
		t.Errorf("consent of the tenant %v", got)
	}
	for op, want := range map[string]int{directory.OpAuthorize: 1, directory.OpDecide: 1, directory.OpRedeem: 1, directory.OpToken: 0} {
		if got := o.Calls(op); got != want {
			t.Errorf("%s: %d calls, want %d", op, got, want)
		}
	}
	// A second use is refused, and leaves what the first one got alone.
	o.wantEntra("the code again", o.ask(o.tenant, o.redeemForm(s, q.Get("code"))), 400, "invalid_grant", 54005)
	if n := o.RefreshTokens(o.ada); n != 1 {
		t.Errorf("%d refresh tokens", n)
	}
	if user, client, ok := o.RefreshTokenOf(a.text("refresh_token")); !ok || user != o.ada || client != o.web.ClientID {
		t.Errorf("refresh token of %s, %s, %v", user, client, ok)
	}
}

// TestSignInIsLimitedToWhatWasAskedFor: no ID token without openid, no refresh token
// without offline_access, no profile without profile.
func TestSignInIsLimitedToWhatWasAskedFor(t *testing.T) {
	o := newOffice(t, directory.Config{})
	a := o.tokens(o.otto, "scope", "User.Read")
	if a.body["id_token"] != nil || a.body["refresh_token"] != nil {
		t.Errorf("got %v", a.body)
	}
	a = o.tokens(o.otto, "scope", "openid https://graph.microsoft.com/user.read")
	if got := a.text("scope"); got != "https://graph.microsoft.com/user.read openid" {
		t.Errorf("scope %q", got)
	}
	if got := claims(t, a.text("id_token"))["preferred_username"]; got != nil {
		t.Errorf("preferred_username %v", got)
	}
	a = o.tokens(o.ada, "scope", "https://graph.microsoft.com/.default openid offline_access")
	if got := a.text("scope"); got != "https://graph.microsoft.com/Application.ReadWrite.All https://graph.microsoft.com/User.Read "+
		"https://graph.microsoft.com/.default openid" {
		t.Errorf("scope %q", got)
	}
}

func TestRedemption(t *testing.T) {
	o := newOffice(t, directory.Config{})
	other := o.register(directory.Registration{Settings: directory.Settings{SignInAudience: "AzureADMultipleOrgs",
		RedirectURIs: []string{callback}}})
	s := o.begin()
	code := o.code(s, o.ada)
	with := func(change ...string) url.Values {
		form := o.redeemForm(s, code)
		for i := 0; i < len(change); i += 2 {
			if form.Del(change[i]); change[i+1] != "" {
				form.Set(change[i], change[i+1])
			}
		}
		return form
	}
	for name, c := range map[string]struct {
		tenant string
		form   url.Values
		status int
		error  string
		code   float64
	}{
		"no code":          {o.tenant, with("code", ""), 400, "invalid_request", 900144},
		"no redirect URI":  {o.tenant, with("redirect_uri", ""), 400, "invalid_request", 900144},
		"unknown code":     {o.tenant, with("code", "x"), 400, "invalid_grant", 70000},
		"another client":   {o.tenant, with("client_id", other.ClientID, "client_secret", other.Secret), 400, "invalid_grant", 70000},
		"another tenant":   {"common", with(), 400, "invalid_grant", 700005},
		"unknown tenant":   {o.ada, with(), 400, "invalid_request", 90002},
		"unknown client":   {o.tenant, with("client_id", o.tenant), 400, "unauthorized_client", 700016},
		"wrong secret":     {o.tenant, with("client_secret", "x"), 401, "invalid_client", 7000215},
		"no secret":        {o.tenant, with("client_secret", ""), 401, "invalid_client", 7000218},
		"other redirect":   {o.tenant, with("redirect_uri", "https://rekey.example"), 401, "invalid_client", 500112},
		"no verifier":      {o.tenant, with("code_verifier", ""), 400, "invalid_grant", 50148},
		"another verifier": {o.tenant, with("code_verifier", rand.Text()), 400, "invalid_grant", 501481},
		"no consent":       {o.tenant, with("scope", "Directory.Read.All"), 400, "invalid_grant", 65001},
		"unknown scope":    {o.tenant, with("scope", "Mail.Read"), 400, "invalid_client", 650053},
	} {
		o.wantEntra(name, o.ask(c.tenant, c.form), c.status, c.error, c.code)
	}
	if a := o.ask(o.tenant, with("scope", "User.Read openid offline_access profile")); a.status != http.StatusOK ||
		claims(t, a.text("access_token"))["scp"] != "User.Read" {
		t.Errorf("after all the refusals: %d %v", a.status, a.body)
	}

	s = o.begin("code_challenge", "", "code_challenge_method", "")
	code = o.code(s, o.ada)
	o.wantEntra("a verifier without a challenge", o.ask(o.tenant, with()), 400, "invalid_grant", 501481)
	o.pass(10 * time.Minute)
	o.wantEntra("after ten minutes", o.ask(o.tenant, with("code_verifier", "")), 400, "invalid_grant", 70008)
	code = o.code(s, o.ada)
	if err := o.RevokeSessions(o.ada); err != nil {
		t.Fatal(err)
	}
	o.wantEntra("revoked", o.ask(o.tenant, with("code_verifier", "")), 400, "invalid_grant", 50173)
}
