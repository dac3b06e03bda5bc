package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/freeport"
	"rekey/shared/session"
)

// screen is what a person sees.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// patience ends a wait for what never comes. How long something takes is no matter here.
const patience = 5 * time.Minute

// shows waits until words are on the screen, or gone is closed.
func (s *screen) shows(t *testing.T, words string, gone <-chan error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !strings.Contains(s.String(), words) {
		select {
		case <-tick.C:
		case err := <-gone:
			t.Fatalf("ended before it showed %q: %v\n%s", words, err, s)
		case <-late:
			t.Fatalf("%q is not shown:\n%s", words, s)
		}
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(playsFunc) != "" {
		playFunc()
		return
	}
	code := m.Run()
	if stagedIn != "" {
		os.RemoveAll(stagedIn)
	}
	os.Exit(code)
}

// staged is the app root, made by the Makefile as for make run. In the handler's place
// there is a script that adds its process id to the file HANDLER_PIDS, if there is to
// be one, and becomes the handler.
var staged = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-local-")
	if err != nil {
		return "", err
	}
	stagedIn = dir
	root := filepath.Join(dir, "app")
	make := exec.Command("make", "stage", "ROOT="+root, "VERSION=test")
	make.Dir = "../.."
	// A make that runs the tests says in these what it was told itself.
	make.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS") })
	if out, err := make.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make stage: %w\n%s", err, out)
	}
	handler := filepath.Join(root, "handler")
	script := "#!/bin/sh\nif [ -n \"${HANDLER_PIDS-}\" ]; then echo $$ >>\"$HANDLER_PIDS\"; fi\nexec '" + handler + "-itself'\n"
	return root, errors.Join(os.Rename(handler, handler+"-itself"), os.WriteFile(handler, []byte(script), 0o755))
})

var stagedIn string // to be removed

