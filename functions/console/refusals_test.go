package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/auth"
)

// What is no number of hours is refused in words, whatever strconv takes for one.
func TestHoursThatAreNone(t *testing.T) {
	for _, text := range []string{"NaN", "Inf", "-inf", "1,5", "x"} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		p := w.post("/console/connections/"+id+"/add-target", url.Values{"clientId": {clientID}, "grace": {text}})
		if p.Code != http.StatusBadRequest || !strings.Contains(p.text, "must be a number of hours") || len(w.writes()) > 0 {
			t.Errorf("%s: %d %s", text, p.Code, p.text)
		}
	}
}

// A target has the name that it is given, when it is added and later; with none it is the API that names it.
func TestTargetIsNamed(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	target := secrets + "/" + id + "/targets/" + targetID
	w.answer("POST", secrets+"/"+id+"/targets", 200, object{"target": object{"id": targetID, "connectionId": id}})
	w.answer("PATCH", target, 200, object{"target": object{"id": targetID}})
	for _, path := range []string{"/console/connections/" + id + "/add-target", "/console/targets/" + id + "/" + targetID + "/edit"} {
		w.shows(w.get(path), `name="name"`)
		for _, name := range []string{"payroll", ""} {
			w.asked = nil
			p := w.post(path, url.Values{"clientId": {clientID}, "name": {name}, "version": {"3"}})
			got, given := w.writes()[0].body["name"]
			if p.Code != http.StatusSeeOther || given != (name != "") || given && got != name {
				t.Errorf("%s: %d, the API gets the name %v", path, p.Code, got)
			}
		}
	}
}

// After a refused button the way back is the page that has the button; a GET is tried again.
func TestWaysBack(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	target := "/console/targets/" + id + "/" + targetID
	w.answer("POST", secrets+"/"+id+"/targets/"+targetID+"/rotate-credentials", 409, object{"message": "Not now."})
	if p := w.post(target+"/rotate", nil); p.Code != 409 || !strings.Contains(p.text, `<a href="`+target+`">Back</a>`) {
		t.Errorf("%d %s", p.Code, p.text)
	}
	w.answer("GET", secrets+"/"+id, 503, object{"message": "Not now."})
	if p := w.get("/console/connections/" + id); !strings.Contains(p.text, `<a href="/console/connections/`+id+`">Try again</a>`) {
		t.Errorf("%d %s", p.Code, p.text)
	}
	// What is gone is gone on another try, too.
	for path, api := range map[string]string{"/console/connections/" + id: secrets + "/" + id,
		target: secrets + "/" + id + "/targets/" + targetID} {
		w.answer("GET", api, 404, object{"message": "There is no such thing."})
		back := strings.Join(strings.Split(path, "/")[:3], "/")
		if p := w.get(path); p.Code != 404 || strings.Contains(p.text, "Try again") || strings.Count(p.text, `<a href="`+back+`">`) != 2 {
			t.Errorf("%d %s", p.Code, p.text)
		}
		w.shows(w.get(path+"/audit"), `<a href="/console/audit">Back to the audit of all</a>`)
	}
}

// The status of a refused form is the API's, so that a program, or a log, sees what it was.
func TestStatusOfRefusedForms(t *testing.T) {
	for _, status := range []int{400, 403, 409, 429} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		refused := object{"message": "Refused."}
		w.answer("POST", secrets, status, refused)
		w.answer("PATCH", secrets+"/"+id, status, refused)
		w.answer("POST", secrets+"/"+id+"/targets", status, refused)
		w.answer("POST", inventories+"/"+tenantID+"/"+clientID+"/adopt", status, refused)
		for _, path := range []string{"/console/connect", "/console/connections/" + id + "/edit", "/console/connections/" + id + "/add-target",
			"/console/inventory/" + tenantID + "/" + clientID + "/adopt"} {
			if p := w.post(path, url.Values{"description": {"entered-text"}, "name": {"entered-text"}}); p.Code != status ||
				!strings.Contains(p.text, "Refused.") || !strings.Contains(p.text, "entered-text") {
				t.Errorf("%s: %d, want %d", path, p.Code, status)
			}
		}
	}
}

// A refused acceptance is shown again where it was written, with its reason and day, and the other
// findings' forms stay empty.
func TestRefusedAcceptance(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	at := "/console/inventory/" + tenantID + "/" + clientID
	w.answer("POST", inventories+"/"+tenantID+"/"+clientID+"/accept", 400, object{"message": "until must be in the future."})
	for until, says := range map[string]string{"2020-01-31": "“Until” must be in the future.", "soon": "must be the last day"} {
		p := w.post(at+"/accept", url.Values{"finding": {"ends-in-7-days"}, "keyId": {"k"}, "reason": {"entered-text"}, "until": {until}})
		if p.Code != http.StatusBadRequest || !strings.Contains(p.text, says) || strings.Count(p.text, `value="entered-text"`) != 1 ||
			strings.Count(p.text, `value="`+until+`"`) != 1 || strings.Count(p.text, "<details open>") != 1 {
			t.Errorf("%d %s", p.Code, p.text)
		}
	}
}

