package console_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// A grace period is told as it is: rounding 50 hours to 2 days would be a promise of less.
func TestGraceInWords(t *testing.T) {
	for hours, want := range map[float64]string{0: "none", 0.25: "15 minutes", 1: "1 hour", 1.5: "90 minutes", 2.5: "2.5 hours", 36: "36 hours",
		48: "2 days", 50: "50 hours", 720: "30 days"} {
		w := newWorld(t, auth.Read)
		w.everything("billing")
		is := connection("billing")
		is["rotation"].(object)["gracePeriodHours"] = hours
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		w.shows(w.get("/console/connections/"+id), "<dt>Grace period</dt><dd>"+want+"</dd>")
	}
}

// A connection that is being made is no rotation under way, and has nothing to abandon; nor can new
// credentials that are being taken over be abandoned.
func TestStatesWithoutARotation(t *testing.T) {
	for state, says := range map[string]string{"creating": "It is being created.", "rebinding": "Rekey is taking over new credentials."} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		is := connection("billing")
		is["rotation"].(object)["state"], is["rotation"].(object)["settled"] = state, false
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		p := w.get("/console/connections/" + id)
		w.shows(p, says)
		if strings.Contains(p.text, "A rotation is under way") || strings.Contains(p.text, "/abandon") {
			t.Errorf("%s is told as a rotation: %s", state, p.text)
		}
	}
}

// The second page of the inventory asks for the same as the first, and so does its CSV.
func TestNextPageOfTheInventory(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	first := w.get("/console/inventory?cursor=second")
	w.shows(first, `href="/console/inventory/csv?endsAfter=2026-12-01T12%3A00%3A00Z"`)
	if got := w.asked[0].query; got.Get("endsAfter") != "2026-12-01T12:00:00Z" || got.Get("cursor") != "second" {
		t.Errorf("the API is asked for %v", got)
	}
}

// A CSV of which a later page can't be read is an error, not a file that looks complete.
func TestCSVIsWholeOrNone(t *testing.T) {
	w := newWorld(t, auth.Read)
	answers := 0
	w.handler.API = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if answers++; answers == 1 {
			out.Header().Set("Link", "<"+r.URL.Path+`?cursor=second>; rel="next"`)
			_, _ = io.WriteString(out, "name,ends\r\nbilling,2027\r\n")
			return
		}
		out.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(out, `{"message":"Try again in a minute."}`)
	})
	p := w.get("/console/inventory/csv")
	if p.Code != http.StatusServiceUnavailable || strings.Contains(p.text, "billing") || !strings.HasPrefix(p.Header().Get("Content-Type"), "text/html") ||
		p.Header().Get("Content-Disposition") != "" {
		t.Errorf("%d %v %s", p.Code, p.Header(), p.text)
	}
}

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

// A stranger's form before the sign-in is not kept: a file in one would be written to the disk.
func TestStrangersWriteNoFiles(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, path := range []string{"/console/sign-in", "/console/sign-in/entra"} {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		file, err := form.CreateFormFile("file", "large")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.Write(make([]byte, 48<<20))
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, path, &body)
		r.Header.Set("Content-Type", form.FormDataContentType())
		newWorld(t, 0).do(r)
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s: %d files, %v", path, len(left), err)
		}
	}
}

// Signing out with App Service goes on to Entra. Browsers hold a form's redirects against the policy of
// the page that it is on.
func TestSignOutLeadsToEntra(t *testing.T) {
	for kind, want := range map[string]string{auth.KindAppService: "form-action 'self' https:;", auth.KindKey: "form-action 'self';"} {
		w := newWorld(t, auth.Read)
		w.kind = kind
		w.everything("billing")
		if policy := w.get("/console/connections").Header().Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("%s: %s", kind, policy)
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

// What a button has done is told once: choosing a zone, or trying again, is no button.
func TestToldOnce(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.shows(w.get("/console/connections?done=deleted&name=x"), `name="back" value="/console/connections?name=x"`)
	w.shows(w.get("/console/connections?done=deleted"), `name="back" value="/console/connections"`)
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

// Who is to be granted what a target lacks is the connection's application: a target has none of its own.
func TestGrantForATarget(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	target := connection("")
	delete(target, "credentials")
	target["id"], target["connectionId"], target["application"] = targetID, id, object{"tenantId": tenantID, "clientId": "of-the-target"}
	w.answer("GET", secrets+"/"+id+"/targets/"+targetID, 200, object{"target": target})
	w.shows(w.get("/console/targets/"+id+"/"+targetID+"/test"), "az ad app permission add --id "+clientID+" ")
}

// A scan is begun through a connection that is chosen by its name, and again in every tenant.
func TestScanForms(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.everything("billing")
	second := object{"tenantId": "0b1e7e57-0000-4000-8000-00000000000c", "connectionId": "of-the-second", "asOf": now, "complete": true}
	first := object{"tenantId": tenantID, "connectionId": id, "asOf": now, "complete": true}
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{first, second}})
	w.shows(w.get("/console/inventory"), `name="connectionId" value="`+id+`"`, `name="connectionId" value="of-the-second"`,
		"Scan another tenant", `<input id="connectionId" name="connectionId"`)
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{}})
	w.shows(w.get("/console/inventory"), `<option value="`+id+`">billing, tenant `+tenantID+`</option>`)
}

// Entra answers by GET. A form, or a link checker's HEAD, is none of its answers.
func TestCallbackTakesGetOnly(t *testing.T) {
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut} {
		p := newWorld(t, 0).do(httptest.NewRequest(method, "/console/sign-in/callback?code=x&state=y", nil))
		if p.Code != http.StatusMethodNotAllowed || p.Header().Get("Allow") != "GET" || p.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", method, p.Code, p.Header())
		}
	}
}
