package lifecycle_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
)

// object is a JSON object.
type object = map[string]any

// The paths of the API.
const (
	api     = "/api/v1/app-connections"
	secrets = api + "/azure-client-secrets"
)

// unknownID is the id of nothing.
const unknownID = "00000000-0000-4000-8000-0000000000ff"

// settings are environment variables.
type settings map[string]string

// brisk are gates for services that answer at once. The lease leaves a busy machine time.
var brisk = settings{
	"REKEY_VERIFY_SPACING": "20ms", "REKEY_VERIFY_MIN_AGE": "100ms", "REKEY_VERIFY_MIN_AGE_FIRST": "50ms", "REKEY_REVOKE_MIN_AGE": "50ms",
	"REKEY_SETTLE_SPACING": "50ms", "REKEY_SETTLE_MIN_AGE": "300ms", "REKEY_LATE_WRITE": "300ms",
	"REKEY_LEASE": "30s", "REKEY_SKEW": "1s", "REKEY_CALL_TIMEOUT": "6s",
}

// options are what a world may differ in.
type options struct {
	propagation time.Duration // of the directory
	people      bool          // connect by OAuth
	settings    settings      // over [brisk]
	start       func(w *world, env []string) (platform, error)
}

// world is Rekey on a platform, with services of its own.
type world struct {
	testing.TB
	services *stack.Stack
	platform platform
	client   *http.Client
	keys     map[string]string // API keys by role
	people   stack.OAuthApplication
	watch    *stack.Watch
	guards   *guards
}

// each runs a story on several platforms.
func each(t *testing.T, platforms []string, o options, story func(w *world)) {
	t.Parallel()
	for _, on := range platforms {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			story(newWorld(t, on, o))
		})
	}
}

func newWorld(t *testing.T, on string, o options) *world {
	t.Helper()
	w := &world{TB: t, watch: &stack.Watch{}, keys: map[string]string{}, guards: &guards{}}
	var err error
	w.services, err = stack.Start(stack.Config{Dir: t.TempDir(), Propagation: o.propagation, Issued: w.watch.Issued})
	if err != nil {
		t.Fatal(err)
	}
	w.watch.Issued(w.services.OwnSecret())
	w.guards.services = w.services
	w.services.Break(w.guards.hook)
	env := w.environment(o)
	if o.start == nil {
		o.start = func(w *world, env []string) (platform, error) { return start(w, on, env) }
	}
	w.platform, err = o.start(w, env)
	if err != nil {
		w.services.Stop()
		t.Fatalf("starting Rekey: %v\n%s", err, w.watch.Log())
	}
	w.client = &http.Client{Transport: w.platform, CheckRedirect: stay}
	t.Cleanup(w.end)
	return w
}

// stay follows no redirect: where it leads is for the story to see.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// environment is Rekey's settings: an API key for each role, and what the services are.
func (w *world) environment(o options) []string {
	w.Helper()
	all := settings{"REKEY_PUBLIC_URL": publicURL}
	for _, e := range w.services.Env() {
		name, value, _ := strings.Cut(e, "=")
		all[name] = value
	}
	maps.Copy(all, brisk)
	maps.Copy(all, o.settings)
	entries := []string{}
	for _, role := range []string{"read", "write", "rotate", "admin"} {
		var b [32]byte
		rand.Read(b[:])
		w.keys[role] = "rk_" + base64.RawURLEncoding.EncodeToString(b[:])
		w.watch.Issued(w.keys[role])
		sum := sha256.Sum256([]byte(w.keys[role]))
		entries = append(entries, role+":"+role+":"+hex.EncodeToString(sum[:]))
	}
	all["REKEY_API_KEYS"] = strings.Join(entries, ",")
	if o.people {
		w.addPeople(all)
	}
	env := []string{}
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env
}

