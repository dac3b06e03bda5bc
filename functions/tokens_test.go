package functions_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/functions"
	"rekey/shared/app"
	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/emulator/stack"
	"rekey/shared/host"
	"rekey/shared/openid"
)

// audience is the API's own registration in Entra, for which callers have tokens.
const audience = "0b1e7e57-0000-4000-8000-0000000000aa"

// Those who call with a token: an application, and a person through it.
const (
	callerApp    = "0b1e7e57-0000-4000-8000-0000000000c1"
	callerObject = "0b1e7e57-0000-4000-8000-0000000000c2"
)

// newCallersWorld is a world that takes Entra tokens of its tenant, as it is deployed,
// with more settings. prepare, if not nil, may change the application before it serves.
func newCallersWorld(t *testing.T, more settings, prepare func(*app.App)) *world {
	t.Helper()
	now := &clock{}
	services, watch := newStack(t, stack.Config{Now: now.Now})
	keys, entries := newKeys(t, watch)
	env := environment(services, keys, entries, settings{"REKEY_AUTH_TENANT_ID": services.TenantID, "REKEY_AUTH_AUDIENCE": audience})
	maps.Copy(env, more)
	c, err := config.Load(env.lookup)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(c, slog.New(slog.NewJSONHandler(watch, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.Rotator.Now, a.Connections.Actors.Now = now.Now, now.Now
	a.Inventory.Now, a.Scans.Now = now.Now, now.Now
	if prepare != nil {
		prepare(a)
	}
	server := httptest.NewServer(functions.HTTP(a, &host.Once{}))
	t.Cleanup(server.Close)
	return &world{T: t, clock: now, app: a, client: &client{t: t, url: server.URL, keys: keys, watch: watch, stack: services}}
}

// token is a good token of the application for these roles; edits are over its claims.
func (w *world) token(roles []string, edits object) string {
	claims := object{"aud": audience, "azp": callerApp, "oid": callerObject, "sub": callerObject, "roles": roles}
	maps.Copy(claims, edits)
	return w.stack.CallerToken(claims)
}

// bearing sends a request with a token in the place of an API key.
func (w *world) bearing(token, method, path string, body any) reply {
	w.Helper()
	r := w.request(0, method, path, body)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(r)
}

// entraRoles are the app roles of the registration, by ours.
var entraRoles = map[auth.Role]string{
	auth.Read: "Connections.Read", auth.Write: "Connections.Write", auth.Rotate: "Connections.Rotate", auth.Admin: "Connections.Admin",
}

// A token's role opens what an API key of that role opens, for applications and for
// people, and each is in the log by the name that stays.
func TestTokensByRole(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	made := w.create(w.sample())
	one := secrets + "/" + made.ID
	for role, name := range entraRoles {
		for kind, token := range map[string]string{
			"app:" + callerApp:     w.token([]string{name}, nil),
			"user:" + callerObject: w.token(nil, object{"roles": nil, "scp": "openid " + name}),
		} {
			for _, g := range []gate{
				{http.MethodGet, one, auth.Read}, {http.MethodPatch, one, auth.Write},
				{http.MethodPost, one + "/rotate-credentials", auth.Rotate}, {http.MethodGet, one + "/audit", auth.Admin},
			} {
				var body any
				want := http.StatusOK
				if g.method != http.MethodGet {
					body, want = "{", http.StatusBadRequest // past the door, and no further
				}
				if !role.Allows(g.role) {
					want = http.StatusForbidden
				}
				if got := w.bearing(token, g.method, g.path, body); got.status != want {
					t.Errorf("%s as %s with %s: status %d, want %d: %s", g.path, kind, name, got.status, want, got.body)
				}
				line := lastLine(t, w.watch)
				if line.Caller != kind || line.Kind != auth.KindEntra || line.Status != want {
					t.Errorf("%s with %s: the log says %+v", kind, name, line)
				}
			}
		}
	}
}

// line is what the tests read of a line of the log about a request.
type line struct {
	Msg, Caller, Kind, Method, Route string
	Status                           int
}

// lastLine is the last line of the log that is about a request.
func lastLine(t *testing.T, w *stack.Watch) (last line) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(w.Log()), "\n")
	for _, text := range slices.Backward(lines) {
		if json.Unmarshal([]byte(text), &last) == nil && last.Msg == "request" {
			return last
		}
		last = line{}
	}
	return last
}

// What a caller with a token does is in the audit by the same name.
func TestTokensInTheAudit(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	operator := w.token([]string{entraRoles[auth.Admin]}, nil)
	made := w.one(w.bearing(operator, http.MethodPost, secrets, creation(w.sample())))
	type events struct {
		Events []struct{ Kind, By string }
	}
	list := decode[events](t, w.bearing(operator, http.MethodGet, secrets+"/"+made.ID+"/audit", nil)).Events
	if len(list) == 0 || list[len(list)-1].By != "app:"+callerApp {
		t.Errorf("the audit has %+v", list)
	}
}

// A caller whom the tenant knows and who was given no role is known, named in the
// log, and let in nowhere.
func TestTokenWithoutARole(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	for name, token := range map[string]string{
		"app:" + callerApp:     w.token([]string{"Another.App", "connections.admin"}, nil),
		"user:" + callerObject: w.token(nil, object{"roles": nil, "scp": "openid profile"}),
	} {
		for _, g := range gates(unknownID) {
			w.bearing(token, g.method, g.path, nil).refuses(t, http.StatusForbidden, `"`+name+`" has the role "none"`, `"`+g.role.String()+`"`)
			if l := lastLine(t, w.watch); l.Caller != name || l.Status != http.StatusForbidden || l.Route == "" && g.path != "" {
				t.Errorf("%s %s: the log says %+v", g.method, g.path, l)
			}
		}
	}
}

// A token that is not of this tenant, for this API, good now and signed by Entra opens
// nothing, is answered like no token at all, and is nowhere in the log.
func TestWrongTokens(t *testing.T) {
	t.Parallel()
	w := newCallersWorld(t, nil, nil)
	admin := []string{entraRoles[auth.Admin]}
	good := w.token(admin, nil)
	elsewhere := w.stack.Directory.AddTenant()
	hour := func(n int) int64 { return w.clock.Now().Add(time.Duration(n) * time.Hour).Unix() }
	claims := object{"aud": audience, "azp": callerApp, "oid": callerObject, "roles": admin, "tid": w.stack.TenantID,
		"iss": w.stack.AuthorityURL + "/" + w.stack.TenantID + "/v2.0", "iat": hour(0), "nbf": hour(0), "exp": hour(1)}
	parts := strings.Split(good, ".")
	before := w.truth()
	for name, token := range map[string]string{
		"another audience":  w.token(admin, object{"aud": "00000003-0000-0000-c000-000000000000"}),
		"several audiences": w.token(admin, object{"aud": []string{audience, callerApp}}),
		"no audience":       w.token(admin, object{"aud": nil}),
		"expired":           w.token(admin, object{"iat": hour(-3), "nbf": hour(-3), "exp": hour(-2)}),
		"never expires":     w.token(admin, object{"exp": nil}),
		"of tomorrow":       w.token(admin, object{"nbf": hour(24), "exp": hour(25)}),
		"another tenant": w.stack.Directory.AccessToken(w.stack.AuthorityURL, elsewhere,
			object{"aud": audience, "azp": callerApp, "oid": callerObject, "roles": admin}),
		"another tenant's issuer":  w.token(admin, object{"iss": w.stack.AuthorityURL + "/" + elsewhere + "/v2.0"}),
		"another issuer":           w.token(admin, object{"iss": "https://evil.example/" + w.stack.TenantID + "/v2.0"}),
		"an ID token":              w.token(admin, object{"azp": nil}),
		"no object id":             w.token(admin, object{"oid": nil}),
		"alg none":                 w.stack.Directory.Sign(object{"alg": "none"}, claims),
		"HS256":                    w.stack.Directory.Sign(object{"alg": "HS256"}, claims),
		"an unknown key":           w.stack.Directory.Sign(object{"kid": "../../keys"}, claims),
		"no signature":             parts[0] + "." + parts[1] + ".",
		"another token's":          parts[0] + "." + strings.Split(w.token(admin, object{"oid": unknownID}), ".")[1] + "." + parts[2],
		"Graph's":                  "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
		"longer than any":          good + strings.Repeat("A", 17<<10),
		"with a key after a comma": good + "," + w.keys[auth.Admin].Reveal(),
	} {
		got := w.bearing(token, http.MethodGet, secrets, nil)
		got.refuses(t, http.StatusUnauthorized, "API key")
		if l := lastLine(t, w.watch); l.Status != http.StatusUnauthorized || l.Caller != "" {
			t.Errorf("%s: the log says %+v", name, l)
		}
		if got.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, got.status)
		}
	}
	if got := w.bearing(good, http.MethodGet, secrets, nil); got.status != http.StatusOK {
		t.Errorf("the good one: %d %s", got.status, got.body)
	}
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("changed: %q", list)
	}
}

