// Package functions_test proves what is deployed from outside: through the HTTP API,
// over the real adapters and SDK clients, against emulated services whose ground
// truth it can see.
//
// Most of it runs in this process, where a test may shift the clock instead of
// waiting; what concerns the deployed binary runs that binary, staged by the
// Makefile, under the built-in Functions host. Whatever any of it prints, answers or
// stores is searched for every secret that existed.
package functions_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/secret"

	"rekey/functions"
	"rekey/functions/connections"
	"rekey/shared/app"
	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
	"rekey/shared/host"
)

const secrets = "/azure-client-secrets"

// home is where the tests' requests come from, as the platform's front end says.
const home = "203.0.113.9"

// object is a JSON object.
type object = map[string]any

// clock is the time of a world. It runs like any other and can be put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// options are what a world may differ in. The zero value is the usual one.
type options struct {
	opaque      bool          // access tokens can't be read
	propagation time.Duration // of the directory
	budget      time.Duration // of a request; 0: a minute, since the machine may be busy
	settings    settings      // over those of the stack
}

// settings are environment variables.
type settings map[string]string

func (s settings) lookup(name string) (string, bool) {
	v, ok := s[name]
	return v, ok
}

// brisk are gates for services that take no time. Calls, requests and leases may take
// long all the same: the machine may be busy. What is waited for in a pass is waited for
// in earnest, which a pass does for four seconds at most (the lease without twice the
// skew): what comes later is reached by putting the clock forward. An issue begins only if a
// minute of the lease is left for it, so that it may begin up to a minute late here.
var brisk = settings{
	"REKEY_VERIFY_SPACING": "20ms", "REKEY_VERIFY_MIN_AGE": "100ms", "REKEY_VERIFY_MIN_AGE_FIRST": "50ms", "REKEY_REVOKE_MIN_AGE": "50ms",
	"REKEY_SETTLE_SPACING": "50ms", "REKEY_SETTLE_MIN_AGE": "200ms", "REKEY_LATE_WRITE": "200ms",
	"REKEY_LEASE": "240s", "REKEY_SKEW": "118s", "REKEY_CALL_TIMEOUT": "15s",
}

