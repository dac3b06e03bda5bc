package entra_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/emulator/directory"
	"rekey/shared/entra"
	"rekey/shared/rotation"
)

const (
	redirectURI  = "https://rekey.example/callback"
	codeVerifier = "a-code-verifier-of-more-than-forty-three-characters"
)

// signIns is a world with an OAuth application, a person who may consent, and a
// secret of the application that can be replaced.
type signIns struct {
	*world
	app    directory.Application
	admin  string
	secret string
	asked  int // for the secret
	now    time.Time
}

func newSignIns(t *testing.T) (*signIns, *entra.Authority) {
	t.Helper()
	s := &signIns{now: time.Now()}
	s.world = newWorld(t, directory.Config{Now: func() time.Time { return s.now }})
	var err error
	s.app, err = s.AddApplication(directory.Registration{TenantID: s.world.app.TenantID, Settings: directory.Settings{
		DisplayName: "Rekey", SignInAudience: "AzureADMultipleOrgs", RedirectURIs: []string{redirectURI},
		Delegated: []string{directory.ScopeUserRead, directory.RoleReadWriteAll},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.admin, err = s.AddUser(directory.User{TenantID: s.app.TenantID, Name: "Ada",
		Roles: []string{directory.ApplicationAdministrator}}); err != nil {
		t.Fatal(err)
	}
	s.secret = s.app.Secret
	return s, s.authority(t, entra.Config{Emulated: true, Now: func() time.Time { return s.now }, OAuth: entra.OAuthApplication{
		ClientID: s.app.ClientID,
		Secret:   func(context.Context) (secret.Value, error) { s.asked++; return secret.New(s.secret), nil },
	}})
}

// code signs in at the address that the authority makes.
func (s *signIns) code(t *testing.T, a *entra.Authority) secret.Value {
	t.Helper()
	sum := sha256.Sum256([]byte(codeVerifier))
	back, err := directory.Person{UserID: s.admin, Client: &http.Client{Transport: s.wire}}.Approve(t.Context(),
		a.SignInURL(entra.SignInRequest{
			TenantID: s.app.TenantID, RedirectURI: redirectURI, State: "the state", Nonce: "the nonce",
			Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
		}))
	if err != nil {
		t.Fatal(err)
	}
	if back.Query().Get("state") != "the state" || back.Query().Get("code") == "" {
		t.Fatalf("came back with %v", back.Query())
	}
	return secret.New(back.Query().Get("code"))
}

func (s *signIns) redeem(t *testing.T, a *entra.Authority) entra.Redeemed {
	t.Helper()
	got, err := a.Redeem(t.Context(), s.app.TenantID, s.code(t, a), secret.New(codeVerifier), redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (s *signIns) target() rotation.Application {
	return rotation.Application{TenantID: s.app.TenantID, ClientID: s.app.ClientID}
}

func TestSignIn(t *testing.T) {
	s, a := newSignIns(t)
	got := s.redeem(t, a)
	if !got.Token.ExpiresAt.Equal(s.now.Add(time.Hour)) || got.Token.ObjectID != s.admin || len(got.Token.Scopes) == 0 ||
		len(got.Token.DirectoryRoles) == 0 {
		t.Errorf("the token is %+v", got.Token)
	}
	if user, client, ok := s.RefreshTokenOf(got.RefreshToken.Reveal()); !ok || user != s.admin || client != s.app.ClientID {
		t.Errorf("the refresh token is of %s for %s, %v", user, client, ok)
	}
	if strings.Count(got.IDToken.Reveal(), ".") != 2 {
		t.Error("there is no ID token")
	}
	token, renewed, err := a.Refresh(t.Context(), s.target(), got.RefreshToken)
	if err != nil || token.Value.IsZero() || renewed.IsZero() || renewed == got.RefreshToken {
		t.Errorf("refreshing: %v; another refresh token: %v", err, renewed != got.RefreshToken)
	}
	if s.asked != 1 {
		t.Errorf("the secret was read %d times", s.asked)
	}
}

func TestCodesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(s *signIns, tenant, verifier, redirect *string)
		class serviceerror.Class
		code  string
	}{
		"redeemed before": {nil, serviceerror.SignInExpired, "AADSTS54005"},
		"expired": {func(s *signIns, _, _, _ *string) { s.now = s.now.Add(11 * time.Minute) }, serviceerror.SignInExpired,
			"AADSTS70008"},
		"another verifier":  {func(_ *signIns, _, v, _ *string) { *v = strings.Repeat("x", 43) }, serviceerror.SignInExpired, "AADSTS501481"},
		"no verifier":       {func(_ *signIns, _, v, _ *string) { *v = "" }, serviceerror.SignInExpired, "AADSTS50148"},
		"another address":   {func(_ *signIns, _, _, r *string) { *r = "https://elsewhere.example" }, serviceerror.Invalid, "AADSTS500112"},
		"another tenant":    {func(s *signIns, tenant, _, _ *string) { *tenant = s.AddTenant() }, serviceerror.SignInExpired, "AADSTS700005"},
		"no tenant at all":  {func(_ *signIns, tenant, _, _ *string) { *tenant = "common" }, serviceerror.TenantMissing, ""},
		"our secret":        {func(s *signIns, _, _, _ *string) { s.secret = "wrong" }, serviceerror.Invalid, "AADSTS7000215"},
		"our secret's lost": {func(s *signIns, _, _, _ *string) { s.secret = "" }, serviceerror.Invalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := newSignIns(t)
			code, tenant, verifier, redirect := s.code(t, a), s.app.TenantID, codeVerifier, redirectURI
			if test.spoil == nil {
				if _, err := a.Redeem(t.Context(), tenant, code, secret.New(verifier), redirect); err != nil {
					t.Fatal(err)
				}
			} else {
				test.spoil(s, &tenant, &verifier, &redirect)
			}
			_, err := a.Redeem(t.Context(), tenant, code, secret.New(verifier), redirect)
			wantFailure(t, err, test.class, test.code)
		})
	}
}

func TestRefreshIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, s *signIns, app *rotation.Application, refresh *secret.Value)
		class serviceerror.Class
		code  string
	}{
		"90 idle days": {func(_ *testing.T, s *signIns, _ *rotation.Application, _ *secret.Value) {
			s.now = s.now.AddDate(0, 0, 91)
		}, serviceerror.SignInExpired, "AADSTS700082"},
		"revoked": {func(t *testing.T, s *signIns, _ *rotation.Application, _ *secret.Value) {
			if err := s.RevokeSessions(s.admin); err != nil {
				t.Fatal(err)
			}
		}, serviceerror.SignInExpired, "AADSTS50173"},
		"garbage": {func(_ *testing.T, _ *signIns, _ *rotation.Application, refresh *secret.Value) {
			*refresh = secret.New("garbage")
		}, serviceerror.SignInExpired, "AADSTS70000"},
		"nothing": {func(_ *testing.T, _ *signIns, _ *rotation.Application, refresh *secret.Value) {
			*refresh = secret.Value{}
		}, serviceerror.SignInExpired, ""},
		"consent withdrawn": {func(t *testing.T, s *signIns, _ *rotation.Application, _ *secret.Value) {
			if err := s.RevokeConsent(s.app.ClientID, s.admin); err != nil {
				t.Fatal(err)
			}
		}, serviceerror.ConsentMissing, "AADSTS65001"},
		"another OAuth application": {func(_ *testing.T, s *signIns, app *rotation.Application, _ *secret.Value) {
			app.ClientID = s.world.app.ClientID
		}, serviceerror.SignInExpired, ""},
		// Rekey's own secret is not the person's fault.
		"our secret": {func(t *testing.T, s *signIns, _ *rotation.Application, _ *secret.Value) {
			s.secret = "wrong"
			if err := s.RemovePassword(s.app.ObjectID, s.app.KeyID); err != nil {
				t.Fatal(err)
			}
		}, serviceerror.Invalid, "AADSTS7000215"},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := newSignIns(t)
			refresh, app := s.redeem(t, a).RefreshToken, s.target()
			test.spoil(t, s, &app, &refresh)
			_, _, err := a.Refresh(t.Context(), app, refresh)
			wantFailure(t, err, test.class, test.code)
		})
	}
}

