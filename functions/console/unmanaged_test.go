package console_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/attention"
	"rekey/shared/auth"
)

// scanned makes the inventory show client secrets of the application of every page.
func (w *world) scanned(keyIDs ...string) {
	var list []object
	for _, keyID := range keyIDs {
		list = append(list, object{"keyId": keyID, "kind": "client-secret", "of": "application", "name": "by hand", "hint": "zzz",
			"endsAt": now.AddDate(0, 0, 9)})
	}
	list = append(list, object{"keyId": "k-principal", "kind": "client-secret", "of": "servicePrincipal"},
		object{"keyId": "k-certificate", "kind": "certificate", "of": "application"})
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"tenant": object{"tenantId": tenantID, "asOf": now},
		"application": object{"tenantId": tenantID, "clientId": clientID, "objectId": "o", "credentials": list}})
}

// What an application has beside what Rekey manages is on every page where it may be the one that has leaked.
func TestWhatIsNotManagedIsShown(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	is := connection("billing")
	maps.Copy(is["rotation"].(object), object{"byHand": []object{{"keyId": "KEY-HAND", "reason": "x"}},
		"current": object{"keyId": "key-new", "issuedByRekey": true}, "lastRun": object{"outcome": "running", "keyId": "key-coming"}})
	is["retireKeyIds"] = []string{"key-named"}
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{}})
	w.scanned("KEY-NEW", "key-old", "key-hand", "key-coming", "key-named", "key-leaked")
	own := "/console/connections/" + id
	p := w.get(own)
	w.shows(p, "key-leaked", "not managed by it, and stays", "the first rotation takes its place", "The application in the inventory")
	if n := strings.Count(p.text, "and stays<"); n != 1 {
		t.Errorf("%d are not managed: %s", n, p.text)
	}
	w.shows(w.get(own+"/emergency"), "Is one of these the one that has leaked?", "key-leaked (by hand)",
		"az ad app credential delete --id "+clientID+" --key-id key-leaked")
	w.shows(w.get(own+"/delete"), "As far as the last scan has seen: key-leaked (by hand).", "left behind by Rekey, which it is on purpose",
		"Consumers that still have one of them stop working.")

	// The given one, whose key id is not known, is known by how it begins.
	maps.Copy(is["rotation"].(object), object{"current": object{"keyId": "", "hint": "zzz"}})
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	if p := w.get(own); strings.Contains(p.text, "and stays<") {
		t.Errorf("the given one is told as another: %s", p.text)
	}
	w.scanned()
	for _, page := range []string{"", "/emergency"} {
		if p := w.get(own + page); strings.Contains(p.text, "leaked?") || strings.Contains(p.text, "and stays<") || p.Code != http.StatusOK {
			t.Errorf("%d %s", p.Code, p.text)
		}
	}
}

// unpublished is a target whose first rotation comes to nothing.
func unpublished(state string) object {
	target := connection("payroll")
	maps.Copy(target, object{"id": targetID, "connectionId": id, "application": object{"tenantId": tenantID, "clientId": clientID},
		"attention": []string{attention.Failing}})
	maps.Copy(target["rotation"].(object), object{"current": nil, "retiring": []object{}, "lastRotatedAt": nil, "state": state, "settled": false,
		"rotationStatus": "failed", "lastRotationMessage": "Remove one.", "lastRotationClass": "application-full",
		"lastRun": object{"outcome": "failed", "trigger": "creation"}})
	return target
}

// Of a target that has published nothing no page says that something of it is used.
func TestATargetThatHasPublishedNothing(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	own, at := "/console/targets/"+id+"/"+targetID, secrets+"/"+id+"/targets/"+targetID
	for _, state := range []string{"idle", "verifying"} {
		w.answer("GET", at, 200, object{"target": unpublished(state)})
		w.shows(w.get(own), "rotation fails", "az ad app credential list --id "+clientID)
		p := w.get(own + "/delete")
		w.shows(p, "<h2>Stop managing it</h2>", "Nothing of it is published, so that no consumer notices.", ">Delete</button>")
		if strings.Contains(p.text, "Consumers") || strings.Contains(p.text, "revoke\" value=\"true") ||
			strings.Contains(p.text, "is removed from Entra") != (state == "verifying") {
			t.Errorf("%s: %s", state, p.text)
		}
		p = w.get(own + "/emergency")
		w.shows(p, "an emergency removes none")
		if strings.Contains(p.text, "those below are removed") || strings.Contains(p.text, "Remove one.") != (state == "idle") {
			t.Errorf("%s: %s", state, p.text)
		}
	}
	w.answer("GET", at, 200, object{"target": unpublished("idle")})
	w.answer("POST", at+"/rotate-credentials", 200, object{"plan": object{"steps": []object{{"at": now, "what": "Ask for one."}}}})
	w.shows(w.get(own+"/plan"), "these steps do not come to pass", "Remove one.")
}

