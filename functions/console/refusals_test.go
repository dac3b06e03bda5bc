package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
