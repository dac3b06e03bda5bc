package functions_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
)

// gate is a line of the API with the least role that may use it.
type gate struct {
	method, path string
	role         auth.Role
}

// gates returns every line of the API, for a connection that exists.
func gates(id string) []gate {
	return []gate{
		{http.MethodGet, "", auth.Read},
		{http.MethodGet, "/options", auth.Read},
		{http.MethodGet, secrets, auth.Read},
		{http.MethodPost, secrets, auth.Write},
		{http.MethodGet, secrets + "/available", auth.Read},
		{http.MethodGet, secrets + "/connection-name/billing", auth.Read},
		{http.MethodGet, secrets + "/" + id, auth.Read},
		{http.MethodPost, secrets + "/" + id + "/rotate-credentials", auth.Rotate},
		{http.MethodGet, secrets + "/" + id + "/rotations", auth.Read},
		{http.MethodGet, "/openapi.json", auth.Read},
		{http.MethodPost, secrets + "/inspect", auth.Write},
		{http.MethodPost, secrets + "/oauth/authorize", auth.Write},
		{http.MethodPatch, secrets + "/" + id, auth.Write},
		{http.MethodGet, secrets + "/" + id + "/clients", auth.Write},
		{http.MethodGet, secrets + "/" + id + "/audit", auth.Admin},
		{http.MethodGet, secrets + "/" + id + "/targets", auth.Read},
		{http.MethodPost, secrets + "/" + id + "/targets", auth.Write},
		{http.MethodGet, inventories, auth.Read},
		{http.MethodGet, inventories + "?format=csv", auth.Read},
		{http.MethodGet, inventories + "/summary", auth.Read},
		{http.MethodGet, inventories + "/scans", auth.Read},
		{http.MethodPost, inventories + "/scans", auth.Write},
		{http.MethodPost, inventories + "/" + id + "/" + id + "/adopt", auth.Write},
		{http.MethodPost, inventories + "/" + id + "/" + id + "/accept", auth.Admin},
	}
}

// Each line of the API lets in the callers who have its role, and no others; a caller
// who is let in and refused finds everything as it was.
func TestRolesOfEachRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	made := w.create(w.sample())
	w.settle()
	before := w.truth()
	const noRole = auth.Role(0)
	for _, g := range gates(made.ID) {
		var body any
		if g.method != http.MethodGet {
			body = "{" // gets past the door and no further
		}
		for _, role := range []auth.Role{noRole, auth.Read, auth.Write, auth.Rotate, auth.Admin} {
			got := w.call(role, g.method, g.path, body)
			switch {
			case role == noRole:
				got.refuses(t, http.StatusUnauthorized, "API key", "Authorization: Bearer")
			case role < g.role:
				got.refuses(t, http.StatusForbidden, g.role.String(), role.String())
			case g.method != http.MethodGet:
				got.refuses(t, http.StatusBadRequest, "not JSON")
			case got.status != http.StatusOK:
				t.Errorf("%s %s as %s: status %d: %s", g.method, g.path, role, got.status, got.body)
			}
		}
	}
	w.call(auth.Write, http.MethodPost, secrets, creation(w.sample(), "name", "other")).refuses(t, http.StatusForbidden, "rotate")
	w.apps = w.apps[:1] // the second sample came after the first look
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("changed: %q", list)
	}
}

// A caller with the role write may connect without rotation; nothing in Entra changes.
func TestWriteConnectsWithoutRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.one(w.call(auth.Write, http.MethodPost, secrets, creation(a, "isAutoRotationEnabled", false, "rotation", absent)))
	w.settle()
	w.managed(a, made.VaultSecretName, a.KeyID)
	if r := made.Rotation; r == nil || r.RotationInterval != 0 || r.Current == nil || r.Current.KeyID != a.KeyID {
		t.Errorf("rotation of a connection without a schedule: %+v, want what is published, %s", r, a.KeyID)
	}
}

