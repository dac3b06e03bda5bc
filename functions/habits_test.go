package functions_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/functions/connections"
	"rekey/shared/auth"
)

// wired is a request of the caller with a role, as it goes over the wire.
func (w *world) wired(role auth.Role, method, target, headers, body string) reply {
	w.Helper()
	return w.exchange(wire{method, target, headers + "Authorization: Bearer " + w.keys[role].Reveal() + "\r\n", body})
}

// HEAD is answered wherever GET is, with the same status and headers and no body.
func TestHead(t *testing.T) {
	w, id, target, _ := newWalkedWorld(t)
	before := w.truth()
	reads := 0
	for _, op := range append(operations(t, id, target), operation{http.MethodGet, "/health", auth.Read}) {
		if op.method != http.MethodGet {
			continue
		}
		reads++
		path := strings.Replace(op.path, "connection-name/operator", "connection-name/"+w.named(id), 1)
		get, head := w.wired(auth.Admin, op.method, path, "", ""), w.wired(auth.Admin, http.MethodHead, path, "", "")
		if get.status != http.StatusOK || head.status != http.StatusOK || len(head.body) != 0 ||
			head.header.Get("Content-Type") != get.header.Get("Content-Type") ||
			head.header.Get("Cache-Control") != get.header.Get("Cache-Control") ||
			head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("%s: GET %d %v, HEAD %d %v %q", path, get.status, get.header, head.status, head.header, head.body)
		}
	}
	if reads < 15 {
		t.Errorf("%d addresses were read", reads)
	}
	w.refused("HEAD of nothing", w.wired(auth.Admin, http.MethodHead, connections.Base+secrets+"/"+unknownID, "", ""), http.StatusNotFound)
	w.refused("HEAD of what takes POST only", w.wired(auth.Admin, http.MethodHead, connections.Base+secrets+"/"+id+"/test", "", ""),
		http.StatusMethodNotAllowed)
	w.refused("HEAD without the role", w.wired(auth.Read, http.MethodHead, connections.Base+secrets+"/"+id+"/audit", "", ""),
		http.StatusForbidden)
	w.refused("HEAD of unknown callers", w.exchange(wire{http.MethodHead, connections.Base, "", ""}), http.StatusUnauthorized)
	w.untouched("HEAD", before)
}

// named is the name of a connection.
func (w *world) named(id string) string {
	w.Helper()
	return w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+id, nil)).Name
}

// Behind the host it is the same: the function.json of health lists HEAD, without which the
// host answers in our place, and what is too large is passed on and answered.
func TestHabitsBehindTheHost(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, mode)
			for _, path := range []string{"/health", "/health/"} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					got := d.exchange(wire{method, path, "", ""})
					if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" ||
						(len(got.body) > 0) != (method == http.MethodGet) {
						t.Errorf("%s %s: status %d, %v: %q", method, path, got.status, got.header, got.body)
					}
				}
			}
			key := "Authorization: Bearer " + d.keys[auth.Admin].Reveal() + "\r\n"
			d.exchange(wire{http.MethodPost, connections.Base + secrets, key, strings.Repeat(" ", 16<<20)}).
				refuses(t, http.StatusRequestEntityTooLarge, "larger than 256 KiB")
		})
	}
}

// One slash at the end of an address changes nothing; two do.
func TestSlashAtTheEnd(t *testing.T) {
	w, id, target, _ := newWalkedWorld(t)
	before := w.truth()
	for _, op := range append(operations(t, id, target), operation{http.MethodGet, "/health", auth.Read}) {
		body := ""
		if op.method != http.MethodGet {
			body = "{" // the address is found, and nothing is done
		}
		if op.method == http.MethodDelete || strings.HasSuffix(op.path, "/test") || strings.HasSuffix(op.path, "/abandon") {
			continue // they read no body, so that they would be carried out
		}
		plain, slash := w.wired(auth.Admin, op.method, op.path, "", body), w.wired(auth.Admin, op.method, op.path+"/", "", body)
		if slash.status != plain.status || body == "" && !bytes.Equal(slash.body, plain.body) && plain.status == http.StatusOK {
			t.Errorf("%s %s: status %d, with a slash %d: %s", op.method, op.path, plain.status, slash.status, slash.body)
		}
		w.refused("two slashes", w.wired(auth.Admin, op.method, op.path+"//", "", body), http.StatusNotFound)
	}
	if got := w.wired(auth.Admin, http.MethodPost, connections.Base+secrets+"/"+id+"/test/", "", ""); got.status != http.StatusOK {
		t.Errorf("a test: status %d: %s", got.status, got.body)
	}
	page := w.exchange(wire{http.MethodGet, "/organization/app-connections/azure/oauth/start/?state=x", "", ""})
	if page.status != http.StatusNotFound || !strings.Contains(string(page.body), "OAuth is off") {
		t.Errorf("a page: status %d: %s", page.status, page.body)
	}
	w.untouched("slashes", before)
}