// A form that was overtaken can be saved again: it carries the version of now, and says where to look at
// what the other caller has changed.
func TestOvertakenForm(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.answer("PATCH", secrets+"/"+id, 409, object{"message": "Another caller has changed the connection meanwhile."})
	at := "/console/connections/" + id
	form := url.Values{"name": {"billing"}, "description": {"entered-text"}, "version": {"2"}}
	p := w.post(at+"/edit", form)
	for _, want := range []string{"Another caller", `name="version" value="3"`, `value="entered-text"`,
		`<a href="` + at + `">As it is now</a>`} {
		if p.Code != http.StatusConflict || !strings.Contains(p.text, want) {
			t.Errorf("%d, no %s: %s", p.Code, want, p.text)
		}
	}
	form.Set("version", "3") // the conflict is another one
	if p := w.post(at+"/edit", form); strings.Contains(p.text, "As it is now") {
		t.Errorf("it was not overtaken: %s", p.text)
	}
}

// A button that is pressed twice where there is no script, which would disable it, shows what the first press
// has done: only the answer to the second one is seen.
func TestPressedTwice(t *testing.T) {
	own, target, application := "/console/connections/"+id, "/console/targets/"+id+"/"+targetID, "/console/inventory/"+tenantID+"/"+clientID
	gone, conflict := object{"message": "There is no such thing."}, object{"message": "No run is under way that could be abandoned."}
	for _, c := range []struct {
		method, api string
		status      int
		refused     object
		path        string
		form        url.Values
		to          string
	}{
		{"DELETE", secrets + "/" + id, 404, gone, own + "/delete", url.Values{"revoke": {"false"}}, "/console/connections?done=deleted"},
		{"GET", secrets + "/" + id, 404, gone, own + "/delete", url.Values{"revoke": {"true"}}, "/console/connections?done=deleted"},
		{"DELETE", secrets + "/" + id + "/targets/" + targetID, 404, gone, target + "/delete", url.Values{"revoke": {"false"}},
			"/console/targets?done=deleted"},
		{"DELETE", inventories + "/" + tenantID + "/" + clientID + "/accept", 404, gone, application + "/reject", nil,
			application + "?done=rejected"},
		{"POST", secrets + "/" + id + "/rotations/abandon", 409, conflict, own + "/abandon", nil, own + "?done=idle"},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer(c.method, c.api, c.status, c.refused)
		if p := w.post(c.path, c.form); p.Code != http.StatusSeeOther || p.Header().Get("Location") != c.to {
			t.Errorf("%s: %d to %q: %s", c.path, p.Code, p.Header().Get("Location"), p.text)
		}
	}
	// What is under way and can't be abandoned is told as it is.
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	under := connection("billing")
	under["rotation"].(object)["state"] = "rebinding"
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": under})
	w.answer("POST", secrets+"/"+id+"/rotations/abandon", 409, object{"message": "It ends by itself."})
	if p := w.post(own+"/abandon", nil); p.Code != http.StatusConflict || !strings.Contains(p.text, "It ends by itself.") {
		t.Errorf("%d %s", p.Code, p.text)
	}
	// A form that was overtaken by itself says what is so already, and overwrites nothing.
	w.answer("PATCH", secrets+"/"+id, 409, object{"message": "Another caller has changed the connection meanwhile."})
	form := url.Values{"version": {"2"}, "name": {"billing"}, "description": {"billing"}, "rotate": {"on"}, "interval": {"30"},
		"time": {"03:15"}, "timeZone": {"Europe/Berlin"}, "grace": {"48"}}
	for description, versions := range map[string][]any{"billing": {2.0, 3.0}, "another": {2.0}} {
		w.asked = nil
		form.Set("description", description)
		w.post(own+"/edit", form)
		var sent []any
		for _, c := range w.writes() {
			sent = append(sent, c.body["version"])
		}
		if !slices.Equal(sent, versions) {
			t.Errorf("%s: the API got the versions %v, want %v", description, sent, versions)
		}
	}
}

// Of a button that is pressed twice at once the second press waits for the answer to the first one, and no longer
// than a page may take.
func TestPressedTwiceAtOnce(t *testing.T) {
	const rotate = secrets + "/" + id + "/rotate-credentials"
	for after, status := range map[time.Duration]int{10 * time.Second: http.StatusSeeOther, time.Hour: http.StatusConflict} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, auth.Admin)
			w.everything("billing")
			w.answer("POST", rotate, 409,
				object{"code": "request-in-progress", "message": "In the words of a later version."})
			timer := time.AfterFunc(after, func() { w.answer("POST", rotate, 200, object{}) })
			defer timer.Stop()
			begun := time.Now()
			p := w.post("/console/connections/"+id+"/rotate", url.Values{"once": {"k"}})
			if took := time.Since(begun); p.Code != status || took > 25*time.Second || strings.Contains(p.text, "Idempotency-Key") {
				t.Errorf("%d after %s: %s", p.Code, took, p.text)
			}
			for _, c := range w.writes() {
				if c.key != "k" {
					t.Errorf("it asks with the key %q", c.key)
				}
			}
		})
	}
}
