package entra_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/entra"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// wire records what is sent, and takes the public cloud's host for the emulator's.
type wire struct {
	next http.RoundTripper
	to   *url.URL

	mu   sync.Mutex
	sent []string // "POST /tenant/oauth2/v2.0/token"
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, r.Method+" "+r.URL.Path)
	w.mu.Unlock()
	r = r.Clone(r.Context())
	r.Host, r.URL.Host = r.URL.Host, w.to.Host
	return w.next.RoundTrip(r)
}

func (w *wire) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

type world struct {
	*directory.Directory
	app    directory.Application
	server *httptest.Server
	wire   *wire
}

// newWorld starts the emulator with one application.
func newWorld(t *testing.T, c directory.Config) *world {
	t.Helper()
	d := directory.New(c)
	app, err := d.AddApplication(directory.Registration{
		TenantID: d.AddTenant(),
		Settings: directory.Settings{Roles: []string{directory.RoleReadWriteOwnedBy}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Directory: d, app: app}
	mux := http.NewServeMux()
	mux.Handle("/", d.Authority())
	// Instance metadata is the public cloud's; the emulator has no such thing.
	mux.HandleFunc("GET /common/discovery/instance", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"tenant_discovery_endpoint":"https://%s/%s/v2.0/.well-known/openid-configuration","api-version":"1.1",`+
			`"metadata":[{"preferred_network":%q,"preferred_cache":"login.windows.net","aliases":[%q]}]}`, r.Host, app.TenantID, r.Host, r.Host)
	})
	w.server = httptest.NewTLSServer(mux)
	t.Cleanup(w.server.Close)
	to, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := w.server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // the name in httptest's certificate
	w.wire = &wire{next: transport, to: to}
	return w
}

func (w *world) authority(t *testing.T, c entra.Config) *entra.Authority {
	t.Helper()
	if c.AuthorityHost == "" && c.Emulated {
		c.AuthorityHost = w.server.URL
	}
	c.HTTPClient = &http.Client{Transport: w.wire}
	a, err := entra.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) target() rotation.Application {
	return rotation.Application{TenantID: w.app.TenantID, ClientID: w.app.ClientID, ObjectID: w.app.ObjectID}
}

func (w *world) token(t *testing.T, a *entra.Authority) rotation.Token {
	t.Helper()
	token, err := a.Token(t.Context(), w.target(), secret.New(w.app.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenSaysWhoHoldsIt(t *testing.T) {
	w := newWorld(t, directory.Config{})
	token := w.token(t, w.authority(t, entra.Config{Emulated: true}))
	if token.Opaque || token.ObjectID != w.app.ServicePrincipalID || !slices.Equal(token.Roles, []string{directory.RoleReadWriteOwnedBy}) {
		t.Errorf("opaque %v, object id %s, roles %v", token.Opaque, token.ObjectID, token.Roles)
	}
	if left := time.Until(token.ExpiresAt); left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %v, want an hour", left)
	}
}

func TestOpaqueToken(t *testing.T) {
	w := newWorld(t, directory.Config{OpaqueTokens: true})
	token := w.token(t, w.authority(t, entra.Config{Emulated: true}))
	if !token.Opaque || token.ObjectID != "" || token.Roles != nil || token.Value.IsZero() {
		t.Errorf("got %+v, want a value and nothing else", token)
	}
}

// TestCost is the measurement that the package comment speaks of.
func TestCost(t *testing.T) {
	for name, c := range map[string]struct {
		config entra.Config
		first  []string
	}{
		"public cloud": {entra.Config{}, []string{"GET instance", "GET tenant", "POST token"}},
		"emulated":     {entra.Config{Emulated: true}, []string{"GET tenant", "POST token"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, directory.Config{})
			now := time.Now()
			c.config.Now = func() time.Time { return now }
			a := w.authority(t, c.config)
			ask := func(want []string) {
				t.Helper()
				w.token(t, a)
				if got := names(w.wire.take()); !slices.Equal(got, want) {
					t.Errorf("sent %v, want %v", got, want)
				}
			}
			ask(c.first)
			ask([]string{"POST token"})
			now = now.Add(time.Hour)
			ask(c.first)
		})
	}
}

func names(sent []string) []string {
	var short []string
	for _, s := range sent {
		switch {
		case strings.HasSuffix(s, "/discovery/instance"):
			s = "GET instance"
		case strings.HasSuffix(s, "/.well-known/openid-configuration"):
			s = "GET tenant"
		case strings.HasSuffix(s, "/oauth2/v2.0/token"):
			s = "POST token"
		}
		short = append(short, s)
	}
	return short
}

func TestFailedDiscoveryIsForgotten(t *testing.T) {
	failing := true
	w := newWorld(t, directory.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if op == directory.OpDiscovery && failing {
			return &fault.Effect{Status: http.StatusServiceUnavailable}
		}
		return nil
	}})
	a := w.authority(t, entra.Config{Emulated: true})
	_, err := a.Token(t.Context(), w.target(), secret.New(w.app.Secret))
	if serviceerror.ClassOf(err) != serviceerror.Transient {
		t.Fatalf("got %v, want a transient error", err)
	}
	failing = false
	w.token(t, a)
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		effect fault.Effect
		want   serviceerror.Error
	}{
		"removed": {fault.Effect{Status: 401, Code: "7000215"},
			serviceerror.Error{Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}},
		"expired": {fault.Effect{Status: 401, Code: "7000222"},
			serviceerror.Error{Class: serviceerror.CredentialExpired, Status: 401, Code: "AADSTS7000222"}},
		"any other refusal": {fault.Effect{Status: 401, Code: "7000112"},
			serviceerror.Error{Class: serviceerror.CredentialInvalid, Status: 401, Code: "AADSTS7000112"}},
		"application": {fault.Effect{Status: 400, Code: "700016"},
			serviceerror.Error{Class: serviceerror.ApplicationMissing, Status: 400, Code: "AADSTS700016"}},
		"tenant": {fault.Effect{Status: 400, Code: "90002"},
			serviceerror.Error{Class: serviceerror.TenantMissing, Status: 400, Code: "AADSTS90002"}},
		"code in a 5xx": {fault.Effect{Status: 500, Code: "7000215"},
			serviceerror.Error{Class: serviceerror.Transient, Status: 500, Code: "AADSTS7000215"}},
		"transient as a 400": {fault.Effect{Status: 400, Code: "90033"},
			serviceerror.Error{Class: serviceerror.Transient, Status: 400, Code: "AADSTS90033"}},
		"throttled": {fault.Effect{Status: 429, Header: http.Header{"Retry-After": {"17"}}},
			serviceerror.Error{Class: serviceerror.Throttled, Status: 429, Code: "AADSTS90055", RetryAfter: 17 * time.Second}},
		"throttled, no time": {fault.Effect{Status: 429}, serviceerror.Error{Class: serviceerror.Throttled, Status: 429, Code: "AADSTS90055"}},
		"overloaded": {fault.Effect{Status: 503, Header: http.Header{"Retry-After": {"3"}}},
			serviceerror.Error{Class: serviceerror.Throttled, Status: 503, Code: "AADSTS90033", RetryAfter: 3 * time.Second}},
		"connection dropped": {fault.Effect{}, serviceerror.Error{Class: serviceerror.Transient}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, directory.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
				if op != directory.OpToken {
					return nil
				}
				return &c.effect
			}})
			_, err := w.authority(t, entra.Config{Emulated: true}).Token(t.Context(), w.target(), secret.New(w.app.Secret))
			got, ok := errors.AsType[*serviceerror.Error](err)
			if !ok {
				t.Fatalf("got %v, want a *serviceerror.Error", err)
			}
			if c.effect.Status != 0 && got.RequestID == "" {
				t.Error("no request id")
			}
			c.want.Op, c.want.RequestID = "asking for a token", got.RequestID
			if *got != c.want {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
			if n := w.Calls(directory.OpToken); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		})
	}
}

// TestForeignAnswers: what is not of Entra's form is no verdict on a secret, and
// nothing of it is printed.
func TestForeignAnswers(t *testing.T) {
	const page = "<html>you are user=alice password=hunter2</html>"
	for name, status := range map[string]int{"proxy": 403, "portal": 200, "redirect": 307, "gateway": 502} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, directory.Config{})
			var stolen bool
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen = true }))
			defer elsewhere.Close()
			real := w.server.Config.Handler
			w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					real.ServeHTTP(rw, r)
					return
				}
				rw.Header().Set("Location", elsewhere.URL)
				rw.WriteHeader(status)
				io.WriteString(rw, page)
			})
			_, err := w.authority(t, entra.Config{Emulated: true}).Token(t.Context(), w.target(), secret.New(w.app.Secret))
			if serviceerror.ClassOf(err) != serviceerror.Transient || strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") {
				t.Errorf("got %v, want a transient error without the page", err)
			}
			if stolen {
				t.Error("the client secret followed a redirect")
			}
		})
	}
}

// TestNothingToAsk: what cannot be a tenant, an application or a secret is refused
// without a request, since a tenant becomes part of the address.
func TestNothingToAsk(t *testing.T) {
	w := newWorld(t, directory.Config{})
	a := w.authority(t, entra.Config{Emulated: true})
	for _, tenant := range []string{"", ".", "..", "a/b", "a?b", "a#b", "a b", "a%2fb", "-a", "common", "Organizations", "consumers", "adfs",
		"dstsv2", "a..b", strings.Repeat("a", 254)} {
		app := w.target()
		app.TenantID = tenant
		if _, err := a.Token(t.Context(), app, secret.New("s")); serviceerror.ClassOf(err) != serviceerror.TenantMissing {
			t.Errorf("tenant %q: got %v", tenant, err)
		}
	}
	app := w.target()
	app.ClientID = ""
	if _, err := a.Token(t.Context(), app, secret.New("s")); serviceerror.ClassOf(err) != serviceerror.ApplicationMissing {
		t.Errorf("no client id: got %v", err)
	}
	if _, err := a.Token(t.Context(), w.target(), secret.Value{}); serviceerror.ClassOf(err) != serviceerror.CredentialRefused {
		t.Errorf("no secret: got %v", err)
	}
	if sent := w.wire.take(); len(sent) != 0 {
		t.Errorf("sent %v", sent)
	}
}

func TestDeadline(t *testing.T) {
	ctx, over := fault.Deadline(t.Context())
	w := newWorld(t, directory.Config{Hook: func(string, *http.Request) *fault.Effect {
		over()
		return &fault.Effect{Delay: time.Hour, Pass: true} // longer than tests may take
	}})
	_, err := w.authority(t, entra.Config{Emulated: true}).Token(ctx, w.target(), secret.New(w.app.Secret))
	if serviceerror.ClassOf(err) != serviceerror.Transient || err == nil {
		t.Errorf("got %v, want a transient error", err)
	}
}

func TestNewRefusesAddresses(t *testing.T) {
	for _, host := range []string{"http://login.example", "login.example", "https://", "https://user@login.example",
		"https://login.example?a=b", ":"} {
		if _, err := entra.New(entra.Config{AuthorityHost: host}); err == nil {
			t.Errorf("%q is accepted", host)
		}
	}
}
