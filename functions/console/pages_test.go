package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// Times are in the zone that the reader chose, with the schedule's beside it.
func TestZones(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.shows(w.get("/console/connections/"+id), "13 Dec 2026 12:00 UTC", "13 Dec 2026 13:00 CET in Europe/Berlin", "in 12 days")
	tokyo := &http.Cookie{Name: "rekey-zone", Value: "Asia/Tokyo"}
	w.shows(w.get("/console/connections/"+id, tokyo), "13 Dec 2026 21:00 JST", "2 Dec 2026 21:00 JST")
	for _, name := range []string{"Local", "../../etc/passwd", "Mars/Base", ""} {
		if p := w.post("/console/zone", url.Values{"zone": {name}}); p.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", name, p.Code)
		}
		w.shows(w.get("/console/connections/"+id, &http.Cookie{Name: "rekey-zone", Value: url.PathEscape(name)}), "UTC")
	}
	p := w.post("/console/zone", url.Values{"zone": {"Asia/Tokyo"}, "back": {"/console/targets?text=x"}})
	if p.Code != http.StatusSeeOther || p.Header().Get("Location") != "/console/targets?text=x" ||
		!strings.Contains(p.Header().Get("Set-Cookie"), "Asia/Tokyo") {
		t.Errorf("%d %v", p.Code, p.Header())
	}
}

// The status is a sentence.
func TestStatus(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.shows(w.get("/console/connections/"+id), "Published 3 days ago. The old client secret is removed on 2 Dec 2026 12:00 UTC. "+
		"The next rotation is in 12 days, on 13 Dec 2026 12:00 UTC.")
	under := connection("billing")
	under["rotation"].(object)["state"], under["rotation"].(object)["settled"] = "verifying", false
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": under})
	w.shows(w.get("/console/connections/"+id), "A rotation is under way: Rekey is proving the new client secret.", "data-refresh",
		`aria-current="step"`)
}

// The overview counts what ends, managed and not, and draws what comes and what was.
func TestOverview(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.shows(w.get("/console"), "Needs attention", "<b>3</b>end within 7 days", "1 managed",
		"1 Dec: 3 ends, 0 rotations; 8 Dec: 0 ends, 1 rotations; "+
			"15 Dec: 2 ends, 0 rotations.", "24 Nov: 5 succeeded, 1 failed.", `href="/console/targets/`+id+"/"+targetID)
}

// With nothing connected the overview says how to begin.
func TestBeginning(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.answer("GET", secrets, 200, object{"appConnections": []object{}})
	w.shows(w.get("/console"), "Nothing is connected yet.", `href="/console/connect"`)
	w.shows(w.get("/console/connections"), "Nothing is connected yet.")
}

// A grace period is told as it is: rounding 50 hours to 2 days would be a promise of less.
func TestGraceInWords(t *testing.T) {
	for hours, want := range map[float64]string{0: "none", 0.25: "15 minutes", 1: "1 hour", 1.5: "90 minutes", 2.5: "2.5 hours",
		36: "36 hours",
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

// What a button has done is told once: choosing a zone, or trying again, is no button.
func TestToldOnce(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.shows(w.get("/console/connections?done=deleted&name=x"), `name="back" value="/console/connections?name=x"`)
	w.shows(w.get("/console/connections?done=deleted"), `name="back" value="/console/connections"`)
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
