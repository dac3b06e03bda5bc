package functions_test

import (
	"net/http"
	"strings"
	"testing"

	"rekey/functions/connections"
	"rekey/shared/auth"
	"rekey/shared/oauth"
)

// What a caller sent may be a secret in the wrong place: whichever caller it comes from, a
// refusal repeats it neither in the answer nor in the log, which names the caller.
func TestRefusalsQuoteNothing(t *testing.T) {
	w, id, target, insider := newWalkedWorld(t)
	before := w.truth()
	const canary = "hunter2-UNSEEN"
	const lines = canary + "%0d%0aX-Injected:%20" + canary
	callers := map[string]string{"": "", "read": w.keys[auth.Read].Reveal(), "admin": w.keys[auth.Admin].Reveal(), "app:" + callerApp: insider}
	headers := "User-Agent: " + canary + "\r\nReferer: https://" + canary + "/\r\nCookie: a=" + canary + "\r\ntraceparent: " +
		canary + "\r\n" +
		"X-Azure-Functions-InvocationId: " + canary + "\r\nX-Forwarded-For: " + canary + "\r\nX-MS-CLIENT-PRINCIPAL: " + canary + "\r\nHost: " +
		canary + "\r\n"
	asked := map[string]int{}
	for name, credential := range callers {
		if credential != "" {
			credential = "Authorization: Bearer " + credential + "\r\n"
		}
		send := func(method, target, more, body string) {
			w.Helper()
			asked[name]++
			got := w.exchange(wire{method, target, headers + more + credential, body})
			if got.status < 400 || got.status >= 500 {
				t.Errorf("%s: %s %s: status %d: %s", name, method, target, got.status, got.body)
			}
			for header, values := range got.header {
				if strings.Contains(strings.Join(values, " "), canary) || header == "X-Injected" {
					t.Errorf("%s: %s %s: header %s: %q", name, method, target, header, values)
				}
			}
			if strings.Contains(string(got.body), canary) {
				t.Errorf("%s: %s %s: %s", name, method, target, got.body)
			}
		}
		one := connections.Base + secrets
		send("GET", connections.Base+"/"+lines, "", "")
		send(canary, one, "", "")
		send(canary, "/organization/app-connections/azure/oauth/start", "", "")
		send("GET", "/"+lines, "", "")
		send("GET", one+"/"+lines, "", "")
		send("GET", one+"/connection-name/"+canary, "", "")
		send("GET", one+"/"+id+"/rotations?limit="+lines, "", "")
		send("GET", one+"/"+id+"/rotations?cursor="+lines, "", "")
		send("GET", one+"/"+id+"/audit?limit="+lines, "", "")
		send("GET", one+"/"+id+"/targets/"+lines, "", "")
		send("DELETE", one+"/"+id+"?revoke="+lines, "", "")
		send("POST", one+"/"+id+"/rotate-credentials", "", `{"dryRun":"`+canary+`"}`)
		send("POST", one, "Idempotency-Key: "+strings.Repeat(canary, 20)+"\r\n", `{"name":"`+canary+`"}`)
		send("POST", one, "Content-Type: "+canary+"\r\n", canary)
		send("POST", one, "Authorization: Bearer "+canary+"\r\n", canary)
		for _, op := range operations(t, id, target) {
			if op.method == http.MethodGet || op.method == http.MethodDelete || strings.HasSuffix(op.path, "/test") ||
				strings.HasSuffix(op.path, "/abandon") {
				continue // they take no body
			}
			if op.role == 0 && name != "" {
				continue // by its header alone a caller is not known there
			}
			for _, body := range []string{
				canary, `"` + canary + `"`, `["` + canary + `"]`, `{"` + canary + `":"` + canary + `"`,
				`{"name":["` + canary + `"],"credentials":"` + canary + `","rotation":"` + canary + `","clientId":{},"isAutoRotationEnabled":"` +
					canary + `","gracePeriodHours":"` + canary + `","tenantId":[]}`,
				`{"name":"` + canary + `\r\nX-Injected: yes","method":"` + canary + `","credentials":{"tenantId":"` + canary + `","clientId":"` +
					canary + `","clientSecret":"` + canary + `"},"tenantId":"` + canary +
					`","clientId":"` + canary + `","objectId":"` + canary +
					`","gracePeriodHours":-1,"isAutoRotationEnabled":true,"rotation":{"timeZone":"` + canary + `"},"vaultSecretName":"` + canary +
					`_","projectId":"` + canary + `","clientSecret":"` + canary + `","connectionId":"` + canary + `","environment":"` +
					canary + `","secretPath":"` + canary + `","parameters":{"clientId":"` + canary + `"},"secretsMapping":{"clientSecret":"` +
					canary + `"}}`,
			} {
				send(op.method, op.path, "", body)
			}
		}
	}
	w.untouched("quoting", before)
	log := w.watch.Log()
	for text := range strings.Lines(log) {
		if strings.Contains(text, canary) || strings.Contains(text, "X-Injected") {
			t.Errorf("the log has what was sent: %s", text)
		}
	}
	for name, n := range asked {
		if logged := strings.Count(log, `"caller":"`+name+`"`); logged < n-2 { // one has two Authorization headers, one is a page's: no caller's
			t.Errorf("%q is in the log %d times after %d requests", name, logged, n)
		}
	}
}

