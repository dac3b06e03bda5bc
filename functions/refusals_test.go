package functions_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/functions/connections"
	"rekey/shared/app"
	"rekey/shared/auth"
	"rekey/shared/inventory"
)

// operation is one that the API's document describes.
type operation struct {
	method, path string
	role         auth.Role // the least that may use it, as the document says; 0: its body has the credential
}

var (
	needs = regexp.MustCompile(`Needs (?:the role (read|write|rotate|admin)|no role)\.`)
	verbs = []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodTrace, "PROPFIND", "QUERY", "get", "Delete",
	}
)

// operations reads the document, with these ids in the place of its parameters.
func operations(t *testing.T, id, target string) []operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct{ Description string }
	}
	if err := json.Unmarshal(connections.Document, &doc); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{id}", id, "{targetId}", target, "{name}", "operator", "{tenantId}", inventoried.TenantID,
		"{clientId}", inventoried.ClientID, "{scanId}", scanned)
	var list []operation
	for path, methods := range doc.Paths {
		for method, about := range methods {
			m := needs.FindStringSubmatch(about.Description)
			if m == nil {
				t.Fatalf("%s %s: the document does not say which role it needs", method, path)
			}
			role, err := auth.ParseRole(m[1])
			if err != nil && m[1] != "" {
				t.Fatal(err)
			}
			if strings.HasPrefix(path, "/api/v2/") { // the id there is a target's
				path = strings.ReplaceAll(path, "{id}", "{targetId}")
			}
			list = append(list, operation{strings.ToUpper(method), fill.Replace(path), role})
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	if len(list) < 34 {
		t.Fatalf("the document has %d operations", len(list))
	}
	return list
}

// wire is one request as it goes over the wire.
type wire struct {
	method, target, headers, body string
}

// exchange sends one request as it is written and returns the answer. What can't be read
// as an answer fails the test.
func (c *client) exchange(w wire) reply {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Minute)) // against waiting for ever
	if !strings.Contains("\r\n"+w.headers, "\r\nHost: ") {
		w.headers = "Host: rekey.example\r\n" + w.headers
	}
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", w.method,
		w.target, len(w.body), w.headers, w.body)
	if _, err := io.WriteString(conn, request); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: w.method})
	if err != nil {
		c.t.Fatalf("%s %s: %v", w.method, w.target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", w.method, w.target, err)
	}
	c.watch.Saw("answer to "+w.method+" "+w.target, fmt.Sprint(resp.Header, string(body)))
	return reply{resp.StatusCode, resp.Header, body}
}

// refused requires that an answer is a refusal with one of these statuses, in the API's
// form, which leads nowhere, sets nothing and lets no page in. A request that is none by
// HTTP's own rules may have the server's answer.
func (c *client) refused(what string, got reply, statuses ...int) {
	c.t.Helper()
	if !slices.Contains(statuses, got.status) {
		c.t.Errorf("%s: status %d, want %v: %s", what, got.status, statuses, got.body)
	}
	for name := range got.header {
		if name == "Location" || name == "Set-Cookie" || name == "X-Injected" || strings.HasPrefix(name, "Access-Control-") {
			c.t.Errorf("%s: the answer has %s: %q", what, name, got.header[name])
		}
	}
	if strings.Contains(string(got.body), "evil.example") || strings.Contains(string(got.body), "X-Injected") {
		c.t.Errorf("%s: the answer repeats what was sent: %s", what, got.body)
	}
	if got.status == http.StatusBadRequest && strings.HasPrefix(string(got.body), "400 Bad Request") {
		return // of net/http
	}
	if kind := got.header.Get("Content-Type"); kind != "application/json; charset=utf-8" || got.header.Get("Cache-Control") != "no-store" {
		c.t.Errorf("%s: Content-Type %q, Cache-Control %q", what, kind, got.header.Get("Cache-Control"))
	}
}

// untouched requires that table, vault and directory are as they were.
func (c *client) untouched(what string, before map[string]string) {
	c.t.Helper()
	if list := changes(before, c.truth()); len(list) != 0 {
		c.t.Errorf("%s: changed: %q", what, list)
	}
}

// outsiders are credentials that open nothing, as header lines.
func (w *world) outsiders() map[string]string {
	var app strings.Builder
	forged(w.stack.TenantID).Write(&app)
	return map[string]string{
		"without a credential":       "",
		"with App Service's headers": app.String(),
		"with an unknown key":        "Authorization: Bearer rk_" + strings.Repeat("A", 43) + "\r\n",
		"with an unsigned token":     "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJyb2xlcyI6WyJDb25uZWN0aW9ucy5BZG1pbiJdfQ.\r\n",
		"with a password":            "Authorization: Basic YWRtaW46YWRtaW4=\r\nProxy-Authorization: Basic YWRtaW46YWRtaW4=\r\n",
	}
}

