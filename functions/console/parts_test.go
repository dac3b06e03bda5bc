package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// A part of a page that can't be read is missing by itself, and says why: the rest is shown.
func TestPartsThatCannotBeRead(t *testing.T) {
	trouble := object{"message": "The table service does not answer. Try again in a minute."}
	for _, path := range []string{secrets + "/ahead", inventories, secrets + "/upcoming", secrets + "/activity", rotations} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer("GET", path, http.StatusServiceUnavailable, trouble)
		w.shows(w.get("/console"), "does not answer. Try again in a minute.", "Overview")
	}
	for _, path := range []string{"/rotations", "/targets"} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer("GET", secrets+"/"+id+path, http.StatusServiceUnavailable, trouble)
		w.shows(w.get("/console/connections/"+id), "does not answer. Try again in a minute.", "Rotate now")
	}
}

// Of many targets the page of their connection shows 100, and leads to the others.
func TestManyTargets(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	var below []object
	for i := range 250 {
		target := connection("")
		target["id"], target["connectionId"] = fmt.Sprintf("0b1e7e57-0000-4000-8000-%012d", i), id
		below = append(below, target)
	}
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": below})
	p := w.get("/console/connections/" + id)
	if n := strings.Count(p.text, `name="chosen"`); n != 100 {
		t.Errorf("%d on the connection's page", n)
	}
	w.shows(p, "The first 100 of 250", `href="/console/targets?text=`+id)
}

// What a scan says has changed leads to the application.
func TestChangesOfAScanLeadOn(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.shows(w.get("/console/inventory/scans/scan-1"), `<a href="/console/inventory/`+tenantID+"/"+clientID+`">billing</a>`)
}

// An application whose name shows nothing is called by its client id: a link needs something to press.
func TestNamesThatShowNothing(t *testing.T) {
	for _, name := range []string{" ", "\u200b", "\ufeff", "\u00a0\u200e"} {
		w := newWorld(t, auth.Read)
		w.everything(name)
		for _, path := range []string{"/console/inventory", "/console/inventory/scans/scan-1"} {
			w.shows(w.get(path), `<a href="/console/inventory/`+tenantID+"/"+clientID+`">`+clientID+"</a>")
		}
	}
}

// A target that has no name of its own is called the same in the list and on its page: a name that the
// API makes of its id tells no reader anything.
func TestTargetsWithoutAName(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.answer("GET", rotations, 200, object{"secretRotations": []object{{"id": targetID, "name": "target-" + targetID, "connectionId": id,
		"vaultSecretName": "billing-secret", "expiresAt": now.AddDate(0, 0, 9)}}})
	w.answer("GET", secrets+"/upcoming", 200, object{"upcoming": []object{{"at": now, "connectionId": id, "targetId": targetID,
		"name": "target-" + targetID, "vaultSecretName": "billing-secret"}}})
	w.shows(w.get("/console/targets"), ">billing-secret</a>", "10 Dec 2026 12:00 UTC", `<a href="/console/connections/`+id+`">billing</a>`)
	w.shows(w.get("/console"), ">billing-secret</a>")
	w.answer("GET", rotations, 200, object{"secretRotations": []object{{"id": targetID, "name": "new", "connectionId": id, "expiresAt": nil}}})
	if p := w.get("/console/targets"); strings.Contains(p.text, "not known") {
		t.Errorf("of a target that has published nothing yet the end is not known: %s", p.text)
	}
}