// A secret that was replaced in the vault is taken up without a restart.
func TestReplacedOAuthSecret(t *testing.T) {
	s, a := newSignIns(t)
	refresh := s.redeem(t, a).RefreshToken
	_, fresh, err := s.AddPassword(s.app.ObjectID, "new", s.now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RemovePassword(s.app.ObjectID, s.app.KeyID); err != nil {
		t.Fatal(err)
	}
	s.secret = fresh
	if _, _, err := a.Refresh(t.Context(), s.target(), refresh); err != nil || s.asked != 2 {
		t.Errorf("%v, after the secret was read %d times", err, s.asked)
	}
}

// What Entra need not send, and what it never should.
func TestOddGrants(t *testing.T) {
	for name, test := range map[string]struct {
		edit    func(answer map[string]any)
		redeem  serviceerror.Class // of the error; empty: none
		refresh serviceerror.Class
	}{
		"as it is":         {func(map[string]any) {}, "", ""},
		"no refresh token": {func(m map[string]any) { delete(m, "refresh_token") }, serviceerror.Invalid, ""},
		"no ID token":      {func(m map[string]any) { delete(m, "id_token") }, serviceerror.Invalid, ""},
		"less was granted": {func(m map[string]any) { m["scope"] = "openid https://graph.microsoft.com/User.Read" },
			serviceerror.ConsentMissing, ""},
		"scopes in the short form": {func(m map[string]any) { m["scope"] = "user.read application.readwrite.all" }, "", ""},
		"no scope":                 {func(m map[string]any) { delete(m, "scope") }, "", ""},
		"lifetime as text":         {func(m map[string]any) { m["expires_in"] = "3599" }, "", ""},
		"no lifetime":              {func(m map[string]any) { delete(m, "expires_in") }, serviceerror.Transient, serviceerror.Transient},
		"no access token":          {func(m map[string]any) { delete(m, "access_token") }, serviceerror.Transient, serviceerror.Transient},
		"another shape":            {func(m map[string]any) { m["refresh_token"] = 5 }, serviceerror.Transient, serviceerror.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			s, a := newSignIns(t)
			refresh, code := s.redeem(t, a).RefreshToken, s.code(t, a)
			s.wire.next = edited{s.wire.next, test.edit}
			_, err := a.Redeem(t.Context(), s.app.TenantID, code, secret.New(codeVerifier), redirectURI)
			if class := classOf(err); class != test.redeem {
				t.Errorf("redeeming: %v, want class %q", err, test.redeem)
			}
			_, renewed, err := a.Refresh(t.Context(), s.target(), refresh)
			if class := classOf(err); class != test.refresh {
				t.Errorf("refreshing: %v, want class %q", err, test.refresh)
			}
			if err == nil && name == "no refresh token" && renewed != refresh {
				t.Error("the old refresh token is not kept")
			}
		})
	}
}