func appRoot(t *testing.T) string {
	t.Helper()
	root, err := staged()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// answers reports whether a process listens at an address like https://127.0.0.1:1234.
func answers(t *testing.T, url string) bool {
	t.Helper()
	_, addr, _ := strings.Cut(url, "://")
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// closes tells whether the address stops answering. A program that another test is starting may keep a listener for some
// milliseconds after it was closed.
func closes(t *testing.T, url string) bool {
	t.Helper()
	for end := time.Now().Add(patience); answers(t, url); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// demoEnv reads demo.env, which is for this user's eyes only.
func demoEnv(t *testing.T, dir string) map[string]string {
	t.Helper()
	path := filepath.Join(dir, "demo.env")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("demo.env has mode %v", info.Mode())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = strings.Trim(value, "'")
	}
	for _, name := range []string{"REKEY_URL", "REKEY_API_KEY", "TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "CLIENT_SECRET_KEY_ID",
		"AUTHORITY_HOST", "GRAPH_URL", "KEY_VAULT_URL", "TABLE_SERVICE", "CA_FILE"} {
		if env[name] == "" {
			t.Errorf("demo.env has no %s", name)
		}
	}
	return env
}

// services are the addresses in demo.env at which something listens.
var services = []string{"REKEY_URL", "AUTHORITY_HOST", "GRAPH_URL", "KEY_VAULT_URL", "TABLE_SERVICE"}

func closed(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range services {
		if !closes(t, env[name]) {
			t.Errorf("%s still answers at %s", name, env[name])
		}
	}
}

// What a newcomer sees, and what the README tells them to paste: the original is
// revoked and a new key is live, another application is connected and rotated, and
// its original no longer signs in. No secret is on the screen or in the log.
func TestReadme(t *testing.T) {
	t.Parallel()
	root, here := appRoot(t), t.TempDir()
	dir := filepath.Join(here, ".local")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := &screen{}, make(chan error, 1)
	go func() { ended <- run(ctx, root, dir, freeport.ForTest(t), out) }()
	out.shows(t, "Ctrl-C stops everything", ended)

	shown := out.String()
	original := find(t, shown, `original client secret (\S+) revoked`)
	issued := find(t, shown, `new client secret (\S+) issued, proven and published`)
	if live := find(t, shown, `live in Entra now: (\S+)`); live != issued || live == original ||
		strings.Count(shown, "live in Entra now") != 1 {
		t.Errorf("live is %s, issued %s, original %s:\n%s", live, issued, original, shown)
	}
	find(t, shown, `next rotation: (\d{4}-\d\d-\d\d)`)

	env := demoEnv(t, dir)
	var pasted string
	t.Run("lines", func(t *testing.T) {
		t.Run("api.md", func(t *testing.T) {
			t.Parallel()
			pasted = paste(t, here)
			find(t, pasted, `"keyId":"([0-9a-f-]{36})"`)
			leadsTo(t, pasted, `"trigger":"manual"`, `"trigger":"creation"`, env["CLIENT_SECRET_KEY_ID"], "AADSTS7000215",
				`"vaultSecretName":"payroll-secret"`, `/organization/app-connections/azure/oauth/start?`, `"outcome":"connected"`,
				`"vaultSecretName":"intranet-secret"`, `"finding":"ends-in-7-days"`, `"endsByWeek":[`, `"tenantId","clientId","name"`,
				`"vaultSecretName":"adopted-secret"`)
			for _, name := range []string{"CLIENT_ID", "TARGET_CLIENT_ID", "OTHER_CLIENT_ID"} { // what the vault has signs in
				find(t, pasted, `"authenticates": true,\s+"clientId": "(`+env[name]+`)"`)
			}
		})
		t.Run("install.md", func(t *testing.T) {
			t.Parallel()
			installed := install(t, here)
			leadsTo(t, installed, `"vaultSecretName":"payments-client-secret"`, `"vaultSecretName":"payroll-client-secret"`,
				`"vaultSecretName":"intranet-client-secret"`, env["SPARE_CLIENT_SECRET_KEY_ID"], env["SPARE_TARGET_KEY_ID"],
				env["SPARE_OTHER_KEY_ID"], "AADSTS7000215", `"outcome":"connected"`, `"authenticates":true`)
			if strings.Contains(installed, env["SPARE_CLIENT_SECRET"]) {
				t.Error("they show the client secret")
			}
		})
	})

	signedIn(t, env)

	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
	closed(t, env)
	log, err := os.ReadFile(filepath.Join(dir, "rekey.log"))
	if err != nil || !bytes.Contains(log, []byte("handler ready")) {
		t.Errorf("the log: %v\n%s", err, log)
	}
	if all := out.String() + string(log) + pasted; strings.Contains(all, env["CLIENT_SECRET"]) {
		t.Error("CLIENT_SECRET is shown")
	}
	// The key is said once, where people need it to sign in, and nowhere else.
	if strings.Count(out.String(), env["REKEY_API_KEY"]) != 1 || strings.Contains(string(log)+pasted, env["REKEY_API_KEY"]) {
		t.Error("the key to sign in with is not shown, or elsewhere")
	}
	find(t, shown, `tenant scanned: (20\d) applications, \d+ credentials; \d+ end within 30 days`)
	find(t, shown, `The console: (http://127\.0\.0\.1:\d+/console)`)
}

// signedIn tries what is said beside the key: Ada signs in to the console with the emulated Entra, and may do everything.
func signedIn(t *testing.T, env map[string]string) {
	t.Helper()
	authority, err := os.ReadFile(env["CA_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	jar, _ := cookiejar.New(nil) // it returns no error
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), env["AUTHORITY_HOST"]) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	open := func(r *http.Request, err error) (*http.Response, string) {
		if err != nil {
			t.Fatal(err)
		}
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(page)
	}
	press, err := http.NewRequestWithContext(t.Context(), http.MethodPost, env["REKEY_URL"]+session.Base+"/sign-in/entra", nil)
	if err == nil {
		press.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	leaving, _ := open(press, err)
	ada := directory.Person{UserID: env["ADMINISTRATOR_ID"], Client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}}}}
	back, err := ada.Approve(t.Context(), leaving.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if _, page := open(http.NewRequestWithContext(t.Context(), http.MethodGet, back.String(), nil)); !strings.Contains(page,
		"Ada Administrator (admin)") {
		t.Errorf("signed in by Entra, and shown\n%s", page)
	}
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing like %s in\n%s", pattern, text)
	}
	return m[1]
}

// For a port that another process has, run fails at once and says the way out, before
// it starts or writes anything.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "local")
	out := &screen{}
	err = run(t.Context(), "nowhere", dir, port, out)
	if err == nil || !strings.Contains(err.Error(), "port "+port) || !strings.Contains(err.Error(), "make run PORT=") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) || out.String() != "" {
		t.Errorf("something was begun: %v, %q", err, out)
	}
}

// Without a staged app the error says how to make one, and nothing stays open.
func TestNotStaged(t *testing.T) {
	t.Parallel()
	port := freeport.ForTest(t)
	err := run(t.Context(), t.TempDir(), t.TempDir(), port, &screen{})
	if err == nil || !strings.Contains(err.Error(), "make stage") {
		t.Errorf("error %v", err)
	}
	if !closes(t, "http://127.0.0.1:"+port) {
		t.Error("the port stays open")
	}
}

// The settings of the person who starts it do not get mixed with the stack's.
func TestEnviron(t *testing.T) {
	for _, name := range []string{"REKEY_DEPLOYMENT", "AZURE_CLIENT_SECRET", "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID"} {
		t.Setenv(name, "mine")
	}
	t.Setenv("HOMELY", "yours")
	env := environ()
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasSuffix(e, "=mine") }) || !slices.Contains(env, "HOMELY=yours") {
		t.Errorf("environment %q", env)
	}
}
