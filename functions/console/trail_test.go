package console_test

import (
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// An admin sees who signed in and who was refused, and who deleted what is in no list any more; each
// line leads to the audit of what it is about. There is a page after the first.
func TestTrail(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.shows(w.get("/console/settings"), `<a href="/console/audit">Audit</a>`, "<dt>By</dt><dd>an API key</dd>",
		"<dd>admin: looks at everything, the audit included; creates, changes and deletes")
	w.shows(w.get("/console/connections/"+id+"/audit"), "<h1>What was done to billing</h1>", "<title>What was done to billing")
	w.shows(w.get("/console/connections/"+id+"/plan"), "<h1>What a rotation of billing would do</h1>")
	w.shows(w.get("/console/connections/"+id+"/add-target"), "<h1>Add a target to billing</h1>")
	w.shows(w.get("/console/audit"), `aria-current="page">Audit`, "refused by the console, 512 times or more",
		"signed in", "Rekey, as it was asked to", "deletion asked for", "not known",
		"billing (read)", `<a href="/console/connections/`+id+`/audit">billing</a>`,
		`<a href="/console/targets/`+id+`/`+targetID+`/audit">`+targetID+`</a>`, `<a href="/console/audit?cursor=more">Next page</a>`)
	w.asked = nil
	w.get("/console/audit?cursor=more")
	if len(w.asked) != 1 || w.asked[0].path != "/api/v1/audit" || w.asked[0].query.Get("cursor") != "more" {
		t.Errorf("the API was asked %+v", w.asked)
	}
	w.answer("GET", "/api/v1/audit", 200, object{"events": []object{{"at": now, "kind": "connection.undone", "count": 1,
		"reason": "It ended at 2026-11-30T22:27:00Z."}}})
	w.shows(w.get("/console/audit"), "It ended at 30 Nov 2026 22:27 UTC.")
	w.answer("GET", "/api/v1/audit", http.StatusBadRequest, object{"message": "cursor is none that this list gave out."})
	if p := w.get("/console/audit?cursor=x"); p.Code != http.StatusBadRequest || !strings.Contains(p.text, "none that this list gave out") {
		t.Errorf("%d %s", p.Code, p.text)
	}
}
