package oauth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/entra"
	"rekey/shared/oauth"
	"rekey/shared/openid"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

const (
	tenant  = "11111111-1111-4111-8111-111111111111"
	other   = "22222222-2222-4222-8222-222222222222"
	client  = "33333333-3333-4333-8333-333333333333"
	person  = "44444444-4444-4444-8444-444444444444"
	connID  = "55555555-5555-4555-8555-555555555555"
	refresh = "0.refresh-token-that-must-not-be-seen"
	public  = "https://rekey.example"
)

// issuedCode is what the fake Entra knows of a code.
type issuedCode struct{ tenant, challenge, nonce, redirect string }

// fakeEntra redeems each code once, if the verifier fits the challenge. Its ID tokens
// are JSON that it verifies itself.
type fakeEntra struct {
	mu       sync.Mutex
	codes    map[string]issuedCode
	asked    int // to redeem
	redeemed int
	secrets  []string // that were made
	fail     error    // of the next redemption
	claims   func(c *claims)
}

type claims struct{ Tenant, Client, Nonce, Account, Name, Username string }

func (e *fakeEntra) SignInURL(r entra.SignInRequest) string {
	return "https://entra.example/" + r.TenantID + "/authorize?" + url.Values{
		"state": {r.State}, "nonce": {r.Nonce}, "code_challenge": {r.Challenge}, "redirect_uri": {r.RedirectURI},
	}.Encode()
}

func (e *fakeEntra) AdminConsentURL(tenantID, redirectURI, state string) string {
	return "https://entra.example/" + tenantID + "/adminconsent?" + url.Values{"redirect_uri": {redirectURI}, "state": {state}}.Encode()
}

func (e *fakeEntra) Issuer(tenantID string) string {
	return "https://entra.example/" + tenantID + "/v2.0"
}

// approve is a person who signs in and is sent back with a code.
func (e *fakeEntra) approve(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.codes == nil {
		e.codes = map[string]issuedCode{}
	}
	code := fmt.Sprintf("0.authorization-code-%d-must-not-be-seen", len(e.codes))
	e.codes[code] = issuedCode{strings.Split(u.Path, "/")[1], q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	e.secrets = append(e.secrets, code)
	return url.Values{"code": {code}, "state": {q.Get("state")}, "session_state": {"x"}}
}

func (e *fakeEntra) Redeem(_ context.Context, tenantID string, code, verifier secret.Value, redirectURI string) (entra.Redeemed, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secrets = append(e.secrets, verifier.Reveal())
	e.asked++
	if err := e.fail; err != nil {
		e.fail = nil
		return entra.Redeemed{}, err
	}
	c, ok := e.codes[code.Reveal()]
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	fits := c.challenge == "" && verifier.IsZero() || c.challenge == base64.RawURLEncoding.EncodeToString(sum[:])
	if !ok || c.tenant != tenantID || c.redirect != redirectURI || !fits {
		return entra.Redeemed{}, &serviceerror.Error{Op: "redeeming", Class: serviceerror.SignInExpired, Status: 400, Code: "AADSTS70000"}
	}
	delete(e.codes, code.Reveal())
	e.redeemed++
	id := claims{Tenant: tenantID, Client: client, Nonce: c.nonce, Account: person, Name: "Ada", Username: "ada@example.com"}
	if e.claims != nil {
		e.claims(&id)
	}
	token, _ := json.Marshal(id)
	return entra.Redeemed{
		Token: rotation.Token{Value: secret.New("access-token-must-not-be-seen")}, RefreshToken: secret.New(refresh),
		IDToken: secret.New(string(token)),
	}, nil
}

func (e *fakeEntra) IDToken(_ context.Context, raw secret.Value, want openid.Expect) (openid.Identity, error) {
	var c claims
	switch err := json.Unmarshal([]byte(raw.Reveal()), &c); {
	case err != nil:
		return openid.Identity{}, openid.Malformed
	case c.Tenant != want.TenantID:
		return openid.Identity{}, openid.Tenant
	case c.Client != want.ClientID:
		return openid.Identity{}, openid.Audience
	case !want.NoNonce && (want.Nonce == "" || c.Nonce != want.Nonce):
		return openid.Identity{}, openid.Nonce
	}
	return openid.Identity{TenantID: c.Tenant, ObjectID: c.Account, Name: c.Name, Username: c.Username}, nil
}

// fakeConnections remembers what was made.
type fakeConnections struct {
	mu      sync.Mutex
	made    []connection.Input
	changed []connection.Change
	rec     *rotation.Record
	fail    error
	takes   time.Duration // to make one
}

var errNone = &connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}