// After an emergency that has failed the page says what still works, and what makes it useless.
func TestAFailedEmergencyIsTold(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	const works, revoke, command = "key-new still works, for a thief as well.", "“Delete, and revoke”",
		"az ad app credential delete --id " + clientID + " --key-id key-new"
	for name, row := range map[string]struct {
		change   object
		target   bool
		has, not []string
	}{
		"a target":              {object{"retryAt": now.AddDate(0, 0, 1)}, true, []string{works, revoke, command, "as an emergency"}, nil},
		"a given client secret": {object{"current": object{"keyId": "key-new"}}, false, []string{works, command}, []string{revoke, "as an emergency"}},
		"nothing is published":  {object{"current": nil}, true, []string{"nothing new is published"}, []string{works, command}},
		"another rotation":      {object{"lastRun": object{"outcome": "failed", "trigger": "manual"}}, true, nil, []string{works}},
		"it was given up":       {object{"lastRun": object{"outcome": "abandoned", "trigger": "emergency"}}, true, nil, []string{works}},
		"it is under way again": {object{"state": "issuing"}, true, nil, []string{works}},
	} {
		is, page := connection("payroll"), "/console/connections/"+id
		maps.Copy(is["rotation"].(object), object{"rotationStatus": "failed", "lastRotationMessage": "Remove one.",
			"current": object{"keyId": "key-new", "issuedByRekey": true}, "lastRun": object{"outcome": "failed", "trigger": "emergency"}})
		maps.Copy(is["rotation"].(object), row.change)
		if row.target {
			maps.Copy(is, object{"id": targetID, "connectionId": id, "application": object{"tenantId": tenantID, "clientId": clientID}})
			page = "/console/targets/" + id + "/" + targetID
		}
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		w.answer("GET", secrets+"/"+id+"/targets/"+targetID, 200, object{"target": is})
		p := w.get(page)
		w.shows(p, row.has...)
		for _, text := range row.not {
			if strings.Contains(p.text, text) {
				t.Errorf("%s: %q: %s", name, text, p.text)
			}
		}
	}
}

// What abandoning does is said before it is done, and afterwards no more than has happened.
func TestAbandoningIsExplained(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	own := "/console/connections/" + id
	w.answer("POST", secrets+"/"+id+"/rotations/abandon", 200, object{})
	for state, row := range map[string]struct{ status, says, then, button, done string }{
		"issuing": {"", "What it has issued is removed from Entra", "“Pause” keeps it from that.", ">Abandon the run</button>", "abandoned"},
		"idle":    {"failed", "is not tried again. Nothing is removed", "goes on as before", ">Stop trying</button>", "stopped"},
	} {
		is := connection("billing")
		maps.Copy(is["rotation"].(object), object{"state": state, "rotationStatus": row.status, "retryAt": now.AddDate(0, 0, 1),
			"lastRun": object{"outcome": "failed", "trigger": "manual"}})
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		p := w.get(own)
		w.shows(p, `href="`+own+`/abandon"`)
		w.shows(w.get(own+"/abandon"), row.says, row.then, row.button)
		if p := w.post(own+"/abandon", nil); p.Header().Get("Location") != own+"?done="+row.done {
			t.Errorf("%s: %d %s", state, p.Code, p.Header().Get("Location"))
		}
	}
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": connection("billing")})
	if p := w.get(own + "/abandon"); strings.Contains(p.text, "<button type=\"submit\" class=\"danger\"") {
		t.Errorf("there is nothing to abandon: %s", p.text)
	}
	w.shows(w.get(own+"/abandon"), "No rotation is under way.")
}

// What one list does not have is looked for in the others.
func TestSearchGoesOn(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.answer("GET", secrets, 200, object{"appConnections": []object{}})
	w.answer("GET", rotations, 200, object{"secretRotations": []object{}})
	find := "?" + url.Values{"text": {"key-old"}}.Encode()
	w.shows(w.get("/console/connections"+find), `href="/console/targets?text=key-old"`, `href="/console/inventory?text=key-old"`)
	w.shows(w.get("/console/targets"+find), `href="/console/connections?text=key-old"`)
}