// The same request with the same key is the same request with a slash at its end.
func TestSlashAndIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	body := creation(w.sample(), off...)
	var ids [2]string
	for i, slash := range []string{"", "/"} {
		r := w.request(auth.Rotate, http.MethodPost, secrets+slash, body)
		r.Header.Set("Idempotency-Key", "the same")
		ids[i] = w.one(w.send(r)).ID
	}
	if ids[0] != ids[1] {
		t.Errorf("two connections: %q", ids)
	}
}

// Spaces between the scheme and the credential are as many as a client likes.
func TestSpacesAfterBearer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for header, want := range map[string]int{"Bearer %s": 200, "Bearer  %s": 200, "bearer     %s": 200, "Bearer\t%s": 401, "Bearer \t%s": 401,
		"Bearer %s x": 401} {
		r := w.request(0, http.MethodGet, secrets, nil)
		r.Header.Set("Authorization", fmt.Sprintf(header, w.keys[auth.Read].Reveal()))
		if got := w.send(r); got.status != want {
			t.Errorf("%q: status %d, want %d: %s", header, got.status, want, got.body)
		}
	}
}

// A byte order mark before the body is no part of it.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	const mark = "\xef\xbb\xbf"
	a := w.sample()
	body := strings.NewReplacer("TENANT", a.TenantID, "CLIENT", a.ClientID, "SECRET", a.Secret).Replace(mark +
		`{"name":"billing","method":"client-secret",` +
		`"credentials":{"tenantId":"TENANT","clientId":"CLIENT","clientSecret":"SECRET"}}`)
	made := w.one(w.call(auth.Write, http.MethodPost, secrets, body))
	path := secrets + "/" + made.ID
	if got := w.one(w.call(auth.Write, http.MethodPatch, path, mark+`{"description":"`+mark+`d"}`)); got.Description != mark+"d" {
		t.Errorf("description %q", got.Description) // within the body it is what the caller means
	}
	if got := w.call(auth.Rotate, http.MethodPost, path+"/rotate-credentials", mark+`{"dryRun":true}`); got.status != http.StatusOK {
		t.Errorf("a dry run: status %d: %s", got.status, got.body)
	}
	w.call(auth.Write, http.MethodPatch, path, mark+mark+`{}`).refuses(t, http.StatusBadRequest, "not JSON")
	w.call(auth.Write, http.MethodPatch, path, mark).refuses(t, http.StatusBadRequest, "not JSON")
}

// A number says how much, not how it is written.
func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	made := w.create(w.sample())
	w.settle()
	path := secrets + "/" + made.ID
	const rotation = `{"rotation":{"rotationInterval":%s,"rotateAt":{"hours":%s,"minutes":%s}}}`
	for _, c := range []struct {
		interval, hours, minutes string
		want                     [3]int
	}{
		{"30.0", "3e0", "1.5e1", [3]int{30, 3, 15}}, {"3e1", "0.0", "-0", [3]int{30, 0, 0}}, {"0.7e+1", "2.30e1", "590e-1", [3]int{7, 23, 59}},
		{"31.000", "1E1", "0.1E2", [3]int{31, 10, 10}}, {"365", "0e999999", "0.00e-5", [3]int{365, 0, 0}},
	} {
		got := w.one(w.call(auth.Rotate, http.MethodPatch, path, fmt.Sprintf(rotation, c.interval, c.hours, c.minutes)))
		rec := w.record(made.ID).Policy.Schedule
		if got.Rotation.RotationInterval != c.want[0] || [3]int{rec.Interval, rec.Hours, rec.Minutes} != c.want {
			t.Errorf("%+v: %+v", c, rec)
		}
	}
	for _, interval := range []string{"30.5", "3e-1", "0.1e-999999999", "1e400", "1e999999999999999999999", "30.000000000000000000001",
		"1e19"} {
		w.call(auth.Rotate, http.MethodPatch, path, fmt.Sprintf(rotation, interval, "0", "0")).
			refuses(t, http.StatusBadRequest, "rotation.rotationInterval", "a whole number")
	}
	seen := w.one(w.call(auth.Read, http.MethodGet, path, nil)).Version
	w.one(w.call(auth.Write, http.MethodPatch, path, fmt.Sprintf(`{"version":%d.0,"description":"d"}`, seen)))
	w.call(auth.Write, http.MethodPatch, path, fmt.Sprintf(`{"version":%d.0}`, seen)).refuses(t, http.StatusConflict, "version")
}