func (c *fakeConnections) Get(_ context.Context, id string) (rotation.Record, error) {
	if c.rec == nil || c.rec.ID != id {
		return rotation.Record{}, errNone
	}
	return *c.rec, nil
}

func (c *fakeConnections) ByName(_ context.Context, project, name string) (rotation.Record, error) {
	if c.rec == nil || c.rec.Name != name || c.rec.Project != project {
		return rotation.Record{}, errNone
	}
	return *c.rec, nil
}

func (c *fakeConnections) Create(_ context.Context, in connection.Input) (rotation.Record, error) {
	time.Sleep(c.takes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return rotation.Record{}, c.fail
	}
	c.made = append(c.made, in)
	return rotation.Record{ID: connID}, in.Clean()
}

func (c *fakeConnections) Update(_ context.Context, id string, change connection.Change) (rotation.Record, error) {
	if c.fail != nil {
		return rotation.Record{}, c.fail
	}
	if *change.Version != c.rec.Revision {
		c.rec.Revision++
		return rotation.Record{}, &connection.Error{Kind: connection.Conflict, Message: "changed"}
	}
	c.changed = append(c.changed, change)
	return *c.rec, nil
}

// browser keeps cookies.
type browser map[string]string

func (b browser) jar(name string) string { return b[name] }

// world is a flow with everything around it.
type world struct {
	*testing.T
	*oauth.Flow
	entra *fakeEntra
	conns *fakeConnections
	rows  *rotationtest.MemoryPending
	now   time.Time
	log   bytes.Buffer
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, entra: &fakeEntra{}, conns: &fakeConnections{}, rows: &rotationtest.MemoryPending{},
		now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.Flow = &oauth.Flow{
		Store: w.rows, Authority: w.entra, IDTokens: w.entra, Connections: w.conns, ClientID: client, PublicURL: public,
		Now: func() time.Time { return w.now }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	t.Cleanup(w.leaks)
	return w
}

// leaks looks for what must be in no log line and no row.
func (w *world) leaks() {
	w.Helper()
	for _, secret := range append(w.entra.secrets, refresh, "must-not-be-seen") {
		if secret == "" {
			continue
		}
		if strings.Contains(w.log.String(), secret) {
			w.Errorf("a secret of %d characters is in the log", len(secret))
		}
		for key, row := range w.rows.Values() {
			if strings.Contains(key+row, secret) {
				w.Errorf("a secret of %d characters is in a row", len(secret))
			}
		}
	}
}

func (w *world) request() oauth.Request {
	return oauth.Request{Name: "billing", Description: "ours", TenantID: tenant, By: "alice"}
}

// begin returns the state of a new flow.
func (w *world) begin(r oauth.Request) string {
	w.Helper()
	got, err := w.Begin(w.Context(), r)
	if err != nil {
		w.Fatalf("Begin: %v", err)
	}
	state, ok := strings.CutPrefix(got.AuthorizationURL, public+oauth.StartPath+"?state=")
	if !ok || !got.ExpiresAt.Equal(w.now.Add(oauth.Lifetime)) {
		w.Fatalf("Begin gave %+v", got)
	}
	w.entra.secrets = append(w.entra.secrets, state)
	return state
}

// depart presses the button and returns where Entra is.
func (w *world) depart(b browser, state string) string {
	w.Helper()
	to, problem := w.Approve(w.Context(), state, b.jar)
	if problem != "" {
		w.Fatalf("Approve: %s", problem)
	}
	c := to.Cookie
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
		!strings.HasPrefix(c.Name, "__Host-rekey-oauth-") {
		w.Errorf("the cookie is %+v", c)
	}
	b[c.Name] = c.Value
	w.entra.secrets = append(w.entra.secrets, c.Value)
	return to.URL
}

// ended is what a browser sees after a callback.
func (w *world) ended(b browser, landing oauth.Landing) (oauth.Result, oauth.Problem) {
	w.Helper()
	for _, secret := range w.entra.secrets {
		if secret != "" && strings.Contains(landing.Path(), secret) {
			w.Errorf("the landing has a secret of %d characters in its address", len(secret))
		}
	}
	if landing.Problem != "" {
		return oauth.Result{}, landing.Problem
	}
	return w.Result(w.Context(), landing.Flow, b.jar)
}

// nothing fails the test if anything was stored.
func (w *world) nothing() {
	w.Helper()
	if len(w.conns.made)+len(w.conns.changed) > 0 {
		w.Error("a connection was made or changed")
	}
}