// Entra changes the key that it signs with; who brings a token of the new one is let in
// within a minute, and a key that was withdrawn opens nothing any more.
func TestKeyRollover(t *testing.T) {
	t.Parallel()
	now := &clock{} // of the verifier alone: in the directory no time passes
	w := newCallersWorld(t, nil, nil)
	verifier, err := openid.New(openid.Config{
		AuthorityHost: w.stack.AuthorityURL, Now: now.Now,
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: w.stack.TLS, DisableKeepAlives: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.app.Callers.Tokens.(*auth.EntraTokens).Verifier = verifier
	role := []string{entraRoles[auth.Read]}
	status := func(token string) int {
		return w.bearing(token, http.MethodGet, secrets, nil).status
	}
	old := w.token(role, nil)
	if got := status(old); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	w.stack.Directory.RollKeys()
	w.stack.Directory.DropOldKeys()
	fresh := w.token(role, nil)
	if got := status(fresh); got != http.StatusUnauthorized {
		t.Errorf("a key that was published after the last look, which was a moment ago: %d", got)
	}
	now.forward(61 * time.Second)
	if got := status(fresh); got != http.StatusOK {
		t.Errorf("a minute later: %d", got)
	}
	if got := status(old); got != http.StatusUnauthorized {
		t.Errorf("a key that is published no more: %d", got)
	}
}
