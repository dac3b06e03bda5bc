package functions_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/emulator/functionshost"
	"rekey/shared/oauth"
)

// route is what the function.json of an HTTP function says.
type route struct {
	function, path string
	methods        []string // upper case; empty: all
}

// routes reads every function.json that is deployed, and the names of the timers.
func routes(t *testing.T) (open []route, timers []string) {
	t.Helper()
	files, err := filepath.Glob("*/function.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("function.json: %q, %v", files, err)
	}
	for _, file := range files {
		var f struct {
			Bindings []struct {
				Type, Route, AuthLevel string
				Methods                []string
			}
		}
		data, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(data, &f) != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch b := f.Bindings[0]; b.Type {
		case "httpTrigger":
			r := route{function: filepath.Dir(file), path: "/" + b.Route}
			for _, m := range b.Methods {
				r.methods = append(r.methods, strings.ToUpper(m))
			}
			open = append(open, r)
		case "timerTrigger":
			timers = append(timers, filepath.Dir(file))
		default:
			t.Fatalf("%s: a trigger %q", file, b.Type)
		}
	}
	return open, timers
}

// stall begins requests and sends nothing more until the test's end. How long it may do
// that is the host's own affair: Kestrel ends a request whose body comes slower than 240
// bytes a second after five seconds, the built-in one waits.
func (c *client) stall(heads ...string) {
	c.t.Helper()
	for _, head := range heads {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { conn.Close() })
		// More than the host would read ahead.
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: rekey.example\r\nContent-Length: 200000\r\n\r\n", head)
	}
}

// Behind the host, which takes paths apart and puts them together again in its own two
// ways, the same are refused as at the handler itself.
func TestRefusalsBehindTheHost(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, mode)
			a := d.sample()
			made := d.create(a)
			d.settled(made.ID)
			before := d.truth()
			d.stall("POST "+connections.Base+secrets, "POST "+connections.Base+secrets+"/"+made.ID+"/rotate-credentials",
				"DELETE "+connections.Base+secrets+"/"+made.ID)
			d.byFunction()
			d.byOperation(made.ID)
			d.untouched("all of it", before)
			for text := range strings.Lines(d.watch.Log()) {
				if strings.Contains(text, "evil.example") || strings.Contains(text, "panic") {
					t.Errorf("the log has %s", text)
				}
			}
			d.managed(a, made.VaultSecretName, d.get(made.ID).Rotation.Current.KeyID)
		})
	}
}

// byFunction asks every function by every method, without credentials.
func (d *deployed) byFunction() {
	d.Helper()
	open, timers := routes(d.T)
	for _, r := range open {
		path := strings.NewReplacer("{*path}", "azure-client-secrets", "{step}", "start").Replace(r.path)
		for _, verb := range verbs {
			got := d.exchange(wire{verb, path, "", ""})
			want := []int{http.StatusNotFound} // of the host: no such function
			switch {
			case len(r.methods) > 0 && !slices.Contains(r.methods, verb):
			case r.function == "health":
				want = []int{http.StatusOK}
			case slices.Contains([]string{"connections", "secretrotations", "audit", "login"}, r.function):
				want = []int{http.StatusUnauthorized}
			case r.function == "oauth": // off here: there is no such page
				want = []int{http.StatusNotFound}
			case r.function == "console": // leads to signing in, and takes no form of elsewhere
				want = []int{http.StatusSeeOther, http.StatusForbidden}
			default:
				d.Fatalf("the function %s is not known to this test: who may call it?", r.function)
			}
			if !slices.Contains(want, got.status) {
				d.Errorf("%s %s: status %d, want %v: %s", verb, path, got.status, want, got.body)
			}
		}
	}
	// An invocation of a timer comes from the host alone.
	invocation := `{"Data":{"timer":{"IsPastDue":false}},"Metadata":{}}`
	for _, timer := range timers {
		for _, path := range []string{"/" + timer, "/" + strings.ToUpper(timer), "//" + timer, "/" + timer + "/", "/api/" + timer,
			connections.Base + "/../../../" + timer,
			connections.Base + "/%2e%2e/%2e%2e/%2e%2e/" + timer, oauth.Base + "..%2f..%2f..%2f..%2f" + timer, "/health/../" + timer,
			"http://127.0.0.1/" + timer} {
			got := d.exchange(wire{"POST", path, "Host: 127.0.0.1\r\nX-Azure-Functions-InvocationId: " + unknownID + "\r\n", invocation})
			if got.status < 300 || strings.Contains(string(got.body), "Outputs") {
				d.Errorf("%s: status %d: %s", path, got.status, got.body)
			}
		}
	}
}

