package app

import (
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/emulator/directory"
	"rekey/shared/secret"
	"rekey/shared/session"
)

// post is a form of the sign-in page.
func post(path string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// People sign in to the application that the settings name, with its secret out of the vault,
// and their sessions are sealed by a key that is there from then on.
func TestSigningInToTheConsole(t *testing.T) {
	s, c := start(t)
	const public = "https://rekey.example"
	app, err := s.Directory.AddApplication(directory.Registration{TenantID: s.TenantID, Settings: directory.Settings{
		DisplayName: "Console", RedirectURIs: []string{public + session.CallbackPath}}})
	if err != nil {
		t.Fatal(err)
	}
	ada, err := s.Directory.AddUser(directory.User{TenantID: s.TenantID, Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	s.Vault.Seed("console-application", app.Secret, nil)
	key, _, err := auth.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.PublicURL, c.Console = public, config.Console{ClientID: app.ClientID, SecretName: "console-application", KeyName: "sessions"}
	c.Callers = config.Callers{TenantID: s.TenantID, Audience: "api://rekey",
		Keys: []auth.Key{{Name: "ci", Role: auth.Admin, Hash: sha256.Sum256([]byte(key.Reveal()))}}}
	a, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	// Who is known and has no role is told so; the roles are those of the ID token.
	for _, c := range []struct {
		roles   map[string][]string
		problem session.Problem
	}{{nil, session.NoRole}, {map[string][]string{ada: {"Connections.Read"}}, ""}} {
		if err := s.Directory.Change(app.ObjectID, func(s *directory.Settings) { s.AppRoles = c.roles }); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		leaving := a.Sessions.SignInByEntra(w, post("/"), "")
		back, err := s.Person(ada).Approve(t.Context(), leaving.Location)
		if err != nil {
			t.Fatalf("at %s: %v", leaving.Location, err)
		}
		r := httptest.NewRequest(http.MethodGet, back.RequestURI(), nil)
		r.AddCookie(w.Result().Cookies()[0])
		if got := a.Sessions.Callback(httptest.NewRecorder(), r); got.Problem != c.problem {
			t.Errorf("coming back with the roles %v: %+v", c.roles, got)
		}
	}

	w := httptest.NewRecorder()
	if got := a.Sessions.SignInByKey(w, post("/"), key, ""); got.Problem != "" || len(s.Vault.Versions("sessions")) != 1 {
		t.Errorf("by a key: %+v, and the vault has %q", got, s.Vault.Names())
	}
	r := httptest.NewRequest(http.MethodGet, session.Base, nil)
	r.AddCookie(w.Result().Cookies()[0])
	if v, got := a.Sessions.Authenticate(httptest.NewRecorder(), r); got != nil || v.Caller.Name != "ci" || v.Caller.Role != auth.Admin {
		t.Errorf("then: %+v, %+v", v, got)
	}
}

// Without an application, a tenant or an address people don't sign in by Entra.
func TestTheConsoleWithoutEntra(t *testing.T) {
	_, c := start(t)
	c.OAuth = config.OAuth{ClientID: "0b1e7e57-0000-4000-8000-00000000000b", ClientSecret: secret.New("s")}
	c.Callers.TenantID, c.PublicURL = "0b1e7e57-0000-4000-8000-00000000000a", "https://rekey.example"
	for name, change := range map[string]func(c *config.Config){
		"": func(*config.Config) {}, "application": func(c *config.Config) { c.OAuth = config.OAuth{} },
		"tenant": func(c *config.Config) { c.Callers.TenantID = "" }, "address": func(c *config.Config) { c.PublicURL = "" },
	} {
		changed := c
		change(&changed)
		a, err := New(changed, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if on := a.Sessions.Entra != nil; on != (name == "") {
			t.Errorf("without %q: %v", name, on)
		}
	}
}
