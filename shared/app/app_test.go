package app

import (
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/config"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
)

// start starts services and returns the settings that lead to them.
func start(t *testing.T) (*stack.Stack, config.Config) {
	t.Helper()
	s, err := stack.Start(stack.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	env := map[string]string{}
	for _, e := range s.Env() {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	c, err := config.Load(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// A cold start costs no request, and the first use of each service signs in once.
func TestNewAsksNobody(t *testing.T) {
	s, c := start(t)
	a, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Directory.Calls(directory.OpToken) + s.Directory.Calls(directory.OpDiscovery) + s.Vault.Challenges(); n != 0 {
		t.Errorf("%d requests before anything was to be done", n)
	}
	for range 3 {
		if _, err := a.Connections.List(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Connections.Vault.State(t.Context(), "nothing"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Directory.Calls(directory.OpToken); n != 2 {
		t.Errorf("%d tokens for two services, want 2", n)
	}
}

// What is wrong with the file of the emulators' authority is said at start.
func TestCAFile(t *testing.T) {
	_, c := start(t)
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{junk: "holds no certificate", filepath.Join(t.TempDir(), "none.pem"): "no such file"} {
		c.CAFile = file
		if _, err := New(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "REKEY_CA_FILE") ||
			!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want %q", filepath.Base(file), err, says)
		}
	}
}

// Only the given authority is trusted, so that no other certificate of this machine's
// opens the way to an emulator; without one it is the system's.
func TestTrust(t *testing.T) {
	one, c := start(t)
	other, _ := start(t)
	client, err := httpClient(c)
	if err != nil {
		t.Fatal(err)
	}
	reaches := func(client *http.Client, url string) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := reaches(client, one.GraphURL); err != nil {
		t.Error(err)
	}
	if reaches(client, other.GraphURL) == nil {
		t.Error("another authority's certificate was accepted")
	}
	c.CAFile = ""
	if client, err = httpClient(c); err != nil {
		t.Fatal(err)
	}
	if reaches(client, one.GraphURL) == nil {
		t.Error("an unknown authority's certificate was accepted")
	}
}

// The audience of Graph tokens is the cloud's own; the emulator stands for the public one.
func TestGraphScope(t *testing.T) {
	for url, want := range map[string]string{
		"https://graph.microsoft.com": "https://graph.microsoft.com/.default",
		"https://graph.microsoft.us/": "https://graph.microsoft.us/.default",
	} {
		if got := graphScope(config.Config{GraphURL: url}); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if got := graphScope(config.Config{GraphURL: "https://127.0.0.1:1", Emulated: true}); got != "" {
		t.Errorf("emulated: %q, want the adapter's default", got)
	}
}

// Rekey does not rotate what it stands on: its own identity, and what people sign in to.
func TestRefusedApplications(t *testing.T) {
	const own, oauth = "0B1E7E57-0000-4000-8000-00000000000A", "0b1e7e57-0000-4000-8000-00000000000b"
	const console = "0B1E7E57-0000-4000-8000-00000000000C"
	got := refused(config.Config{
		Identity: config.Identity{ClientID: own, ClientSecret: secret.New("s")}, OAuth: config.OAuth{ClientID: oauth},
		Console: config.Console{ClientID: console},
	})
	want := map[string]string{strings.ToLower(own): "Rekey's own identity", oauth: "the one that people connect with by OAuth",
		strings.ToLower(console): "the one that people sign in to the console with"}
	if !maps.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
	if got := refused(config.Config{}); len(got) != 0 {
		t.Errorf("refused %v without any", got)
	}
}

// A wrong secret of Rekey's own is not the caller's to repair: the operator is told.
func TestOwnIdentityRefused(t *testing.T) {
	_, c := start(t)
	c.Identity.ClientSecret = secret.New("abc8Q~of-another-time-of-another-time-of")
	a, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Connections.List(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "Rekey's own identity") ||
		strings.Contains(err.Error(), c.Identity.ClientSecret.Reveal()) {
		t.Errorf("the table: %v", err)
	}
	_, err = a.Connections.Vault.State(t.Context(), "nothing")
	if serviceerror.ClassOf(err) != serviceerror.VaultRefused || strings.Contains(err.Error(), c.Identity.ClientSecret.Reveal()) {
		t.Errorf("the vault: %v", err)
	}
}
