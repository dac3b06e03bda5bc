package console_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rekey/shared/attention"
	"rekey/shared/auth"
	"rekey/shared/serviceerror"
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
		"As of 12:00:00 UTC. ", `every few seconds.</span> <a href="/console/connections/`+id+`">Look again</a>`,
		`aria-current="step"`)
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"application": object{"credentials": []object{
		{"keyId": "sooner", "endsAt": now.Add(2 * time.Hour)}, {"keyId": "ended", "endsAt": now.Add(-time.Hour)},
		{"keyId": "later", "endsAt": now.AddDate(1, 0, 0)}}}})
	for _, c := range []struct {
		rotation, connection object
		says, not            string
	}{
		{object{"nextRotationAt": now.Add(-3 * time.Hour)}, nil,
			"A rotation was due 3 hours ago, on 1 Dec 2026 09:00 UTC.", "The next rotation is"},
		{object{"nextRotationAt": now.Add(-3 * time.Hour), "state": "verifying", "settled": false}, nil, "A rotation is under way", "was due"},
		{object{"state": "deleting", "settled": false}, nil, "It is being deleted.", "The next rotation is"},
		{object{"state": "creating", "settled": false, "nextRotationAt": nil}, object{"isAutoRotationEnabled": false},
			"What it was given is looked at.", "its first rotation"},
		{object{"retiring": []object{{"revokedAt": now}, {"revokedAt": now}}}, nil, "until the directory stops showing them.", "showing it."},
		{object{"retiring": []object{{"revokeAfter": now.Add(2 * time.Hour)}, {"revokeAfter": now.Add(time.Hour)},
			{"revokeAfter": now.Add(3 * time.Hour)}}}, nil,
			"3 old client secrets are removed from 1 Dec 2026 13:00 UTC to 1 Dec 2026 15:00 UTC.", "The old client secret"},
		{object{"retiring": []object{{"revokeAfter": now.Add(2 * time.Hour)}, {"revokeAfter": now.Add(2*time.Hour + time.Second)}}}, nil,
			"2 old client secrets are removed on 1 Dec 2026 14:00 UTC.", "are removed from"},
		{object{"retiring": []object{{"problem": "x"}, {"problem": "y"}, {"revokeAfter": now}, {"revokeAfter": now}}}, nil,
			"2 old client secrets could not be removed yet: see below. 2 old client secrets are being removed.", "The old client secret"},
		{object{"retiring": []object{{"keyId": "SOONER", "revokeAfter": now.Add(3 * time.Hour)}}}, nil,
			"The old client secret ends by itself on 1 Dec 2026 14:00 UTC, before its grace period is over.", "is removed on"},
		{object{"retiring": []object{{"keyId": "ended", "revokeAfter": now.Add(3 * time.Hour)},
			{"keyId": "later", "revokeAfter": now.Add(time.Hour)}}}, nil,
			"The old client secret with the key id later is removed on 1 Dec 2026 13:00 UTC. The old client secret with the key id ended has " +
				"ended, and is still to be removed.", "by itself"},
		{object{"state": "idle", "settled": false, "lastRun": object{"outcome": "success"},
			"retiring": []object{{"keyId": "key-old", "revokedAt": now}}}, nil,
			"What is older is removed, and that is being confirmed - now", "after its grace period"},
		{object{"state": "publishing", "settled": false, "retryAt": now.Add(time.Minute), "lastRotationMessage": "Key Vault throttles."}, nil,
			`This step waits. Key Vault throttles. The next try is <time`, "throttles"},
		{nil, object{"attention": []string{attention.Expiring}}, "what is published ends soon</span>", "ends soon"},
		{nil, object{"attention": []string{attention.Expiring}, "authentication": object{"expiresAt": now.AddDate(0, 0, 3)}},
			"what it signs in with ends soon</span>", "ends soon"},
		{object{"nextRotationAt": nil}, object{"isAutoRotationEnabled": false},
			"Rotation is off, and what is published ends in 2 months", "it ends"},
	} {
		is := connection("billing")
		maps.Copy(is, c.connection)
		maps.Copy(is["rotation"].(object), c.rotation)
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		p := w.get("/console/connections/" + id)
		w.shows(p, c.says)
		if _, status, _ := strings.Cut(p.text, `<span id="status">`); strings.Contains(strings.SplitN(status, "</span>", 2)[0], c.not) {
			t.Errorf("%q is said of %v", c.not, c.rotation)
		}
	}
}

