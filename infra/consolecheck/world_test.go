//go:build consolecheck

package consolecheck

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/freeport"
	"rekey/shared/emulator/functionshost"
	"rekey/shared/emulator/stack"
	"rekey/shared/emulator/tenant"
	"rekey/shared/oauth"
	"rekey/shared/session"
)

var root = flag.String("root", "../../build/azure", "staged app root; make stage makes it")

type object = map[string]any

// secrets is the API's address of connections.
const secrets = "/api/v1/app-connections/azure-client-secrets"

// patience ends a wait for what never comes. How long something takes is no matter here.
const patience = 5 * time.Minute

// brisk are gates for services that answer at once. The lease leaves a busy machine time.
var brisk = map[string]string{
	"REKEY_VERIFY_SPACING": "20ms", "REKEY_VERIFY_MIN_AGE": "100ms", "REKEY_VERIFY_MIN_AGE_FIRST": "50ms", "REKEY_REVOKE_MIN_AGE": "50ms",
	"REKEY_SETTLE_SPACING": "50ms", "REKEY_SETTLE_MIN_AGE": "300ms", "REKEY_LATE_WRITE": "300ms",
	"REKEY_LEASE": "30s", "REKEY_SKEW": "1s", "REKEY_CALL_TIMEOUT": "6s", "REKEY_ROTATION_SCHEDULE": "*/1 * * * * *",
}

// callers are the names of API keys, with their roles. Each has limits of its own.
var callers = map[string]auth.Role{
	"mouse": auth.Admin, "keyboard": auth.Admin, "plain": auth.Admin, "helper": auth.Admin, "reader": auth.Read, "writer": auth.Write,
}

// world is Rekey on emulated services, reached by browsers at url.
type world struct {
	*testing.T
	services *stack.Stack
	people   stack.OAuthApplication
	url      string
	env      map[string]string
	keys     map[string]string // API keys by the name of the caller
	log      string            // of the handler
}

// newWorld starts Rekey. front, if not nil, stands between browsers and the host.
func newWorld(t *testing.T, more map[string]string, front func(w *world, host string) http.Handler) *world {
	t.Helper()
	dir := t.TempDir()
	services, err := stack.Start(stack.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Stop() })
	w := &world{T: t, services: services, keys: map[string]string{}, log: filepath.Join(dir, "log")}
	addr, behind := net.JoinHostPort("127.0.0.1", freeport.ForTest(t)), ""
	w.url = "http://" + addr
	if behind = addr; front != nil {
		behind = net.JoinHostPort("127.0.0.1", freeport.ForTest(t))
	}
	if w.people, err = services.AddOAuthApplication(w.url+oauth.CallbackPath, w.url+session.CallbackPath); err != nil {
		t.Fatal(err)
	}
	w.env = w.environment(more)
	log, err := os.Create(w.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	var env []string
	for name, value := range w.env {
		env = append(env, name+"="+value)
	}
	host, err := functionshost.New(functionshost.Config{Root: *root, Addr: behind, Stdout: log, Log: slog.New(slog.NewJSONHandler(log, nil)),
		Env: env})
	if err != nil {
		t.Fatalf("reading the staged app (make stage makes it): %v", err)
	}
	if err := host.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Stop() })
	if front != nil {
		w.serve(addr, front(w, behind))
	}
	return w
}

func (w *world) serve(addr string, h http.Handler) {
	w.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		w.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	w.Cleanup(func() { server.Close() })
	go server.Serve(l)
}

// environment is Rekey's settings.
func (w *world) environment(more map[string]string) map[string]string {
	w.Helper()
	all := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"), "REKEY_PUBLIC_URL": w.url,
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID":     w.people.ClientID,
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET": w.people.Secret,
		"REKEY_AUTH_TENANT_ID":                                  w.services.TenantID, "REKEY_AUTH_AUDIENCE": w.people.ClientID,
	}
	for _, e := range w.services.Env() {
		name, value, _ := strings.Cut(e, "=")
		all[name] = value
	}
	var entries []string
	for name, role := range callers {
		key, hash, err := auth.NewKey(rand.Reader)
		if err != nil {
			w.Fatal(err)
		}
		w.keys[name] = key.Reveal()
		entries = append(entries, name+":"+role.String()+":"+hash)
	}
	all["REKEY_API_KEYS"] = strings.Join(entries, ",")
	maps.Copy(all, brisk)
	maps.Copy(all, more)
	return all
}

