package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/secret"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
)

// api is where the connections are.
const api = "/api/v1/app-connections"

// host is what runs a package.
type host interface {
	// call makes a request from outside.
	call(t *testing.T, method, path string, header http.Header, body []byte) (status int, answer []byte)
	// tick runs the timer function; it need not wait for its end.
	tick(t *testing.T)
}

// world is the emulated services, who may call, and all that a package says.
type world struct {
	*stack.Stack
	key  secret.Value
	hash string

	mu     sync.Mutex
	log    bytes.Buffer
	secret []string // what the log may not show
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	var err error
	if w.key, w.hash, err = auth.NewKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.Stack, err = stack.Start(stack.Config{Dir: t.TempDir(), Propagation: 100 * time.Millisecond, Issued: w.hide})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop() })
	w.hide(w.key.Reveal())
	w.hide(w.OwnSecret())
	return w
}

// Write takes a package's output.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) hide(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secret = append(w.secret, value)
}

func (w *world) output() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// env is the settings, with gates so short that the test does not wait long.
func (w *world) env() []string {
	return append(w.Env(), "REKEY_API_KEYS=test:admin:"+w.hash,
		"REKEY_VERIFY_SPACING=50ms", "REKEY_VERIFY_MIN_AGE=300ms", "REKEY_VERIFY_MIN_AGE_FIRST=200ms", "REKEY_REVOKE_MIN_AGE=200ms",
		"REKEY_SETTLE_SPACING=100ms", "REKEY_SETTLE_MIN_AGE=500ms", "REKEY_LATE_WRITE=500ms")
}

// connectionView is what the scenario reads of a connection.
type connectionView struct {
	ID, VaultSecretName string
	Rotation            struct {
		State    string
		Settled  bool
		Current  struct{ KeyID string }
		Retiring []struct{ KeyID string }
	}
}

// ask calls the API and decodes what it answers with 200.
func (w *world) ask(t *testing.T, h host, method, path string, body any) connectionView {
	t.Helper()
	status, answer := w.try(t, h, method, path, body)
	var got struct{ AppConnection connectionView }
	if err := json.Unmarshal(answer, &got); status != http.StatusOK || err != nil {
		t.Fatalf("%s %s: %d %s (%v)\n%s", method, path, status, answer, err, w.output())
	}
	return got.AppConnection
}

func (w *world) try(t *testing.T, h host, method, path string, body any) (int, []byte) {
	t.Helper()
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	return h.call(t, method, api+path, http.Header{"Authorization": {"Bearer " + w.key.Reveal()}, "Content-Type": {"application/json"}}, data)
}

// creation is the body that connects app, with rotation on.
func creation(app directory.Application) map[string]any {
	return map[string]any{
		"name": "billing", "method": "client-secret",
		"credentials": map[string]any{"tenantId": app.TenantID, "clientId": app.ClientID, "clientSecret": app.Secret,
			"clientSecretKeyId": app.KeyID},
		"isAutoRotationEnabled": true,
		"rotation": map[string]any{"rotationInterval": 30, "rotateAt": map[string]int{"hours": 3, "minutes": 15},
			"timeZone": "Europe/Berlin"},
	}
}

// scenario is Rekey's main job, on whichever host: connect an application, see its
// secret replaced and the original revoked, rotate by hand, see that revoked as well.
func (w *world) scenario(t *testing.T, h host) {
	t.Helper()
	if status, answer := h.call(t, "GET", "/health", nil, nil); status != http.StatusOK ||
		!strings.Contains(string(answer), `"version":"`+version+`"`) {
		t.Fatalf("GET /health: %d %s", status, answer)
	}
	if status, answer := h.call(t, "GET", api, nil, nil); status != http.StatusUnauthorized {
		t.Fatalf("without a key: %d %s", status, answer)
	}
	app, err := w.AddSample("billing")
	if err != nil {
		t.Fatal(err)
	}
	created := w.ask(t, h, "POST", "/azure-client-secrets", creation(app))
	first := w.settled(t, h, created, app, app.KeyID)
	w.ask(t, h, "POST", "/azure-client-secrets/"+created.ID+"/rotate-credentials", map[string]any{"gracePeriodHours": 0})
	w.settled(t, h, created, app, first)
	w.checkLog(t)
}

// settled lets the timer run until exactly one client secret is live, which is not
// old, and returns its key id. By then it has to be the one that is published.
func (w *world) settled(t *testing.T, h host, c connectionView, app directory.Application, old string) string {
	t.Helper()
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for deadline := time.Now().Add(5 * time.Minute); ; <-pause.C {
		live := w.Directory.Passwords(app.ObjectID)
		now := w.ask(t, h, "GET", "/azure-client-secrets/"+c.ID, nil)
		// Reading back what was removed is left to the timer.
		if len(live) == 1 && live[0].KeyID != old && now.Rotation.Settled && len(now.Rotation.Retiring) == 0 {
			if !strings.HasPrefix(live[0].DisplayName, "rekey/") || now.Rotation.Current.KeyID != live[0].KeyID {
				t.Errorf("live is %+v, current is %s", live[0], now.Rotation.Current.KeyID)
			}
			versions := w.Vault.Versions(c.VaultSecretName)
			if n := len(versions); n == 0 || !w.Directory.Authenticates(app.ClientID, versions[n-1].Value) {
				t.Errorf("what is published does not authenticate: %d versions", n)
			}
			if w.Directory.Authenticates(app.ClientID, app.Secret) {
				t.Error("the original still authenticates")
			}
			return live[0].KeyID
		}
		if time.Now().After(deadline) {
			t.Fatalf("live are %+v, rotation %+v\n%s", live, now.Rotation, w.output())
		}
		h.tick(t)
	}
}

// checkLog looks for every secret that there was.
func (w *world) checkLog(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.secret) < 10 || w.log.Len() == 0 {
		t.Errorf("%d secrets and %d bytes of log: nothing was checked", len(w.secret), w.log.Len())
	}
	for _, s := range w.secret {
		if s != "" && strings.Contains(w.log.String(), s) {
			t.Error("a secret shows in the log")
		}
	}
}
