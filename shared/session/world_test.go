package session_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/vault"
	"rekey/shared/keyvault"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/session"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	public  = "https://rekey.example"
	keyName = "rekey-console-key"
)

// world is a console with everything around it: the vault is the emulator, behind the real
// adapter. It serves pages that only say who is signed in.
type world struct {
	*testing.T
	*session.Manager
	vault  *vault.Vault
	table  rotationtest.Store
	server *httptest.Server // the vault's

	hook fault.Hook // of the vault; nil: it behaves

	mu      sync.Mutex
	clock   time.Time
	log     bytes.Buffer
	secrets []string // that must be in no line of the log
}

// credential is Rekey's identity, as far as the vault asks.
type credential struct{}

func (credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// newWorld returns a console that no person can sign in to yet.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: time.Now().Truncate(time.Second)}
	memory := rotationtest.NewWorld(t)
	memory.Latency = 0
	w.table = memory.StorePort()
	w.vault = vault.New(vault.Config{Now: w.now, Hook: func(op string, r *http.Request) *fault.Effect {
		if w.hook == nil {
			return nil
		}
		return w.hook(op, r)
	}})
	w.server = httptest.NewTLSServer(w.vault)
	t.Cleanup(w.server.Close)
	w.Manager = w.instance()
	t.Cleanup(w.leaks)
	return w
}

// instance is another process of the same deployment.
func (w *world) instance() *session.Manager {
	w.Helper()
	kv, err := keyvault.New(keyvault.Config{URL: w.server.URL, Credential: credential{}, Emulated: true,
		Transport: w.server.Client(), RetryDelay: time.Millisecond})
	if err != nil {
		w.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(writer{w}, nil))
	m := &session.Manager{
		Callers: &auth.Authenticator{}, Trail: &audit.Trail{Store: w.table, Now: w.now, Log: log},
		Keys:       &session.Keys{Vault: kv, Name: keyName, Reservations: w.table, Now: w.now, Log: log},
		Deployment: "test", PublicURL: public, Now: w.now, Log: log,
	}
	m.Keys.Trail = m.Trail
	if w.Manager != nil {
		m.Callers, m.Entra = w.Callers, w.Entra
	}
	return m
}

// writer writes the log of several instances.
type writer struct{ w *world }

func (l writer) Write(line []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(line)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) after(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// lines returns what was logged.
func (w *world) lines() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// hide notes what must not be logged.
func (w *world) hide(values ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, values...)
}

func (w *world) leaks() {
	log := w.lines() + strings.Join(w.audited(), "")
	for _, v := range w.vault.Versions(keyName) {
		w.hide(v.Value)
	}
	for _, s := range w.secrets {
		if s != "" && strings.Contains(log, s) {
			w.Errorf("a secret of %d characters is in the log", len(s))
		}
	}
}

// addKey configures an API key and returns it.
func (w *world) addKey(name string, role auth.Role) string {
	w.Helper()
	key, hash, err := auth.NewKey(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	entry, err := auth.ParseKey(fmt.Sprintf("%s:%s:%s", name, role, hash))
	if err != nil {
		w.Fatal(err)
	}
	w.Callers.Keys = append(w.Callers.Keys, entry)
	w.hide(key.Reveal(), hash)
	return key.Reveal()
}

// page is what the pages of these tests say.
type page struct {
	Name, Kind, Shown, Token string
	Role                     auth.Role
	Begun, Ends              time.Time
}

// site serves the console of one instance.
func site(m *session.Manager) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := func(a *session.Answer) {
			w.Header().Set("Location", a.Location)
			w.Header().Set("Problem", string(a.Problem))
			w.Header().Set("Retry-After", a.RetryAfter.String())
			w.WriteHeader(a.Status)
		}
		switch r.Method + " " + r.URL.Path {
		case "GET " + session.CallbackPath:
			answer(m.Callback(w, r))
			return
		case "POST " + session.SignInPath + "/entra":
			answer(m.SignInByEntra(w, r, r.PostFormValue("back")))
			return
		case "POST " + session.SignInPath + "/key":
			answer(m.SignInByKey(w, r, secret.New(r.PostFormValue("key")), r.PostFormValue("back")))
			return
		}
		v, refused := m.Authenticate(w, r)
		switch {
		case refused != nil:
			answer(refused)
		case r.URL.Path == session.Base+"/sign-out":
			answer(m.SignOut(w, r, v))
		default:
			data, _ := json.Marshal(page{v.Caller.Name, v.Caller.Kind, v.Shown, v.Token(), v.Caller.Role, v.Begun, v.Ends})
			w.Write(data)
		}
	})
}

// browser keeps cookies, as a browser does.
type browser struct {
	w       *world
	m       *session.Manager
	cookies map[string]string
	ends    map[string]time.Time
	set     int // how many cookies were set so far
	header  http.Header
}

func (w *world) browser() *browser {
	return &browser{w: w, m: w.Manager, cookies: map[string]string{}, ends: map[string]time.Time{}, header: http.Header{}}
}

// do sends one request, with the form in its body if there is one.
func (b *browser) do(method, address string, form url.Values) *http.Response {
	b.w.Helper()
	r := httptest.NewRequest(method, address, nil)
	if form != nil {
		r = httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if method != http.MethodGet {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, values := range b.header {
		r.Header[name] = values
	}
	return b.send(r)
}

func (b *browser) send(r *http.Request) *http.Response {
	b.w.Helper()
	for name, value := range b.cookies {
		if b.w.now().Before(b.ends[name]) {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
	}
	rec := httptest.NewRecorder()
	site(b.m).ServeHTTP(rec, r)
	resp := rec.Result()
	for _, c := range resp.Cookies() {
		b.set++
		b.w.hide(c.Value)
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name], b.ends[c.Name] = c.Value, b.w.now().Add(time.Duration(c.MaxAge)*time.Second)
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
			c.Secure != strings.HasPrefix(c.Name, "__Host-") {
			b.w.Errorf("the cookie is %+v", c)
		}
	}
	return resp
}

const sessionCookie, signInCookie = "__Host-rekey-session", "__Host-rekey-signin"

// opens returns the page at an address of the console, zero where it was refused.
func (b *browser) opens(method, address string, form url.Values) (page, *http.Response) {
	b.w.Helper()
	resp := b.do(method, address, form)
	var p page
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			b.w.Fatal(err)
		}
	}
	return p, resp
}

// get opens the overview.
func (b *browser) get() (page, *http.Response) {
	b.w.Helper()
	return b.opens(http.MethodGet, session.Base, nil)
}

// signIn signs in with an API key.
func (b *browser) signIn(key string) page {
	b.w.Helper()
	resp := b.do(http.MethodPost, session.SignInPath+"/key", url.Values{"key": {key}})
	p, _ := b.get()
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != session.Base || p.Name == "" {
		b.w.Fatalf("signing in: status %d, %v, then %+v", resp.StatusCode, resp.Header, p)
	}
	b.w.hide(p.Token)
	return p
}

// refused fails the test unless a request was answered by a problem.
func (b *browser) refused(what string, resp *http.Response, status int, p session.Problem) {
	b.w.Helper()
	if resp.StatusCode != status || resp.Header.Get("Problem") != string(p) {
		b.w.Errorf("%s: status %d, problem %q; want %d, %q", what, resp.StatusCode, resp.Header.Get("Problem"), status, p)
	}
}

// decoded are the raw bytes of a cookie.
func decoded(t *testing.T, cookie string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
