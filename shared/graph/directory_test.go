package graph_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"rekey/shared/secret"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/entra"
	"rekey/shared/graph"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// world is an emulated directory behind TLS, the real clients of it, and one
// application that owns itself.
type world struct {
	*directory.Directory
	app       directory.Application
	authority *entra.Authority
	graph     *graph.Directory

	mu   sync.Mutex
	at   time.Time
	hook fault.Hook
}

func newWorld(t *testing.T, c directory.Config) *world {
	t.Helper()
	w := &world{at: time.Now()}
	c.Now = w.now
	c.Hook = func(op string, r *http.Request) *fault.Effect {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.hook == nil {
			return nil
		}
		return w.hook(op, r)
	}
	w.Directory = directory.New(c)
	app, err := w.AddApplication(directory.Registration{
		TenantID:   w.AddTenant(),
		OwnsItself: true,
		Settings:   directory.Settings{DisplayName: "sample", Roles: []string{directory.RoleReadWriteOwnedBy}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.app = app
	login := httptest.NewTLSServer(w.Authority())
	t.Cleanup(login.Close)
	w.authority, err = entra.New(entra.Config{AuthorityHost: login.URL, Emulated: true, HTTPClient: login.Client()})
	if err != nil {
		t.Fatal(err)
	}
	w.graph = client(t, w.Graph())
	return w
}

// client is a real client of whatever handler answers as Graph.
func client(t *testing.T, handler http.Handler) *graph.Directory {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	d, err := graph.New(graph.Config{BaseURL: server.URL, HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) misbehave(hook fault.Hook) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

func (w *world) target() rotation.Application {
	return rotation.Application{TenantID: w.app.TenantID, ClientID: w.app.ClientID, ObjectID: w.app.ObjectID}
}

func (w *world) token(t *testing.T) rotation.Token {
	t.Helper()
	token, err := w.authority.Token(t.Context(), w.target(), secret.New(w.app.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) change(t *testing.T, change func(*directory.Settings)) {
	t.Helper()
	if err := w.Change(w.app.ObjectID, change); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]directory.Config{"readable tokens": {}, "opaque tokens": {OpaqueTokens: true}} {
		t.Run(name, func(t *testing.T) {
			rotationtest.TestDirectory(t, func(t *testing.T) rotationtest.DirectorySubject { return newSubject(t, c) })
		})
	}
}

func newSubject(t *testing.T, c directory.Config) rotationtest.DirectorySubject {
	w := newWorld(t, c)
	return rotationtest.DirectorySubject{
		Authority: w.authority,
		Directory: w.graph,
		Now:       w.now,
		App:       w.target(),
		Secret:    secret.New(w.app.Secret),
		KeyID:     w.app.KeyID,
		Expire:    func() { w.pass(3 * 365 * 24 * time.Hour) },
		AdmitPersonal: func() {
			w.change(t, func(s *directory.Settings) { s.SignInAudience = "AzureADandPersonalMicrosoftAccount" })
		},
		LimitLifetime: func(longest time.Duration) {
			w.change(t, func(s *directory.Settings) { s.Policy = directory.Policy{ID: policyID, MaxLifetime: longest} })
		},
		ForbidPasswords: func() {
			w.change(t, func(s *directory.Settings) { s.Policy = directory.Policy{ID: policyID, ForbidPasswords: true} })
		},
		DenyWrites: func() { w.change(t, func(s *directory.Settings) { s.Owners = nil }) },
		Delete: func() {
			if err := w.RemoveApplication(w.app.ObjectID); err != nil {
				t.Fatal(err)
			}
		},
	}
}

const policyID = "5c2f9b6e-7d0a-4c3a-9f7e-0f1e2d3c4b5a"
