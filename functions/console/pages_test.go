package console_test

import (
	"fmt"
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

// Where App Service decides when a session ends, the page says so; a run whose beginning is not kept any
// more has begun at no time that is known.
func TestTimesThatAreNone(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.kind = auth.KindAppService
	w.everything("billing")
	w.answer("GET", secrets+"/"+id+"/rotations", 200, object{"rotations": []object{{"id": "run", "trigger": "manual", "outcome": "success",
		"startedAt": "0001-01-01T00:00:00Z"}}})
	for path, says := range map[string]string{"/console/settings": "when App Service ends it", "/console/connections/" + id: "not known"} {
		p := w.get(path)
		w.shows(p, says)
		if strings.Contains(p.text, " 0001 ") {
			t.Errorf("%s has a time that is none: %s", path, p.text)
		}
	}
}

// The timeline has more rotations than the table of the next ten.
func TestTimelineHasMoreThanTheNextTen(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	var list []object
	for i := range 30 {
		list = append(list, object{"at": now.AddDate(0, 0, 1), "connectionId": id, "targetId": fmt.Sprint("t", i), "name": fmt.Sprint("app-", i)})
	}
	w.answer("GET", secrets+"/upcoming", 200, object{"upcoming": list})
	p := w.get("/console")
	w.shows(p, "1 Dec: 3 ends, 30 rotations", "app-9<")
	if strings.Contains(p.text, "app-10<") {
		t.Error("the table has more than ten")
	}
	for _, c := range w.asked {
		if c.path == secrets+"/upcoming" && c.query.Get("limit") != "100" {
			t.Errorf("the API is asked for %v", c.query)
		}
	}
}

// A zone that is cleared stays as it was; it does not become UTC unasked.
func TestZoneOfASchedule(t *testing.T) {
	for zone, want := range map[string]any{"": nil, "Asia/Tokyo": "Asia/Tokyo"} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		w.answer("PATCH", secrets+"/"+id, 200, object{"appConnection": connection("billing")})
		p := w.post("/console/connections/"+id+"/edit", url.Values{"name": {"billing"}, "version": {"3"}, "rotate": {"on"}, "time": {"04:00"},
			"timeZone": {zone}})
		if got := w.writes()[0].body["rotation"].(object)["timeZone"]; p.Code != http.StatusSeeOther || got != want {
			t.Errorf("%q: %d, the API gets %v", zone, p.Code, got)
		}
	}
}