// call calls the API, and decodes an answer that has to be a success.
func (w *world) call(method, path string, body, into any) {
	w.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, bytes.NewReader(data))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.keys["helper"])
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		w.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			w.Fatal(err)
		}
	}
}

// until waits for a condition.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(w.log)
			w.Fatalf("waiting until %s:\n%s", what, log[max(0, len(log)-4000):])
		}
	}
}

// subject is what tests read of a connection or target.
type subject struct {
	ID, Name, VaultSecretName string
	IsAutoRotationEnabled     bool
	Description               *string
	Rotation                  *struct {
		State    string
		Settled  bool
		Current  *struct{ KeyID string }
		TimeZone string
	}
}

// connection reads one.
func (w *world) connection(id string) subject {
	w.Helper()
	var one struct{ AppConnection subject }
	w.call(http.MethodGet, secrets+"/"+id, nil, &one)
	return one.AppConnection
}

// settled waits until a connection is at rest.
func (w *world) settled(id string) (s subject) {
	w.Helper()
	w.until("connection "+id+" is at rest", func() bool {
		s = w.connection(id)
		return s.Rotation == nil || s.Rotation.Settled && s.Rotation.State == "idle"
	})
	return s
}

// connect connects a sample application by the API and waits until it is at rest.
func (w *world) connect(name string) subject {
	w.Helper()
	app := w.sample(name)
	var made struct{ AppConnection subject }
	w.call(http.MethodPost, secrets, object{"name": name, "method": "client-secret", "isAutoRotationEnabled": true,
		"credentials": object{"tenantId": app.TenantID, "clientId": app.ClientID, "clientSecret": app.Secret, "clientSecretKeyId": app.KeyID},
		"rotation": object{"rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 15}, "timeZone": "Europe/Berlin",
			"gracePeriodHours": 48}}, &made)
	return w.settled(made.AppConnection.ID)
}

func (w *world) sample(name string) directory.Application {
	w.Helper()
	app, err := w.services.AddSample(name)
	if err != nil {
		w.Fatal(err)
	}
	return app
}

// add registers an application.
func (w *world) add(s directory.Settings) directory.Application {
	w.Helper()
	app, err := w.services.Directory.AddApplication(directory.Registration{TenantID: w.services.TenantID, OwnsItself: len(s.Roles) > 0,
		Settings: s})
	if err != nil {
		w.Fatal(err)
	}
	return app
}

// platform connects an application that may read and change all others.
func (w *world) platform() subject {
	w.Helper()
	app := w.add(directory.Settings{DisplayName: "platform", Roles: []string{directory.RoleReadWriteAll, directory.RoleDirectoryReadAll,
		directory.RoleAuditLogReadAll, directory.RolePolicyReadAll}})
	var made struct{ AppConnection subject }
	w.call(http.MethodPost, secrets, object{"name": "platform", "method": "client-secret", "isAutoRotationEnabled": false,
		"credentials": object{"tenantId": app.TenantID, "clientId": app.ClientID, "clientSecret": app.Secret,
			"clientSecretKeyId": app.KeyID}}, &made)
	return w.settled(made.AppConnection.ID)
}

// neglect fills the tenant with applications of ugly names.
func (w *world) neglect(n int) {
	w.Helper()
	_, err := tenant.Generate(tenant.Config{Directory: w.services.Directory, TenantID: w.services.TenantID, Seed: 1, Applications: n,
		Now: time.Now(), Deployment: "default"})
	if err != nil {
		w.Fatal(err)
	}
}

// scan scans the tenant through a connection, and returns the scan's id.
func (w *world) scan(via string) string {
	w.Helper()
	var begun struct{ Scan struct{ ID string } }
	w.call(http.MethodPost, secrets+"/inventory/scans", object{"connectionId": via}, &begun)
	w.scanned(begun.Scan.ID)
	return begun.Scan.ID
}

// scanned waits until a scan has come to its end.
func (w *world) scanned(id string) {
	w.Helper()
	w.until("the scan has ended", func() bool {
		var now struct {
			Scan struct{ FinishedAt *time.Time }
		}
		w.call(http.MethodGet, secrets+"/inventory/scans/"+id, nil, &now)
		return now.Scan.FinishedAt != nil
	})
}

func (w *world) path(kind string, ids ...string) string {
	return fmt.Sprintf("%s/%s/%s", session.Base, kind, strings.Join(ids, "/"))
}