// A member whose name is in another case is one that Rekey does not know.
func TestCaseOfMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "credentials.clientSecret", absent, "credentials.clientsecret", a.Secret)).
		refuses(t, http.StatusBadRequest, "credentials.clientSecret is missing")
	w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "name", absent, "NAME", "billing")).
		refuses(t, http.StatusBadRequest, "name must be")
	// The one that is known counts, wherever the other stands.
	made := w.create(a, "Name", "other", "nAme", "other", "credentials.ClientSecret", "x",
		"isautorotationenabled", "no boolean", "ROTATION", 1)
	if made.Name != "billing" {
		t.Errorf("name %q", made.Name)
	}
	w.settle()
	before := w.record(made.ID)
	path := secrets + "/" + made.ID
	got := w.one(w.call(auth.Rotate, http.MethodPatch, path,
		object{"Description": "d", "isautorotationenabled": false, "rotation": object{"rotationinterval": 1, "gracePeriodhours": 1}}))
	if rec := w.record(made.ID); got.Description != "" || rec.Policy != before.Policy {
		t.Errorf("changed: %+v", rec.Policy)
	}
	w.call(auth.Rotate, http.MethodPost, path+"/rotate-credentials",
		object{"dryrun": true, "DryRun": true, "Emergency": true, "gracePeriodHours": 0})
	w.settle()
	if run := w.record(made.ID).LastRun; string(run.Trigger) != "manual" {
		t.Errorf("the last run: %+v", run)
	}
}

// A time of day has hours and minutes, wherever one is given.
func TestHalfATimeOfDay(t *testing.T) {
	t.Parallel()
	w, _ := newOAuthWorld(t)
	operator, made := w.authenticator()
	target := w.owned(operator)
	id := secrets + "/" + made.ID
	given := w.target(w.call(auth.Rotate, http.MethodPost, id+"/targets", object{"clientId": target.ClientID}))
	w.settle()
	before := w.truth()
	a := w.sample()
	apps := w.apps
	w.apps = w.apps[:len(w.apps)-1]
	defer func() { w.apps = apps }()
	schedule := func(name string, time object) object { return object{"rotationInterval": 30, name: time} }
	for _, name := range []string{"rotateAt", "rotateAtUtc"} {
		for missing, at := range map[string]object{
			"minutes": {"hours": 3}, "hours": {"minutes": 15}, "hours ": {}, "minutes ": {"hours": 3, "minutes": nil},
		} {
			says := "rotation." + name + "." + strings.TrimSpace(missing) + " is missing"
			for what, got := range map[string]reply{
				"create":   w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "rotation", schedule(name, at))),
				"off":      w.call(auth.Rotate, http.MethodPost, secrets, creation(a, "rotation", schedule(name, at), "isAutoRotationEnabled", false)),
				"update":   w.call(auth.Rotate, http.MethodPatch, id, object{"rotation": object{name: at}}),
				"target":   w.call(auth.Rotate, http.MethodPost, id+"/targets", object{"clientId": a.ClientID, "rotation": schedule(name, at)}),
				"retarget": w.call(auth.Rotate, http.MethodPatch, id+"/targets/"+given.ID, object{"rotation": object{name: at}}),
				"authorize": w.call(auth.Rotate, http.MethodPost, secrets+"/oauth/authorize",
					object{"name": "p", "tenantId": a.TenantID, "rotation": schedule(name, at)}),
			} {
				t.Run(what, func(t *testing.T) { got.refuses(t, http.StatusBadRequest, says) })
			}
		}
	}
	w.untouched("half a time of day", before)
}

// A client that sends all of a body before it reads has an answer, however large that
// is and whichever way it is sent: the server does not close the connection on it.
func TestLargeBodiesAreAnswered(t *testing.T) {
	w := newCallersWorld(t, nil, nil)
	w.served()
	before := w.truth()
	const size = 32 << 20
	length := fmt.Sprintf("Content-Length: %d", size)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for name, c := range map[string]struct{ line, length, prefix, suffix, end string }{
		"sized":             {"POST " + connections.Base + secrets, length, "", "", ""},
		"in chunks":         {"POST " + connections.Base + secrets, "Transfer-Encoding: chunked", "100000\r\n", "\r\n", "0\r\n\r\n"},
		"a change":          {"PATCH " + connections.Base + secrets + "/" + unknownID, length, "", "", ""},
		"a read":            {"GET " + connections.Base, length, "", "", ""},
		"another type":      {"POST " + connections.Base + secrets, "Content-Type: text/plain\r\n" + length, "", "", ""},
		"to no address":     {"POST " + connections.Base + "/x", length, "", "", ""},
		"by another method": {"PUT " + connections.Base, length, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Minute)) // against waiting for ever
			out := bufio.NewWriter(conn)
			fmt.Fprintf(out, "%s HTTP/1.1\r\nHost: rekey.example\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n",
				c.line, w.keys[auth.Admin].Reveal(), c.length)
			for range size / len(block) {
				out.WriteString(c.prefix)
				out.Write(block)
				out.WriteString(c.suffix)
			}
			out.WriteString(c.end)
			if err := out.Flush(); err != nil {
				t.Fatalf("sending: %v", err)
			}
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			reply{resp.StatusCode, resp.Header, body}.refuses(t, http.StatusRequestEntityTooLarge, "larger than 256 KiB")
		})
	}
	w.untouched("large bodies", before)
}