// environment is how Rekey is started against services: their settings, brisk ones,
// and an API key for each role.
func environment(services *stack.Stack, keys map[auth.Role]secret.Value, entries string, more settings) settings {
	env := settings{"REKEY_API_KEYS": entries, "REKEY_ROTATION_SCHEDULE": "*/1 * * * * *"}
	for _, e := range services.Env() {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	maps.Copy(env, brisk)
	maps.Copy(env, more)
	return env
}

// newKeys makes an API key for each role, named like it, and their configuration.
func newKeys(t *testing.T, w *stack.Watch) (map[auth.Role]secret.Value, string) {
	t.Helper()
	keys, entries := map[auth.Role]secret.Value{}, []string{}
	for _, role := range []auth.Role{auth.Read, auth.Write, auth.Rotate, auth.Admin} {
		key, hash, err := auth.NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w.Issued(key.Reveal())
		keys[role] = key
		entries = append(entries, role.String()+":"+role.String()+":"+hash)
	}
	return keys, strings.Join(entries, ",")
}

// world is Rekey in this process, on services of its own.
type world struct {
	*testing.T
	*client
	clock *clock
	app   *app.App
}

// client calls the API of a Rekey somewhere, and knows the services behind it.
type client struct {
	t     *testing.T
	url   string
	keys  map[auth.Role]secret.Value
	watch *stack.Watch
	stack *stack.Stack
	apps  []directory.Application // those that the test has added
}

// newStack starts services. What is issued there is searched for at the test's end.
func newStack(t *testing.T, c stack.Config) (*stack.Stack, *stack.Watch) {
	t.Helper()
	w := &stack.Watch{}
	c.Dir, c.Issued = t.TempDir(), w.Issued
	s, err := stack.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Vault.RequireExpiry(true) // a policy that many tenants have
	t.Cleanup(func() {
		s.Stop()
		w.Stored(s)
		for _, leak := range w.Leaks() {
			t.Error("leaked: " + leak)
		}
	})
	return s, w
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	now := &clock{}
	services, watch := newStack(t, stack.Config{Propagation: o.propagation, OpaqueTokens: o.opaque, Now: now.Now})
	keys, entries := newKeys(t, watch)
	c, err := config.Load(environment(services, keys, entries, o.settings).lookup)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(c, slog.New(slog.NewJSONHandler(watch, nil)))
	if err != nil {
		t.Fatal(err)
	}
	complete(a)
	a.Rotator.Now, a.Connections.Actors.Now, a.Connections.Budget = now.Now, now.Now, cmp.Or(o.budget, time.Minute)
	a.Inventory.Now, a.Scans.Now, a.Scans.Brief = now.Now, now.Now, time.Minute
	server := httptest.NewServer(functions.HTTP(a, &host.Once{}))
	t.Cleanup(server.Close)
	return &world{T: t, clock: now, app: a, client: &client{t: t, url: server.URL, keys: keys, watch: watch, stack: services}}
}

// complete wires what app.New does not.
func complete(a *app.App) {
	if c := a.Connections; c.Applications == nil {
		c.Applications, _ = c.Directory.(connection.Applications)
	}
	if c := a.Connections; c.Notes == nil {
		c.Notes, _ = c.Records.(connection.Notes)
	}
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// call calls the API below its base. body is text to be sent as it is, something to
// be sent as JSON, or nil.
func (c *client) call(role auth.Role, method, path string, body any) reply {
	c.t.Helper()
	return c.send(c.request(role, method, path, body))
}

func (c *client) request(role auth.Role, method, path string, body any) *http.Request {
	c.t.Helper()
	text, raw := body.(string)
	if body != nil && !raw {
		data, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		text = string(data)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+connections.Base+path, strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	if key, ok := c.keys[role]; ok {
		r.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", "198.51.100.7, "+home+":40001") // the first is what a client made up
	return r
}

// send sends a request and keeps the answer for the search.
func (c *client) send(r *http.Request) reply {
	c.t.Helper()
	got, err := c.try(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

// try is send for a request that may get no answer.
func (c *client) try(r *http.Request) (reply, error) {
	sent, err := r.GetBody()
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(sent)
	if err != nil {
		return reply{}, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	var header bytes.Buffer
	if err := resp.Header.Write(&header); err != nil {
		return reply{}, err
	}
	c.watch.Saw("answer to "+r.Method+" "+r.URL.Path, header.String()+string(data))
	got := reply{resp.StatusCode, resp.Header, data}
	described(c.t, r, string(body), got)
	return got, nil
}

// decode reads an answer that must be a success.
func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// view is what the tests read of a connection.
type view struct {
	ID                    string
	Name, Description     string
	Version               int64
	Credentials           struct{ TenantID, ClientID string }
	IsAutoRotationEnabled bool
	VaultSecretName       string
	CredentialsHash       string
	Attention             []string
	Rotation              *rotationView
	RotationState         *rotationView
	Authentication        *struct {
		Thumbprint string
		ExpiresAt  *time.Time
	}
}

type rotationView struct {
	State            string
	Settled          bool
	RotationInterval int
	TimeZone         string
	RotationStatus   *string
	NextRotationAt   *time.Time
	Current          *struct{ KeyID, Hint string }
	Retiring         []struct{ KeyID string }
	ByHand           []struct{ KeyID, Reason string }
	LastRun          *struct{ ID, Trigger, Outcome, KeyID string }
	Target           *struct{ ClientID, ObjectID string }

	GracePeriodHours, OriginalGracePeriodHours float64
}

// one reads an answer with one connection.
func (c *client) one(r reply) view {
	c.t.Helper()
	v := decode[struct{ AppConnection view }](c.t, r).AppConnection
	v.Rotation = cmp.Or(v.Rotation, v.RotationState)
	return v
}

// add registers an application.
func (c *client) add(r directory.Registration) directory.Application {
	c.t.Helper()
	if r.TenantID == "" {
		r.TenantID = c.stack.TenantID
	}
	a, err := c.stack.Directory.AddApplication(r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.apps = append(c.apps, a)
	return a
}

// sample registers an application as one that is to be rotated should be.
func (c *client) sample() directory.Application {
	c.t.Helper()
	return c.add(directory.Registration{OwnsItself: true, Settings: directory.Settings{Roles: []string{directory.RoleReadWriteOwnedBy}}})
}

// foreign adds a client secret that another owner uses, with no more in common than
// that it is on the same application.
func (c *client) foreign(a directory.Application, expires time.Time) (keyID, secret string) {
	c.t.Helper()
	keyID, secret, err := c.stack.Directory.AddPassword(a.ObjectID, "another owner's", expires)
	if err != nil {
		c.t.Fatal(err)
	}
	return keyID, secret
}

// creation is the body that connects a with rotation on; edits are pairs of a dotted
// path and its value, where the value [absent] takes the member away.
func creation(a directory.Application, edits ...any) object {
	body := object{
		"name": "billing", "method": "client-secret",
		"credentials":           object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": a.Secret, "clientSecretKeyId": a.KeyID},
		"isAutoRotationEnabled": true,
		"rotation":              object{"rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 15}, "timeZone": "Europe/Berlin"},
	}
	for i := 0; i < len(edits); i += 2 {
		path := strings.Split(edits[i].(string), ".")
		in := body
		for _, name := range path[:len(path)-1] {
			in = in[name].(object)
		}
		if last := path[len(path)-1]; edits[i+1] == absent {
			delete(in, last)
		} else {
			in[last] = edits[i+1]
		}
	}
	return body
}

// absent stands for a member that is not there.
var absent = new(struct{ _ byte })

// create connects an application and fails the test if that is refused.
func (c *client) create(a directory.Application, edits ...any) view {
	c.t.Helper()
	return c.one(c.call(auth.Rotate, http.MethodPost, secrets, creation(a, edits...)))
}
