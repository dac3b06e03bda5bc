package session_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/entra"
	"rekey/shared/openid"
	"rekey/shared/secret"
	"rekey/shared/session"
)

// people is the emulated Entra with a tenant, the application of the console, and a person.
// It is the same for all tests, since its keys take long to make.
type people struct {
	*directory.Directory
	server      *httptest.Server
	app         directory.Application
	other       directory.Application // that people sign in to for another purpose
	ada         string                // object id
	otherTenant string
}

var emulated = sync.OnceValues(func() (*people, error) {
	p := &people{Directory: directory.New(directory.Config{})}
	p.server = httptest.NewTLSServer(p.Authority()) // until the process ends
	tenant := p.AddTenant()
	p.otherTenant = p.AddTenant()
	var err error
	for _, app := range []*directory.Application{&p.app, &p.other} {
		if *app, err = p.AddApplication(directory.Registration{TenantID: tenant, Settings: directory.Settings{
			DisplayName: "Rekey console", RedirectURIs: []string{public + session.CallbackPath},
		}}); err != nil {
			return nil, err
		}
	}
	p.ada, err = p.AddUser(directory.User{TenantID: tenant, Name: "Ada Admin"})
	return p, err
})

// signedIn is the port to Entra with what the emulator does not have: app roles in ID tokens.
// They are put in as Entra would, before it signs.
type signedIn struct {
	*entra.Identification
	w      *entraWorld
	asked  int // to redeem
	claims map[string]any
	fail   error
}

func (s *signedIn) Redeem(ctx context.Context, tenantID string, code, verifier secret.Value, redirectURI string) (secret.Value, error) {
	s.asked++
	s.w.hide(code.Reveal(), verifier.Reveal())
	if s.fail != nil {
		return secret.Value{}, s.fail
	}
	token, err := s.Identification.Redeem(ctx, tenantID, code, verifier, redirectURI)
	if err != nil {
		return token, err
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[1])
	if err != nil {
		s.w.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(data, &claims); err != nil {
		s.w.Fatal(err)
	}
	for name, value := range s.claims {
		claims[name] = value
	}
	for _, number := range []string{"exp", "nbf", "iat"} {
		if f, ok := claims[number].(float64); ok {
			claims[number] = int64(f)
		}
	}
	signed := s.w.entra.Sign(nil, claims)
	s.w.hide(signed)
	return secret.New(signed), nil
}

// entraWorld is a world whose people sign in by Entra.
type entraWorld struct {
	*world
	entra  *people
	signed *signedIn
}

func newEntraWorld(t *testing.T) *entraWorld {
	t.Helper()
	p, err := emulated()
	if err != nil {
		t.Fatal(err)
	}
	w := &entraWorld{world: newWorld(t), entra: p}
	config := entra.Config{AuthorityHost: p.server.URL, Emulated: true, HTTPClient: p.server.Client()}
	authority, err := entra.New(config)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := openid.New(openid.Config{AuthorityHost: p.server.URL, HTTPClient: p.server.Client(), Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.signed = &signedIn{w: w, claims: map[string]any{"roles": []string{"Connections.Rotate", "Other", "Connections.Read"}},
		Identification: authority.Identification(entra.OAuthApplication{ClientID: p.app.ClientID,
			Secret: func(context.Context) (secret.Value, error) { return secret.New(p.app.Secret), nil }})}
	w.hide(p.app.Secret)
	w.Entra = &session.Entra{Authority: w.signed, IDTokens: tokens, ClientID: p.app.ClientID, TenantID: strings.ToUpper(p.app.TenantID)}
	return w
}

// departs presses the button on the sign-in page and returns where Entra is.
func (w *entraWorld) departs(b *browser, back string) string {
	w.Helper()
	resp := b.do(http.MethodPost, session.SignInPath+"/entra", url.Values{"back": {back}})
	if resp.StatusCode != http.StatusSeeOther || b.cookies[signInCookie] == "" {
		w.Fatalf("leaving for Entra: status %d, %v", resp.StatusCode, resp.Header)
	}
	if life := b.ends[signInCookie].Sub(w.now()); life != 10*time.Minute {
		w.Errorf("the cookie lasts %s", life)
	}
	return resp.Header.Get("Location")
}

// approves signs the person in at Entra and returns the query that they come back with.
func (w *entraWorld) approves(address string) url.Values {
	w.Helper()
	person := directory.Person{UserID: w.entra.ada, Client: w.entra.server.Client()}
	back, err := person.Approve(w.Context(), address)
	if err != nil {
		w.Fatal(err)
	}
	q := back.Query()
	if back.Query().Get("code") == "" || back.Path != session.CallbackPath || back.Host != "rekey.example" {
		w.Fatalf("came back to %s", back)
	}
	w.hide(q.Get("code"), q.Get("state"))
	return q
}

// returns brings the browser back to the console.
func (b *browser) returns(q url.Values) *http.Response {
	b.w.Helper()
	return b.do(http.MethodGet, session.CallbackPath+"?"+q.Encode(), nil)
}
