package console_test

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"rekey/shared/auth"
)

const evil = `"><script>alert(1)</script><a href="javascript:alert(1)">'&`

// What callers, tenants and Entra have written is text on every page, never markup. No page has a
// style or a handler that the policy would have to allow.
func TestTextStaysText(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything(evil)
	for _, path := range pages {
		p := w.get(path)
		w.shows(p)
		if strings.Contains(p.text, "<script>") || strings.Contains(p.text, `javascript:alert(1)">`) || strings.Contains(p.text, " style=") ||
			regexp.MustCompile(` on[a-z]+=`).MatchString(p.text) {
			t.Errorf("%s: markup of a stranger, or an inline style or handler: %s", path, p.text)
		}
	}
}

// No name turns the text around it: the key id behind one would read backwards, and be looked for in vain.
func TestTextStaysInItsDirection(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("\u202Egnp.exe \u2066\u202A")
	for _, path := range pages {
		p := w.get(path)
		w.shows(p)
		if strings.ContainsAny(p.text, "\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069") {
			t.Errorf("%s: a name turns the text behind it: %s", path, p.text)
		}
	}
	w.shows(w.get("/console/inventory"), "\uFFFDgnp.exe \uFFFD\uFFFD")
}

// Pages tell browsers to load nothing of elsewhere, to be in no frame, and to keep nothing.
func TestHeaders(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	for _, path := range append(pages, "/console/nothing") {
		head := w.get(path).Header()
		policy := head.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") ||
			!strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if head.Get("Cache-Control") != "no-store" || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, head)
		}
	}
}

var asset = regexp.MustCompile(`(?:href|src)="(/console/assets/[^"]+)"`)

func TestAssets(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	found := asset.FindAllStringSubmatch(w.get("/console").text, -1)
	if len(found) != 2 {
		t.Fatalf("assets: %v", found)
	}
	w.role = 0 // browsers load them before the sign-in
	for _, m := range found {
		p := w.get(m[1])
		if p.Code != http.StatusOK || !strings.Contains(p.Header().Get("Cache-Control"), "immutable") || len(p.text) < 500 {
			t.Errorf("%s: %d %v", m[1], p.Code, p.Header())
		}
		if p := w.get(strings.Replace(m[1], "assets/", "assets/x", 1)); p.Code != http.StatusNotFound {
			t.Errorf("of another version: %d", p.Code)
		}
	}
}

// A full page of 100 connections is below 50 KB as it is sent.
func TestSize(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	var list []object
	for range 100 {
		list = append(list, connection("a-name-of-usual-length"))
	}
	w.answer("GET", secrets, 200, object{"appConnections": list})
	for _, path := range append(pages, asset.FindStringSubmatch(w.get("/console").text)[1]) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write([]byte(w.get(path).text))
		if err := z.Close(); err != nil || packed.Len() > 50_000 {
			t.Errorf("%s: %d bytes, %v", path, packed.Len(), err)
		}
	}
}