// What consumers copy has the vault's whole address, so that it fits every cloud. App Service documents a reference
// to no version with a slash at its end.
func TestReferences(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	const at = "https://vault-of-tests.vault.azure.net/secrets/billing-secret"
	w.shows(w.get("/console/connections/"+id), `data-copy="@Microsoft.KeyVault(SecretUri=`+at+`/)"`,
		`data-copy="az keyvault secret show --vault-name vault-of-tests --name billing-secret --query value -o tsv"`,
		"data-copy=\"array:\n  - |\n    objectName: billing-secret\n    objectType: secret\"")
}

// The overview counts what ends, managed and not, and draws what comes and what was.
func TestOverview(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	p := w.get("/console")
	w.shows(p, "Needs attention", "<b>3</b>credentials end within 7 days", "1 managed", "<b>4</b>rotate in 7 to 30 days",
		"is counted until the next scan of its tenant.",
		"1 Dec: 3 ends, 0 rotations; 8 Dec: 0 ends, 1 rotations; "+
			"15 Dec: 2 ends, 3 rotations.", "24 Nov: 5 succeeded, 1 failed.", `href="/console/targets/`+id+"/"+targetID)
	if strings.Contains(p.text, "these are the least") {
		t.Error("it says that there is more")
	}
	w.answer("GET", secrets+"/ahead", 200, object{"complete": false})
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{}})
	w.shows(w.get("/console"), "these are the least", "<b>0</b>credentials end within 7 days", "only what Rekey rotates is counted")
}

// The overview asks for ten of each, however many connections and targets there are, and for no list as
// a whole.
func TestOverviewAsksForLittle(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.get("/console")
	for _, c := range w.asked {
		switch limit := c.query.Get("limit"); {
		case strings.HasSuffix(c.path, "/ahead"), strings.HasSuffix(c.path, "/activity"), limit == "1", limit == "10":
		default:
			t.Errorf("it asks for %s?%s", c.path, c.query.Encode())
		}
		if c.path == inventories+"/summary" {
			t.Error("it reads all that scans have found")
		}
	}
}