// No redirect leads elsewhere with a secret in the form.
func TestGrantsFollowNoRedirect(t *testing.T) {
	s, a := newSignIns(t)
	refresh := s.redeem(t, a).RefreshToken
	followed := false
	s.wire.next = roundTripper(func(r *http.Request) (*http.Response, error) {
		followed = followed || r.URL.Path == "/elsewhere"
		return &http.Response{StatusCode: 307, Header: http.Header{"Location": {"/elsewhere"}}, Body: http.NoBody, Request: r}, nil
	})
	_, _, err := a.Refresh(t.Context(), s.target(), refresh)
	if followed || classOf(err) != serviceerror.Transient {
		t.Errorf("followed %v, %v", followed, err)
	}
}

func TestNoOAuthApplication(t *testing.T) {
	w := newWorld(t, directory.Config{})
	a := w.authority(t, entra.Config{Emulated: true})
	_, _, err := a.Refresh(t.Context(), w.target(), secret.New("x"))
	wantFailure(t, err, serviceerror.Invalid, "")
}

func TestAdminConsentURL(t *testing.T) {
	s, a := newSignIns(t)
	back, err := directory.Person{UserID: s.admin, Client: &http.Client{Transport: s.wire}}.Approve(t.Context(),
		a.AdminConsentURL(s.app.TenantID, redirectURI, "x"))
	if err != nil || back.Query().Get("admin_consent") != "True" || back.Query().Get("error") != "" {
		t.Fatalf("%v, %v", back, err)
	}
	if got := s.Consented(s.app.ClientID, s.app.TenantID); len(got) != 2 {
		t.Errorf("consented to %v", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// edited changes what the token endpoint answers.
type edited struct {
	next http.RoundTripper
	edit func(map[string]any)
}

func (e edited) RoundTrip(r *http.Request) (*http.Response, error) {
	reply, err := e.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return reply, err
	}
	defer reply.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(reply.Body).Decode(&body); err != nil {
		return nil, err
	}
	e.edit(body)
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	reply.Body, reply.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	reply.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return reply, nil
}

func classOf(err error) serviceerror.Class {
	if err == nil {
		return ""
	}
	return serviceerror.ClassOf(err)
}

func wantFailure(t *testing.T, err error, class serviceerror.Class, code string) {
	t.Helper()
	e, ok := err.(*serviceerror.Error)
	if !ok || e.Class != class || e.Code != code {
		t.Errorf("got %v, want class %s and code %q", err, class, code)
	}
	if err != nil && (strings.Contains(err.Error(), "/token") || strings.Contains(err.Error(), url.QueryEscape(redirectURI))) {
		t.Errorf("the error prints addresses: %v", err)
	}
}