// newWalkedWorld is a world with a connection that has a target, at rest, in which
// no caller is slowed down: the walks are faster than any caller.
func newWalkedWorld(t *testing.T) (w *world, id, target, insider string) {
	t.Helper()
	w = newCallersWorld(t, nil, func(a *app.App) {
		a.Limit = auth.NewLimiter(auth.Limits{Reads: 1e6, Writes: 1e6, Unknown: 1e6, Pages: 1e6})
	})
	w.served()
	insider = w.token([]string{"Another.App"}, nil) // before any time has passed in the directory
	operator, made := w.authenticator()
	one := w.target(w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/targets", object{"clientId": w.owned(operator).ClientID}))
	w.settle()
	w.stocked(inventory.Application{Key: inventoried, Name: "inventoried"})
	return w, made.ID, one.ID, insider
}

// A caller without a credential that counts is refused at every address and by every method,
// whatever form the request has, and finds out nothing. The walks are not parallel with
// other tests: they leave them no processor, and some of those have deadlines.
func TestOutsidersAreRefused(t *testing.T) {
	w, id, target, _ := newWalkedWorld(t)
	before := w.truth()
	asked := 0
	for who, credential := range w.outsiders() {
		for _, op := range operations(t, id, target) {
			for i, trick := range tricks {
				if i > 0 && who != "without a credential" && who != "with App Service's headers" {
					break // an unknown credential is as good as none
				}
				path := op.path
				if trick.path != nil {
					path = trick.path(path)
				}
				asked++
				got := w.exchange(wire{op.method, path, trick.headers + credential, `{"name":"x"}`})
				want := []int{http.StatusUnauthorized}
				if strings.Contains(path, "%c0") || strings.Contains(path, "%00") || strings.Contains(path, `\`) {
					want = append(want, http.StatusBadRequest)
				}
				if strings.HasPrefix(path, "/organization/") { // refused as a page that there isn't
					want = []int{http.StatusNotFound}
					got.header.Set("Content-Type", "application/json; charset=utf-8")
				}
				w.refused(who+": "+trick.name+": "+op.method+" "+path, got, want...)
			}
		}
		w.untouched(who, before)
	}
	t.Logf("%d requests", asked)
}

// The same with methods that the document doesn't know: to who is unknown they look like
// any other, and an administrator is told that there is no such method.
func TestOtherMethodsAreRefused(t *testing.T) {
	w, id, target, _ := newWalkedWorld(t)
	before := w.truth()
	takes := map[string][]string{}
	for _, op := range operations(t, id, target) {
		takes[op.path] = append(takes[op.path], op.method)
	}
	admin := "Authorization: Bearer " + w.keys[auth.Admin].Reveal() + "\r\n"
	for path, methods := range takes {
		for _, verb := range verbs {
			what := verb + " " + path
			w.refused(what, w.exchange(wire{verb, path, "", `{"name":"x"}`}), http.StatusUnauthorized)
			if slices.Contains(methods, verb) || verb == http.MethodHead && slices.Contains(methods, http.MethodGet) {
				continue
			}
			got := w.exchange(wire{verb, path, admin, `{"name":"x"}`})
			// A word of the API in the place of an id is the id of nothing.
			w.refused(what+" as admin", got, http.StatusMethodNotAllowed, http.StatusNotFound)
			allow := strings.Split(got.header.Get("Allow"), ", ")
			for _, method := range methods {
				if got.status == http.StatusMethodNotAllowed && (!slices.Contains(allow, method) || slices.Contains(allow, verb)) {
					t.Errorf("%s allows %q, want %q", what, allow, methods)
				}
			}
		}
	}
	w.untouched("other methods", before)
}

// Who is known and lacks the role is refused, in whatever form; the log names them.
func TestInsidersWithoutTheRole(t *testing.T) {
	w, id, target, insider := newWalkedWorld(t)
	before := w.truth()
	refusals := map[string]int{} // by caller
	lesser := map[auth.Role]auth.Role{auth.Write: auth.Read, auth.Rotate: auth.Write, auth.Admin: auth.Rotate}
	for _, op := range operations(t, id, target) {
		if op.role == 0 {
			continue // who signs in has no role yet
		}
		who := map[string]string{"app:" + callerApp: insider}
		if below, ok := lesser[op.role]; ok {
			who[below.String()] = w.keys[below].Reveal()
		}
		for name, credential := range who {
			for _, trick := range tricks {
				path := op.path
				if trick.path != nil {
					path = trick.path(path)
				}
				what := name + ": " + trick.name + ": " + op.method + " " + path
				got := w.exchange(wire{op.method, path, trick.headers + "Authorization: Bearer " + credential + "\r\n", `{"name":"x"}`})
				want := []int{http.StatusForbidden}
				switch {
				case strings.HasPrefix(path, "/organization/"):
					want = []int{http.StatusNotFound}
					got.header.Set("Content-Type", "application/json; charset=utf-8")
				case trick.path != nil && !strings.Contains(path, "?") && !strings.HasPrefix(path, "http:"):
					want = []int{http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed}
				}
				w.refused(what, got, want...)
				if got.status == http.StatusForbidden {
					refusals[name]++
				}
			}
		}
	}
	w.untouched("insiders", before)
	logged := map[string]int{}
	for text := range strings.Lines(w.watch.Log()) {
		var l line
		if json.Unmarshal([]byte(text), &l) == nil && l.Msg == "request" && l.Status == http.StatusForbidden {
			logged[l.Caller]++
		}
	}
	if !maps.Equal(logged, refusals) || len(refusals) != 4 {
		t.Errorf("refused were %v, and in the log are %v", refusals, logged)
	}
}

// Who may read, and asks for another method in a header or in the query, has read.
func TestMethodOverridesMeanNothing(t *testing.T) {
	w, id, target, _ := newWalkedWorld(t)
	before := w.truth()
	for _, op := range operations(t, id, target) {
		if op.method != http.MethodGet || op.role != auth.Read {
			continue
		}
		for _, verb := range []string{"DELETE", "PATCH", "POST"} {
			headers := "X-HTTP-Method-Override: " + verb + "\r\nX-HTTP-Method: " + verb + "\r\nX-Method-Override: " + verb +
				"\r\nAuthorization: Bearer " + w.keys[auth.Admin].Reveal() + "\r\n"
			if got := w.exchange(wire{http.MethodGet, op.path + "?_method=" + verb + "&revoke=true", headers,
				`{"_method":"` + verb + `"}`}); got.status != http.StatusOK {
				t.Errorf("%s with %s: status %d: %s", op.path, verb, got.status, got.body)
			}
		}
	}
	w.untouched("overrides", before)
}