// Both lists have the same filters, which the API is asked for; what it looks through is told as it is.
func TestListFilters(t *testing.T) {
	for path, of := range map[string]struct{ api, list string }{
		"/console/connections": {secrets, "appConnections"}, "/console/targets": {rotations, "secretRotations"},
	} {
		w := newWorld(t, auth.Read)
		w.everything("billing")
		p := w.get(path + "?text=+bill+&state=failing&project=p&attention=true&cursor=c")
		w.shows(p, `value=" bill "`, `<option value="failing" selected>last rotation failed`, `name="project" value="p"`,
			`name="attention" value="true" checked`, "A part of the list was looked through so far.", "cursor=more")
		want := url.Values{"limit": {"100"}, "text": {"bill"}, "state": {"failing"}, "projectId": {"p"}, "attention": {"true"}, "cursor": {"c"}}
		if got := w.asked[0]; got.path != of.api || got.query.Encode() != want.Encode() {
			t.Errorf("the API is asked for %s?%s", got.path, got.query.Encode())
		}
		w.answer("GET", of.api, 200, object{of.list: []object{}, "nextCursor": "more"})
		w.shows(w.get(path+"?text=x"), "Nothing fits in the part of the list", "cursor=more")
		w.answer("GET", of.api, 200, object{of.list: []object{}})
		p = w.get(path + "?text=x")
		w.shows(p, "Nothing fits. What is searched for is a part of a name")
		if strings.Contains(p.text, "Next page") {
			t.Errorf("%s has a next page", path)
		}
	}
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
		48: "48 hours (2 days)", 50: "50 hours", 720: "720 hours (30 days)"} {
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
	w.answer("POST", secrets+"/"+id+"/test", 200, object{"test": object{"why": []string{"It may not."},
		"problem": object{"message": "It may not."}}})
	if p := w.get("/console/connections/" + id + "/test"); strings.Count(p.text, "It may not.") != 1 {
		t.Errorf("a reason is told twice: %s", p.text)
	}
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

// A moment stands once where the schedule's zone shows the same, and in messages as the reader reads times.
func TestMomentsStandOnce(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	for zone, not := range map[string]string{"UTC": "(", "Etc/UTC": "UTC in", "EST": "EST in EST"} {
		is := connection("billing")
		is["rotation"].(object)["timeZone"] = zone
		is["rotation"].(object)["lastRotationMessage"] = "removed after 2026-12-03T10:00:00Z"
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		p := w.get("/console/connections/" + id)
		w.shows(p, "removed after 3 Dec 2026 10:00 UTC")
		_, next, _ := strings.Cut(p.text, "<dt>Next rotation</dt>")
		if next, _, _ = strings.Cut(next, "</dd>"); strings.Contains(next, not) {
			t.Errorf("%s: %s", zone, next)
		}
	}
}

// A vault that has an address and no name is named by that in commands, and what is not published yet is not told as
// if it were.
func TestConsumersOfAVaultWithoutAName(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.handler.VaultURL = "https://127.0.0.1:8443"
	target := connection("")
	target["id"], target["connectionId"], target["application"] = targetID, id, object{"tenantId": tenantID, "clientId": clientID}
	target["rotation"].(object)["current"] = nil
	w.answer("GET", secrets+"/"+id+"/targets/"+targetID, 200, object{"target": target})
	const none = "Nothing is published there yet"
	for path, empty := range map[string]bool{"connections/" + id: false, "targets/" + id + "/" + targetID: true} {
		p := w.get("/console/" + path)
		w.shows(p, `az keyvault secret show --id &#34;https://127.0.0.1:8443/secrets/billing-secret&#34; --query value`)
		if strings.Contains(p.text, "--vault-name") ||
			strings.Count(p.text, "<code>VAULT=contoso-vault      #") != 1 || strings.Contains(p.text, none) != empty {
			t.Errorf("%s: %s", path, p.text)
		}
	}
}

// What is not tried again is not offered as another try, and an emergency has no grace period among its steps.
func TestButtonAndStepsOfWhatIs(t *testing.T) {
	w := newWorld(t, auth.Rotate)
	w.everything("billing")
	is := connection("billing")
	maps.Copy(is["rotation"].(object), object{"rotationStatus": "failed", "lastRun": object{"outcome": "failed"}})
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	if p := w.get("/console/connections/" + id); !strings.Contains(p.text, "Rotate now</button>") || strings.Contains(p.text, "Try again") {
		t.Errorf("abandoned: %s", p.text)
	}
	maps.Copy(is["rotation"].(object), object{"settled": false, "lastRun": object{"outcome": "success", "trigger": "emergency"}})
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	p := w.get("/console/connections/" + id)
	w.shows(p, "The older ones are removed, without a grace period - now")
	if strings.Contains(p.text, "The old one is removed after its grace period") {
		t.Errorf("emergency: %s", p.text)
	}
}

// What Key Vault keeps from signing in is not told as a refusal of Entra's.
func TestVaultFaultIsNoSignIn(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	for class, asked := range map[serviceerror.Class]bool{serviceerror.VaultRefused: false, serviceerror.VaultDisabled: false,
		serviceerror.CertificateRefused: true} {
		w.answer("POST", secrets+"/"+id+"/test", 200, object{"test": object{"authenticates": false, "why": []string{"x"},
			"problem": object{"class": class, "message": "x"}}})
		p := w.get("/console/connections/" + id + "/test")
		if strings.Contains(p.text, "Entra has to accept the credentials") != asked || strings.Contains(p.text, "Entra was not asked") == asked {
			t.Errorf("%s: %s", class, p.text)
		}
	}
}

// Where a button waits for Entra and Key Vault, the page says how long that may take.
func TestHowLongAnAnswerMayTake(t *testing.T) {
	w := newWorld(t, auth.Rotate)
	w.everything("billing")
	for path, times := range map[string]int{
		"connect": 1, "connect?method=oauth": 0, "connections/" + id: 1, "connections/" + id + "/emergency": 1, "connections/" + id + "/edit": 1,
		"connections/" + id + "/add-target": 1, "targets/" + id + "/" + targetID + "/delete": 2, "inventory": 2,
		"inventory/" + tenantID + "/" + clientID + "/adopt": 1, "settings": 0,
	} {
		if n := strings.Count(w.get("/console/"+path).text, "The answer may take half a minute."); n != times {
			t.Errorf("%s says it %d times, want %d", path, n, times)
		}
	}
}

// The menu shows where a page belongs.
func TestTheMenuShowsWhereAPageBelongs(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	for path, current := range map[string]string{
		"/connections": `"page">Connections`, "/connections/" + id + "/edit": `"true">Connections`,
		"/targets/" + id + "/" + targetID: `"true">Targets`, "/inventory/" + tenantID + "/" + clientID: `"true">Inventory`,
		"": `"page">Overview`, "/connect": "",
	} {
		p := w.get("/console" + path)
		nav, _, _ := strings.Cut(p.text, "</nav>")
		if n := strings.Count(nav, "aria-current"); n != min(len(current), 1) || !strings.Contains(nav, `aria-current=`[:13*n]+current) {
			t.Errorf("%s: %s", path, nav)
		}
	}
}