// What is no key that was given out opens nothing, and is answered like no key at
// all.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	key := w.keys[auth.Admin].Reveal()
	for name, header := range map[string][]string{
		"another key": {"Bearer rk_" + strings.Repeat("A", 43)},
		"cut short":   {"Bearer " + key[:len(key)-1]},
		"longer":      {"Bearer " + key + "A"},
		"basic":       {"Basic " + key},
		"no scheme":   {key},
		"empty":       {"Bearer "},
		"twice":       {"Bearer " + key, "Bearer " + key},
		"platform":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := w.request(0, http.MethodGet, secrets, nil)
			r.Header["Authorization"] = header
			if header == nil { // of App Service, where it is not switched on
				r.Header.Del("Authorization")
				r.Header.Set("X-MS-CLIENT-PRINCIPAL-NAME", "admin")
				r.Header.Set("X-MS-CLIENT-PRINCIPAL-ID", unknownID)
			}
			got := w.send(r)
			got.refuses(t, http.StatusUnauthorized, "API key")
			if got.header.Get("WWW-Authenticate") != `Bearer realm="rekey"` {
				t.Errorf("WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
			}
		})
	}
}

// Without callers in the settings everybody is refused, in the log with what to set.
func TestUnconfiguredRefusesEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{settings: settings{"REKEY_API_KEYS": ""}})
	for _, g := range gates(unknownID) {
		w.call(auth.Admin, g.method, g.path, nil).refuses(t, http.StatusUnauthorized, "No callers are configured")
	}
	if log := w.watch.Log(); !strings.Contains(log, "REKEY_API_KEYS") || !strings.Contains(log, `"status":401`) {
		t.Errorf("the log does not say what to set:\n%s", log)
	}
	resp, err := http.Get(w.url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || err != nil || !strings.Contains(string(body), `"ok"`) {
		t.Errorf("health: %s %s %v", resp.Status, body, err)
	}
}

// raw sends a request line as it is, which net/http's client would tidy up, and
// returns the status line of the answer.
func (c *client) raw(line, key string) string {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn,
		line+" HTTP/1.1\r\nHost: rekey\r\nConnection: close\r\nAuthorization: Bearer "+key+"\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	c.watch.Saw("answer to "+line, string(answer))
	status, _, _ := strings.Cut(string(answer), "\r\n")
	return status
}

// A path has one form. Whatever another form would mean to a proxy on the way, it
// reaches nothing here; and a method that an address does not take is said to be that.
func TestPathsInOtherForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	made := w.create(w.sample())
	w.settle()
	before := w.truth()
	one := connections.Base + secrets + "/" + made.ID
	for line, want := range map[string]string{
		"GET " + one:                             "200",
		"GET " + one + "?projectId=" + unknownID: "200",
		"GET " + connections.Base + secrets + "/" + strings.ToUpper(made.ID): "200",
		"GET " + one + "/":  "200",
		"GET " + one + "//": "404",
		"GET /" + one:       "404",
		"GET " + connections.Base + "//azure-client-secrets/" + made.ID:             "404",
		"GET " + connections.Base + secrets + "//" + made.ID:                        "404",
		"GET " + connections.Base + secrets + "/%2e%2e" + secrets + "/" + made.ID:   "404",
		"GET " + connections.Base + secrets + "/../azure-client-secrets/" + made.ID: "404",
		"GET " + connections.Base + secrets + "/./" + made.ID:                       "404",
		"GET " + connections.Base + "%2Fazure-client-secrets%2F" + made.ID:          "404",
		"GET " + connections.Base + "/azure%2Dclient-secrets/" + made.ID:            "404",
		"GET " + strings.ToUpper(connections.Base) + secrets + "/" + made.ID:        "404",
		"GET " + connections.Base + "x" + secrets:                                   "404",
		"GET " + one + "/rotations%2f":                                              "404",
		"GET " + connections.Base + secrets + "/" + unknownID:                       "404",
		"GET " + connections.Base + secrets + "/billing":                            "404",
		"GET " + connections.Base + secrets + "/connection-name/":                   "404",
		"GET " + connections.Base + secrets + "/connection-name/b%69lling":          "404",
		"GET " + connections.Base + secrets + "/connection-name/..":                 "404",
		"GET /health/":           "200",
		"GET /health//":          "404",
		"GET /":                  "404", // answered before it gets here, by the host's side
		"POST /rotatedue":        "404",
		"GET /admin/host/status": "404",
		"PUT " + one:             "405",
		"DELETE " + connections.Base + "/options": "405",
		"PROPFIND " + connections.Base + secrets:  "405",
		"GET " + one + "/rotate-credentials":      "405",
		"POST " + one + "/rotations":              "405",
		"POST /health":                            "405",
	} {
		if status := w.raw(line, w.keys[auth.Admin].Reveal()); !strings.HasPrefix(status, "HTTP/1.1 "+want+" ") {
			t.Errorf("%s: %s, want %s", line, status, want)
		}
	}
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("changed: %q", list)
	}
}