// Requests of unknown callers are slowed down as they are deployed, and take no
// known caller's share.
func TestFloodOfOutsiders(t *testing.T) {
	w := newCallersWorld(t, nil, nil)
	statuses := map[int]int{}
	for range 600 {
		got := w.exchange(wire{"GET", connections.Base + secrets, "", ""})
		statuses[got.status]++
		if got.status == http.StatusTooManyRequests {
			if got.header.Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
			break
		}
	}
	if statuses[http.StatusTooManyRequests] != 1 || statuses[http.StatusUnauthorized] < 300 || len(statuses) != 2 {
		t.Errorf("statuses %v", statuses)
	}
	if got := w.call(auth.Read, http.MethodGet, secrets, nil); got.status != http.StatusOK {
		t.Errorf("a known caller meanwhile: %d %s", got.status, got.body)
	}
	if refused := strings.Count(w.watch.Log(), `"status":429`); refused != 0 {
		t.Errorf("%d lines of the log are about the flood", refused)
	}
}

// The same with the pages, which are open to all. What refuses them leaves callers of the
// API alone, known and unknown.
func TestFloodOfThePages(t *testing.T) {
	w := newCallersWorld(t, nil, nil)
	var last reply
	for range 600 {
		last = w.exchange(wire{"GET", oauth.StartPath + "?state=" + strings.Repeat("A", 43), "Accept: application/json\r\n", ""})
		if last.status == http.StatusTooManyRequests {
			break
		}
	}
	if last.status != http.StatusTooManyRequests || last.header.Get("Retry-After") == "" {
		t.Fatalf("status %d, %v", last.status, last.header)
	}
	if got := w.exchange(wire{"GET", connections.Base + secrets, "", ""}); got.status != http.StatusUnauthorized {
		t.Errorf("an unknown caller of the API meanwhile: %d %s", got.status, got.body)
	}
	if got := w.call(auth.Read, http.MethodGet, secrets, nil); got.status != http.StatusOK {
		t.Errorf("a known caller meanwhile: %d %s", got.status, got.body)
	}
	if refused := strings.Count(w.watch.Log(), `"refused requests of unknown callers"`); refused != 1 {
		t.Errorf("%d lines of the log are about the flood, want 1", refused)
	}
}

// A known caller who asks too often is told so, by name and without harm to others.
func TestFloodOfOneCaller(t *testing.T) {
	w := newCallersWorld(t, nil, nil)
	var last reply
	for range 400 {
		if last = w.call(auth.Write, http.MethodPost, secrets, "{"); last.status == http.StatusTooManyRequests {
			break
		}
	}
	last.refuses(t, http.StatusTooManyRequests, "faster")
	if l := lastLine(t, w.watch); l.Caller != "write" || l.Status != http.StatusTooManyRequests {
		t.Errorf("the log says %+v", l)
	}
	for role, path := range map[auth.Role]string{auth.Write: "reads of the same", auth.Rotate: "another"} {
		if got := w.call(role, http.MethodGet, secrets, nil); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	w.call(auth.Rotate, http.MethodPost, secrets, "{").refuses(t, http.StatusBadRequest, "not JSON")
}