// end stops everything and searches what came out for what was issued.
func (w *world) end() {
	w.platform.stop()
	w.services.Stop()
	for _, broken := range w.guards.broken() {
		w.Error("broken promise: " + broken)
	}
	w.watch.Stored(w.services)
	for _, leak := range w.watch.Leaks() {
		w.Error("leaked: " + leak)
	}
	if w.Failed() {
		w.Log(w.watch.Log())
	}
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// request makes a request of who has the role; a role that is none sends no key. body is
// text to be sent as it is, something to be sent as JSON, or nil.
func (w *world) request(role, method, path string, body any) *http.Request {
	w.Helper()
	text, raw := body.(string)
	if body != nil && !raw {
		data, err := json.Marshal(body)
		if err != nil {
			w.Fatal(err)
		}
		text = string(data)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, publicURL+path, strings.NewReader(text))
	if err != nil {
		w.Fatal(err)
	}
	if key := w.keys[role]; key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// try sends a request that may get no answer.
func (w *world) try(client *http.Client, r *http.Request) (reply, error) {
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, fmt.Errorf("sending a request: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, fmt.Errorf("reading an answer: %w", err)
	}
	var header bytes.Buffer
	if err := resp.Header.Write(&header); err != nil {
		return reply{}, fmt.Errorf("reading an answer: %w", err)
	}
	w.watch.Saw("answer to "+r.Method+" "+r.URL.Path, header.String()+string(data))
	return reply{resp.StatusCode, resp.Header, data}, nil
}

// call calls the API.
func (w *world) call(role, method, path string, body any) reply {
	w.Helper()
	got, err := w.try(w.client, w.request(role, method, path, body))
	if err != nil {
		w.Fatalf("%s %s: %v\n%s", method, path, err, w.watch.Log())
	}
	return got
}

// refused calls the API and requires that it refuses with that status, in the form that
// errors have, and with these words.
func (w *world) refused(status int, role, method, path string, body any, words ...string) {
	w.Helper()
	w.refusal(w.call(role, method, path, body), method+" "+path, status, words...)
}

func (w *world) refusal(got reply, what string, status int, words ...string) {
	w.Helper()
	var e struct {
		ReqID, Error, Message string
		StatusCode            int
	}
	err := json.Unmarshal(got.body, &e)
	if err != nil || got.status != status || e.StatusCode != status || e.ReqID == "" || e.Error == "" || e.Message == "" {
		w.Errorf("%s as %d: want a refusal with %d: %s", what, got.status, status, got.body)
	}
	for _, word := range words {
		if !strings.Contains(e.Message, word) {
			w.Errorf("%s: the refusal does not say %q: %s", what, word, e.Message)
		}
	}
}

// decode reads an answer that has to be a success.
func decode[T any](w *world, got reply) (v T) {
	w.Helper()
	if got.status != http.StatusOK {
		w.Fatalf("status %d: %s", got.status, got.body)
	}
	if err := json.Unmarshal(got.body, &v); err != nil {
		w.Fatalf("%v: %s", err, got.body)
	}
	return v
}

// tick runs the timer.
func (w *world) tick() {
	w.Helper()
	if err := w.platform.tick(w.Context()); err != nil {
		w.Fatalf("%v\n%s", err, w.watch.Log())
	}
}

// patience is longer than anything here takes on a busy machine.
const patience = 90 * time.Second

// until lets the timer run until done.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	w.eventually(what, func() bool {
		if done() {
			return true
		}
		w.tick()
		return false
	})
}

// eventually waits until done.
func (w *world) eventually(what string, done func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	pause := time.NewTicker(150 * time.Millisecond)
	defer pause.Stop()
	for !done() {
		select {
		case <-pause.C:
		case <-ctx.Done():
			w.Fatalf("not within %s: %s; the vault has %v", patience, what, w.kept())
		}
	}
}

// sample registers an application that may rotate its own client secret.
func (w *world) sample(edits ...func(*directory.Registration)) directory.Application {
	w.Helper()
	r := directory.Registration{TenantID: w.services.TenantID, OwnsItself: true,
		Settings: directory.Settings{DisplayName: "sample", Roles: []string{directory.RoleReadWriteOwnedBy}}}
	for _, edit := range edits {
		edit(&r)
	}
	a, err := w.services.Directory.AddApplication(r)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// password adds a client secret to an application as a person does in the portal.
func (w *world) password(a directory.Application, expires time.Time) (keyID, value string) {
	w.Helper()
	keyID, value, err := w.services.Directory.AddPassword(a.ObjectID, "added by hand", expires)
	if err != nil {
		w.Fatal(err)
	}
	return keyID, value
}

// inAYear is when what a person adds usually ends.
func inAYear() time.Time { return time.Now().AddDate(1, 0, 0) }