// byOperation asks for every operation without credentials and with too small a role,
// and for some of them in every form. What the host makes of a form may be the plain one
// or nothing; it may not be granted. A limit holds behind the host, so not all of it is
// asked in every form.
func (d *deployed) byOperation(id string) {
	d.Helper()
	var everything strings.Builder
	forged(d.stack.TenantID).Write(&everything)
	ask := func(what string, op operation, trick trick, credential string, want ...int) {
		d.Helper()
		path := op.path
		if trick.path != nil {
			path = trick.path(path)
			want = append(want, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest)
		}
		what += ": " + trick.name + ": " + op.method + " " + path
		got := d.exchange(wire{op.method, path, trick.headers + credential, `{"name":"x"}`})
		if !slices.Contains(want, got.status) {
			d.Errorf("%s: status %d, want %v: %s", what, got.status, want, got.body)
		}
		for _, header := range []string{"Location", "Set-Cookie", "X-Injected", "Access-Control-Allow-Origin"} {
			if value := got.header.Get(header); value != "" {
				d.Errorf("%s: %s: %q", what, header, value)
			}
		}
	}
	lesser := map[auth.Role]auth.Role{auth.Write: auth.Read, auth.Rotate: auth.Write, auth.Admin: auth.Rotate}
	const unauthorized, forbidden = http.StatusUnauthorized, http.StatusForbidden
	for _, op := range operations(d.T, id, unknownID) {
		ask("no credential", op, trick{}, "", unauthorized)
		ask("forged", op, trick{}, everything.String(), unauthorized)
		key := ""
		if below, ok := lesser[op.role]; ok {
			key = "Authorization: Bearer " + d.keys[below].Reveal() + "\r\n"
			ask(below.String(), op, trick{}, key, forbidden)
		}
		if !strings.HasSuffix(op.path, "/"+id) || op.method == http.MethodPatch {
			continue
		}
		for _, trick := range tricks {
			ask("no credential", op, trick, "", unauthorized)
			if key != "" {
				ask("reader", op, trick, key, forbidden)
			}
		}
	}
}

// Where a change came from, as the audit has it, is what the last proxy before Rekey says.
// In the proxying mode that is the host itself, which knows its own peer and puts that in
// the place of what a client, or a front end, sent. In the forwarding mode it is whatever
// the host got, in Azure from the front end.
func TestOriginBehindTheHost(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, mode)
			made := d.create(d.sample(), off...) // with an X-Forwarded-For of its own
			want := "127.0.0.1"                  // the test, which is the host's peer
			if mode == functionshost.Forwarding {
				want = home
			}
			page := decode[struct{ Events []event }](t, d.call(auth.Admin, http.MethodGet, secrets+"/"+made.ID+"/audit", nil))
			for _, e := range page.Events {
				if e.Kind == "connection.created" && (e.From == nil || *e.From != want) {
					t.Errorf("created from %v, want %s", e.From, want)
				}
			}
			if len(page.Events) == 0 {
				t.Error("there is nothing in the audit")
			}
			if log := d.watch.Log(); !strings.Contains(log, `"from":"`+want+`"`) || strings.Contains(log, `"from":"198.51.100.7"`) {
				t.Errorf("the log does not name %s", want)
			}
		})
	}
}

// A body without a Content-Length the forwarding mode does not pass on: the host answers,
// and nothing is changed. The proxying mode does.
func TestChunkedBehindTheHost(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, mode)
			a := d.sample()
			before, want := d.truth(), 0
			r := d.request(auth.Rotate, http.MethodPost, secrets, creation(a))
			r.ContentLength = -1 // chunked
			got := d.send(r)
			if mode == functionshost.Proxying {
				want = 1
				d.settled(d.one(got).ID)
			} else if got.status != http.StatusInternalServerError || len(got.body) > 0 || len(changes(before, d.truth())) > 0 {
				t.Errorf("status %d: %s; changed: %v", got.status, got.body, changes(before, d.truth()))
			}
			list := decode[struct{ AppConnections []view }](t, d.call(auth.Read, http.MethodGet, secrets, nil)).AppConnections
			if len(list) != want {
				t.Errorf("%d connections, want %d", len(list), want)
			}
		})
	}
}