// A reader sees no button that would be refused, and no way to a page that would.
func TestReaders(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	for _, path := range []string{"/console", "/console/connections", "/console/connections/" + id, "/console/inventory",
		"/console/inventory/" + tenantID + "/" + clientID, "/console/targets/" + id + "/" + targetID} {
		text := w.get(path).text
		for _, m := range regexp.MustCompile(`<form method="post" action="([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if m[1] != "/console/zone" && m[1] != "/console/sign-out" {
				t.Errorf("%s has a button for %s", path, m[1])
			}
		}
		if strings.Contains(text, `href="/console/audit"`) {
			t.Errorf("%s leads to the audit", path)
		}
	}
	if writes := w.writes(); len(writes) > 0 {
		t.Errorf("the API was asked to change something: %+v", writes)
	}
}

// A button asks the API as the person who pressed it, with the form's key, and leads on by GET.
func TestButtons(t *testing.T) {
	at, target := secrets+"/"+id, secrets+"/"+id+"/targets/"+targetID
	for _, c := range []struct {
		path   string
		form   url.Values
		method string
		api    string
		body   object
		keyed  bool
		to     string
	}{
		{"/console/connections/" + id + "/rotate", nil, "POST", at + "/rotate-credentials", object{}, true,
			"/console/connections/" + id + "?done=rotation"},
		{"/console/targets/" + id + "/" + targetID + "/rotate", nil, "POST", target + "/rotate-credentials", object{}, true,
			"/console/targets/" + id + "/" + targetID + "?done=rotation"},
		{"/console/connections/" + id + "/emergency", url.Values{"confirm": {"billing"}}, "POST", at + "/rotate-credentials",
			object{"emergency": true}, true, "/console/connections/" + id + "?done=emergency"},
		{"/console/connections/" + id + "/pause", nil, "PATCH", at, object{"isAutoRotationEnabled": false}, false,
			"/console/connections/" + id + "?done=paused"},
		{"/console/connections/" + id + "/resume", nil, "PATCH", at, object{"isAutoRotationEnabled": true}, false,
			"/console/connections/" + id + "?done=resumed"},
		{"/console/connections/" + id + "/delete", url.Values{"revoke": {"true"}, "confirm": {"billing"}}, "DELETE", at, nil, false,
			"/console/connections?done=deleted"},
		{"/console/connections/" + id + "/edit", url.Values{"name": {"b"}, "description": {" d "}, "version": {"3"}, "rotate": {"on"},
			"interval": {"7"},
			"time":     {"04:30"}, "timeZone": {"Asia/Tokyo"}}, "PATCH", at, object{"name": "b", "description": "d", "version": 3.0,
			"rotation": object{"rotationInterval": 7.0, "rotateAt": object{"hours": 4.0, "minutes": 30.0}, "timeZone": "Asia/Tokyo"}},
			false, "/console/connections/" + id + "?done=saved"},
		{"/console/inventory/" + tenantID + "/" + clientID + "/accept", url.Values{"finding": {"ownerless"}, "reason": {"r"},
			"until": {"2027-01-31"}}, "POST",
			inventories + "/" + tenantID + "/" + clientID + "/accept", object{"finding": "ownerless", "reason": "r",
				"until": "2027-02-01T00:00:00Z"}, false,
			"/console/inventory/" + tenantID + "/" + clientID + "?done=accepted"},
		{"/console/inventory/" + tenantID + "/" + clientID + "/reject", url.Values{"finding": {"ownerless"}}, "DELETE",
			inventories + "/" + tenantID + "/" + clientID + "/accept", nil, false, "/console/inventory/" + tenantID + "/" + clientID +
				"?done=rejected"},
		{"/console/inventory/" + tenantID + "/" + clientID + "/adopt", url.Values{"connectionId": {id}, "vaultSecretName": {"v"},
			"retire": {"k1", "k2"}}, "POST",
			inventories + "/" + tenantID + "/" + clientID + "/adopt", object{"connectionId": id, "vaultSecretName": "v",
				"isAutoRotationEnabled": false,
				"retireKeyIds":          []any{"k1", "k2"}}, true, "/console/targets/" + id + "/" + targetID + "?done=target"},
		{"/console/connect?method=client-secret", url.Values{"name": {"n"}, "tenantId": {tenantID}, "clientId": {clientID},
			"clientSecret": {"canary"}}, "POST",
			secrets, object{"name": "n", "method": "client-secret", "isAutoRotationEnabled": false,
				"credentials": object{"tenantId": tenantID, "clientId": clientID, "clientSecret": "canary"}}, true,
			"/console/connections/" + id + "?done=created"},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer(c.method, c.api, 200, object{"appConnection": connection("n"), "target": object{"id": targetID, "connectionId": id}})
		if c.form == nil {
			c.form = url.Values{}
		}
		c.form.Set("once", "the-form")
		p := w.post(c.path, c.form)
		if p.Code != http.StatusSeeOther || p.Header().Get("Location") != c.to {
			t.Errorf("%s: %d to %q, want %q: %s", c.path, p.Code, p.Header().Get("Location"), c.to, p.text)
		}
		writes := w.writes()
		if len(writes) != 1 {
			t.Fatalf("%s: %d requests to the API", c.path, len(writes))
		}
		got := writes[0]
		if got.method != c.method || got.path != c.api || !same(got.body, c.body) || (got.key == "the-form") != c.keyed ||
			got.caller.Name != "ann" {
			t.Errorf("%s: the API got %+v", c.path, got)
		}
		w.shows(w.get(c.to), `role="status"`)
	}
}

// What the API refuses is shown with what was entered, but no secret, and nothing is lost.
func TestRefusedForms(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	refusal := object{"message": "Several client secrets begin with these characters; name one."}
	w.answer("POST", secrets, 400, refusal)
	w.answer("POST", secrets+"/inspect", 200, object{"inspection": object{"candidates": []object{
		{"keyId": "candidate-1", "displayName": "by hand", "hint": "abc", "of": "application"},
		{"keyId": "candidate-2", "hint": "abc", "of": "servicePrincipal"}}}})
	p := w.post("/console/connect?method=client-secret", url.Values{"name": {"entered-name"}, "tenantId": {tenantID},
		"clientSecret": {"CANARY"}, "interval": {"13"}})
	if p.Code != http.StatusBadRequest {
		t.Fatalf("status %d", p.Code)
	}
	for _, want := range []string{"name one.", `value="entered-name"`, `value="13"`, `value="candidate-1"`, tenantID} {
		if !strings.Contains(p.text, want) {
			t.Errorf("no %q: %s", want, p.text)
		}
	}
	if strings.Contains(p.text, "CANARY") {
		t.Error("the secret is in the page")
	}
	if strings.Contains(p.text, "candidate-2") || !strings.Contains(p.text, "service principal") {
		t.Error("a client secret can be chosen that the API does not take")
	}
	p = w.post("/console/connections/"+id+"/emergency", url.Values{"confirm": {"another"}})
	if p.Code != http.StatusBadRequest || !strings.Contains(p.text, "Nothing was done") {
		t.Errorf("another name: %d", p.Code)
	}
	p = w.post("/console/connect?method=client-secret", url.Values{"interval": {"x"}})
	if p.Code != http.StatusBadRequest || !strings.Contains(p.text, "whole number") {
		t.Errorf("no number: %d", p.Code)
	}
}

// What is told of a rotation is what has happened: it is over, it has begun, or one was under way already.
func TestRotationIsToldAsItIs(t *testing.T) {
	in := func(state, run, outcome string) object {
		is := connection("billing")
		maps.Copy(is["rotation"].(object), object{"state": state, "settled": state == "idle", "lastRun": object{"id": run, "outcome": outcome}})
		return is
	}
	idle := in("idle", "r1", "success")
	for _, c := range []struct {
		before, after  object
		rotate, urgent string
	}{
		{idle, in("issuing", "r2", "running"), "rotation", "emergency"},
		{idle, in("idle", "r2", "success"), "rotated", "ended"},
		{idle, idle, "rotation", "emergency"}, // the timer has not come to it
		{in("verifying", "r2", "running"), in("verifying", "r2", "running"), "already", "emergency"},
		{in("verifying", "r2", "running"), in("idle", "r2", "success"), "rotated", "ended"},
	} {
		w := newWorld(t, auth.Rotate)
		w.everything("billing")
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": c.before})
		w.answer("POST", secrets+"/"+id+"/rotate-credentials", 200, object{"appConnection": c.after})
		for path, want := range map[string]string{"rotate": c.rotate, "emergency": c.urgent} {
			to := w.post("/console/connections/"+id+"/"+path, url.Values{"confirm": {"billing"}}).Header().Get("Location")
			if to != "/console/connections/"+id+"?done="+want {
				t.Errorf("%s after %v: leads to %s, want %s", path, c.after["rotation"], to, want)
			}
			if p := w.get(to); !strings.Contains(p.text, `role="status"`) {
				t.Errorf("%s is not told", want)
			}
		}
	}
}

// A rotation that was tried and has failed is not told as one that has begun, and shows no steps.
func TestFailedRotationIsToldAsSuch(t *testing.T) {
	w := newWorld(t, auth.Rotate)
	w.everything("billing")
	failed := connection("billing")
	state := failed["rotation"].(object)
	state["rotationStatus"], state["settled"], state["lastRun"] = "failed", false, object{"outcome": "failed"}
	w.answer("POST", secrets+"/"+id+"/rotate-credentials", 200, object{"appConnection": failed})
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": failed})
	for path, form := range map[string]url.Values{"rotate": {}, "emergency": {"confirm": {"billing"}}} {
		p := w.post("/console/connections/"+id+"/"+path, form)
		if to := p.Header().Get("Location"); to != "/console/connections/"+id+"?done=tried" {
			t.Errorf("%s: leads to %s", path, to)
		}
	}
	p := w.get("/console/connections/" + id + "?done=tried")
	w.shows(p, "has not succeeded")
	if strings.Contains(p.text, `class="steps"`) {
		t.Errorf("steps of a run that failed: %s", p.text)
	}
}

// What a deletion does to the client secret has to be said, and typed where consumers stop.
func TestDeletionIsConfirmed(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	for _, form := range []url.Values{{}, {"revoke": {"maybe"}}, {"revoke": {"true"}}, {"revoke": {"true"}, "confirm": {"other"}}} {
		if p := w.post("/console/connections/"+id+"/delete", form); p.Code != http.StatusBadRequest || len(w.writes()) > 0 {
			t.Errorf("%v: %d, %d writes", form, p.Code, len(w.writes()))
		}
	}
}

// Several at once: each is asked for by itself, and what is refused is named.
func TestSeveral(t *testing.T) {
	w := newWorld(t, auth.Rotate)
	w.answer("POST", secrets+"/a/rotate-credentials", 200, object{})
	w.answer("POST", secrets+"/v/targets/b/rotate-credentials", 409, object{"message": "It is being deleted."})
	p := w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a", "v/b"}, "once": {"k"}})
	if p.Code != http.StatusConflict || !strings.Contains(p.text, "Done for 1 of 2") || !strings.Contains(p.text, "It is being deleted.") {
		t.Errorf("%d %s", p.Code, p.text)
	}
	if writes := w.writes(); len(writes) != 2 || writes[0].key == writes[1].key {
		t.Errorf("%+v", writes)
	}
	w.answer("POST", secrets+"/v/targets/b/rotate-credentials", 200, object{})
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a", "v/b"},
		"back": {"https://elsewhere.example/"}})
	if p.Code != http.StatusSeeOther || p.Header().Get("Location") != "/console?done=several" {
		t.Errorf("%d %s", p.Code, p.Header().Get("Location"))
	}
	if p := w.post("/console/several", url.Values{"what": {"rotate"}}); p.Code != http.StatusBadRequest {
		t.Errorf("nothing chosen: %d", p.Code)
	}
	// Back to the page of the list that it was chosen on.
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a"},
		"back": {"/console/connections?cursor=abc"}})
	if p.Code != http.StatusSeeOther || p.Header().Get("Location") != "/console/connections?cursor=abc&done=several" {
		t.Errorf("%d %s", p.Code, p.Header().Get("Location"))
	}
	// What is refused can be tried again: those alone, with the same key, by which the API knows what it has done.
	w.answer("POST", secrets+"/v/targets/b/rotate-credentials", 429,
		object{"message": "You send requests faster than this deployment takes them. Wait as long as Retry-After says."})
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a", "v/b"}, "once": {"k"},
		"back": {"/console/targets"}})
	for _, want := range []string{`<input type="hidden" name="chosen" value="v/b">`, `name="once" value="k"`, `name="what" value="rotate"`,
		`name="sure" value="yes"`,
		`name="back" value="/console/targets"`, "takes them. Wait a minute."} {
		if !strings.Contains(p.text, want) || strings.Contains(p.text, `value="/a"`) {
			t.Errorf("no %s: %s", want, p.text)
		}
	}
	// What is refused is named.
	w.answer("GET", secrets+"/c", 200, object{"appConnection": connection("payroll")})
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a", "/c"}})
	if p.Code != http.StatusConflict || !strings.Contains(p.text, `<a href="/console/connections/c">payroll</a>`) {
		t.Errorf("%d %s", p.Code, p.text)
	}
	// Of what was done and what was not, each is named; what can't pass is not tried again.
	w.answer("POST", secrets+"/c/rotate-credentials", 400, object{"message": "It rotates nothing."})
	w.answer("GET", secrets+"/a", 200, object{"appConnection": connection("intranet")})
	w.answer("POST", secrets+"/a/rotate-credentials", 200, object{"appConnection": connection("intranet")})
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a", "/c"}})
	if !strings.Contains(p.text, `<a href="/console/connections/a">intranet</a>`) || strings.Contains(p.text, `name="chosen"`) {
		t.Error(p.text)
	}
	// What was done to all is told with their names, which cost no call; what was tried and failed is not done.
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a"}, "back": {"/console/targets"}})
	w.asked = nil
	w.answer("GET", rotations, 200, object{"secretRotations": []object{}})
	w.shows(w.get(p.Header().Get("Location"), p.Result().Cookies()[0]), "Done for all that were chosen (the rotation is under way): intranet.")
	over := connection("intranet")
	over["rotation"].(object)["lastRun"] = object{"outcome": "success"}
	w.answer("POST", secrets+"/a/rotate-credentials", 200, object{"appConnection": over})
	for chosen, says := range map[string]string{"": "(the rotation is done): intranet.",
		"/b": "(the rotation is under way, or done): intranet"} {
		w.answer("POST", secrets+"/b/rotate-credentials", 200, object{"appConnection": connection("other")})
		form := url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a"}, "back": {"/console/targets"}}
		if chosen != "" {
			form.Add("chosen", chosen)
		}
		p = w.post("/console/several", form)
		w.shows(w.get(p.Header().Get("Location"), p.Result().Cookies()[0]), says)
	}
	failed := connection("wages")
	maps.Copy(failed["rotation"].(object), object{"rotationStatus": "failed", "lastRotationMessage": "Make room."})
	w.answer("POST", secrets+"/c/rotate-credentials", 200, object{"appConnection": failed})
	w.answer("GET", secrets+"/c", 200, object{"appConnection": failed})
	p = w.post("/console/several", url.Values{"what": {"rotate"}, "sure": {"yes"}, "chosen": {"/a", "/c"}})
	if p.Code != http.StatusConflict || !strings.Contains(p.text, "Done for 1 of 2") ||
		!strings.Contains(p.text, `">wages</a>: the rotation was tried and has not succeeded. Make room.`) {
		t.Error(p.text)
	}
	// A rotation of several is shown first. What signs in only is left out, and what is off is not ticked.
	off, only := connection("off"), connection("only")
	off["isAutoRotationEnabled"] = false
	only["method"] = "certificate"
	delete(only, "rotation")
	w.answer("GET", secrets+"/o", 200, object{"appConnection": off})
	w.answer("GET", secrets+"/s", 200, object{"appConnection": only})
	w.asked = nil
	shown := w.post("/console/several", url.Values{"what": {"rotate"}, "chosen": {"/a", "/o", "/s"}, "back": {"/console/targets"}})
	if strings.Contains(shown.text, `<li><label`) {
		t.Error("boxes have bullets")
	}
	w.shows(shown,
		`name="chosen" value="/a" checked><a href="/console/connections/a">intranet</a>`,
		`name="chosen" value="/o"><a href="/console/connections/o">off</a> (rotation is off)`,
		`<a href="/console/connections/s">only</a>: it signs in only`, `name="back" value="/console/targets"`)
	if writes := w.writes(); len(writes) > 0 {
		t.Errorf("it was done unasked: %+v", writes)
	}
}

// The API's errors are pages that say what to do.
func TestErrors(t *testing.T) {
	w := newWorld(t, auth.Admin)
	for status, title := range map[int]string{404: "Not here", 403: "Not allowed", 409: "Not now", 429: "Not so fast", 503: "Not now",
		500: "Refused"} {
		w.answer("GET", secrets+"/"+id, status, object{"message": "What is wrong, and what to do."})
		if p := w.get("/console/connections/" + id); p.Code != status || !strings.Contains(p.text, "<h1>"+title) ||
			!strings.Contains(p.text, "what to do.") {
			t.Errorf("%d: %d %s", status, p.Code, p.text)
		}
	}
	if p := w.get("/console/nothing/here"); p.Code != http.StatusNotFound {
		t.Errorf("no page: %d", p.Code)
	}
	if p := w.post("/console/connections", nil); p.Code != http.StatusMethodNotAllowed || p.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("no method: %d", p.Code)
	}
	for _, path := range []string{"/console/connections/..%2f..", "/console/connections/%2e%2e/audit", "/console//connections"} {
		if p := w.get(path); p.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Code)
		}
	}
}

// same compares two bodies as JSON has them.
func same(a, b object) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	return jsonOf(a) == jsonOf(b)
}
