package console_test

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey/functions/console"
	"rekey/shared/attention"
	"rekey/shared/auth"
	"rekey/shared/serviceerror"
)

// What the API says of a deletion is told on the next page, once, and in no words but the API's.
func TestWhatRemainsIsTold(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	for path, list := range map[string]string{"connections/" + id: "connections", "targets/" + id + "/" + targetID: "targets"} {
		at := secrets + "/" + id
		if list == "targets" {
			at += "/targets/" + targetID
		}
		w.answer("DELETE", at, 200, object{"message": "It is deleted. The key “k” stays <b>. To remove both, delete with ?revoke=true."})
		p := w.post("/console/"+path+"/delete", url.Values{"revoke": {"false"}})
		to := "/console/" + list + "?done=deleted"
		if p.Code != http.StatusSeeOther || p.Header().Get("Location") != to {
			t.Fatalf("%d %v", p.Code, p.Header())
		}
		kept := p.Result().Cookies()[0]
		next := w.get(to, kept)
		w.shows(next, "It is deleted. The key “k” stays &lt;b&gt;. What is left to do")
		if gone := next.Result().Cookies()[0]; gone.Name != kept.Name || gone.MaxAge >= 0 {
			t.Errorf("it is told again: %v", gone)
		}
		w.shows(w.get(to), "The deletion has begun.")
		kept.Value = "RXZpbA." + strings.Split(kept.Value, ".")[1]
		if p := w.get(to, kept); strings.Contains(p.text, "Evil") {
			t.Error("another site can put words into the console's mouth")
		}
	}
	w.answer("DELETE", secrets+"/"+id, 200, object{"message": strings.Repeat("ü", 5000)})
	if p := w.post("/console/connections/"+id+"/delete", url.Values{"revoke": {"false"}}); len(p.Header().Get("Set-Cookie")) > 4000 {
		t.Errorf("a cookie of %d bytes, which browsers drop", len(p.Header().Get("Set-Cookie")))
	}
}

// What stays and what goes is said before a deletion.
func TestDeletionIsExplained(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	p := w.get("/console/connections/" + id + "/delete")
	w.shows(p, "A target is rotated through it. Delete that first", `href="/console/targets?text=`+id+`">Its targets`)
	if strings.Contains(p.text, `name="revoke"`) {
		t.Error("there is a button that can only be refused")
	}
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{}})
	w.shows(w.get("/console/connections/"+id+"/delete"), "with the key id key-new stays: in Entra until its end",
		"1 older client secret will be removed from Entra at once: key-old.", "and remove 1 older client secret</button>",
		"Every other client secret", "with the key id key-new stays in Entra, since it was given to Rekey", "Consumers stop working.",
		"is scanned through this connection. If the tenant has another one, scans go on through that")
	w.shows(w.get("/console/connections/"+id+"/emergency"), "The one in use now with the key id key-new is removed.",
		"1 older one in a grace period, removed as well: key-old.", "Every other client secret of the application stays.")
	// By key id: what Rekey has issued goes, what is removed already is no more, and what the first rotation of a target
	// was to take the place of stays; an emergency removes it.
	target := connection("")
	maps.Copy(target, object{"id": targetID, "connectionId": id, "retireKeyIds": []string{"key-named"}})
	maps.Copy(target["rotation"].(object), object{"current": object{"keyId": "key-new", "issuedByRekey": true},
		"retiring": []object{{"keyId": "key-gone", "revokedAt": now}}, "byHand": []object{{"keyId": "key-hand"}}})
	w.answer("GET", secrets+"/"+id+"/targets/"+targetID, 200, object{"target": target})
	w.shows(w.get("/console/targets/"+id+"/"+targetID+"/delete"), "with the key id key-new is removed from Entra, without a grace period",
		"with the key id key-gone is removed already", "with the key id key-named, which the first rotation was to take the place of, stays.",
		"with the key id key-hand stays in Entra until a person", ">Delete, and keep what is published</button>")
	w.shows(w.get("/console/targets/"+id+"/"+targetID+"/emergency"), "key-new is removed.", "removed as well: key-named.",
		"key-gone is removed already", "key-hand stays")
	another := connection("other")
	another["id"] = targetID
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection("billing"), another}, "nextCursor": "more"})
	w.shows(w.get("/console/connections/"+id+"/delete"), "After that scans go on through another connection of the tenant")
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection("billing")}})
	w.shows(w.get("/console/connections/"+id+"/delete"), "There is no other connection of the tenant")
	is := connectionOf("billing", "certificate")
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{}})
	p = w.get("/console/connections/" + id + "/delete")
	w.shows(p, "Nothing of it is published", "is deleted from Key Vault")
	if strings.Contains(p.text, "through it") || strings.Contains(p.text, "Consumers stop") {
		t.Errorf("%s", p.text)
	}
}

// A failed rotation says why, when it is tried again, and has a button to do that now.
func TestFailureIsExplained(t *testing.T) {
	failed := func(trigger string) object {
		is := connection("billing")
		is["attention"] = []string{attention.Failing}
		r := is["rotation"].(object)
		r["rotationStatus"], r["settled"], r["retryAt"] = "failed", false, now.AddDate(0, 0, 1)
		r["lastRotationMessage"], r["lastRun"] = "Grant it. POST .../test names it.", object{"outcome": "failed", "trigger": trigger}
		return is
	}
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.answer("GET", secrets, 200, object{"appConnections": []object{failed("manual")}})
	w.answer("GET", rotations, 200, object{"secretRotations": []object{{"id": targetID, "connectionId": id,
		"attention": []string{attention.Failing}, "rotationStatus": "failed", "lastRotationMessage": "Make room."}}})
	w.shows(w.get("/console"), "Make room.", `href="/console/targets/`+id+`/`+targetID+`#runs">What was tried`)
	for trigger, stops := range map[string]bool{"manual": true, "emergency": true, "schedule": false} {
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": failed(trigger)})
		p := w.get("/console/connections/" + id)
		w.shows(p, "The last rotation failed. It is tried again in 24 hours, on 2 Dec 2026 12:00 UTC.")
		if n := strings.Count(p.text, ">Try again now</button>"); n != 1 {
			t.Errorf("%d buttons try again", n)
		}
		if strings.Contains(p.text, "Stop trying") != stops {
			t.Errorf("%s: it can be stopped: %t", trigger, !stops)
		}
		for _, page := range []page{p, w.get("/console")} {
			w.shows(page, "Grant it. “Test” names it.")
			if strings.Contains(page.text, "by itself") {
				t.Error("what a person has to do is told as what Rekey does")
			}
		}
		if strings.Contains(p.text, "The next try is") {
			t.Error("the next try is told twice")
		}
		w.shows(w.get("/console"), `href="/console/connections/`+id+`#runs"`, "The next try is ")
	}
}

// Where the permission is missing, a page says so of this kind of connection, with the commands for this application.
func TestMissingPermissionIsExplained(t *testing.T) {
	const target, app = "/targets/" + targetID, "0b1e7e57-0000-4000-8000-00000000000c"
	for _, c := range []struct{ path, method, says, not, command string }{
		{"", "client-secret", "Grant this application the Microsoft Graph permission", "A person", "az ad app owner add --id " + clientID},
		{target, "certificate", "Grant the application that the connection signs in as", "A person", "az ad app owner add --id " + app},
		{target, "oauth", "The person who signed in", "Application.ReadWrite.OwnedBy",
			"az ad app owner add --id " + app + " --owner-object-id ada"},
	} {
		w := newWorld(t, auth.Admin)
		w.everything("billing")
		is, via := connection("billing"), connectionOf("billing", c.method)
		via["authentication"] = object{"account": "ada"}
		is["attention"] = []string{attention.Failing}
		is["rotation"].(object)["rotationStatus"] = "failed"
		is["rotation"].(object)["lastRotationMessage"] = serviceerror.Permission.Advice() + " [permission, status 403]"
		path := "/console/connections/" + id
		if c.path == "" {
			via = is
		} else {
			is["id"], is["connectionId"], is["application"] = targetID, id, object{"tenantId": tenantID, "clientId": app}
			w.answer("GET", secrets+"/"+id+c.path, 200, object{"target": is})
			path = "/console/targets/" + id + "/" + targetID
		}
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": via})
		p := w.get(path)
		_, why, _ := strings.Cut(p.text, "Why: ")
		why, _, _ = strings.Cut(why, "</section>")
		if !strings.Contains(why, c.says) || !strings.Contains(why, "status 403") || strings.Contains(why, c.not) ||
			!strings.Contains(why, c.command) || strings.Count(why, "data-copy") != 1 {
			t.Errorf("%s %s: %s", c.path, c.method, why)
		}
	}
}

// Runs beyond the last twenty are pages away, and so is what was removed meanwhile, which readers see, too.
func TestHistoryGoesOn(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	for _, c := range []struct{ path, api string }{{"connections/" + id, secrets + "/" + id},
		{"targets/" + id + "/" + targetID, secrets + "/" + id + "/targets/" + targetID}} {
		run := object{"id": "run", "trigger": "loss", "startedAt": now, "outcome": "running"}
		removed := object{"keyId": "key-removed", "revokedAt": now.AddDate(0, 0, -1), "goneAt": now,
			"reason": "another client secret took its place"}
		w.answer("GET", c.api+"/rotations", 200, object{"rotations": []object{run}, "revocations": []object{removed}, "nextCursor": "c+1"})
		next := "/console/" + c.path + "/history?cursor=c%2B1"
		w.shows(w.get("/console/"+c.path), `href="`+next+`">Next page`, "what was published stopped working", "under way",
			"key-removed", "another client secret took its place", "30 Nov 2026")
		w.shows(w.get(next), "under way", `href="`+next+`">Next page`)
		if last := w.asked[len(w.asked)-1]; last.path != c.api+"/rotations" || last.query.Get("cursor") != "c+1" {
			t.Errorf("the API is asked %+v", last)
		}
	}
}

// A run that gave new credentials a client secret of Rekey's is told from the one of the creation, and a try that never
// began has the time of its end.
func TestRunsAreToldApart(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	run := func(outcome string) object {
		return object{"id": outcome, "trigger": "creation", "startedAt": now, "outcome": outcome}
	}
	never := object{"trigger": "manual", "startedAt": time.Time{}, "finishedAt": now.AddDate(0, 0, -9), "outcome": "failed",
		"requestedBy": "eve"}
	for says, runs := range map[string][]object{
		"for the new credentials</td>": {run("success"), run("failed"), run("success")}, "on creation</td>": {run("success"), run("failed")},
		"asked for, by eve</td>": {never},
	} {
		w.answer("GET", secrets+"/"+id+"/rotations", 200, object{"rotations": runs})
		p := w.get("/console/connections/" + id)
		w.shows(p, says)
		if n := strings.Count(p.text, "for the new credentials</td>"); n != map[bool]int{true: 2}[says[0] == 'f'] { // its failed try, too
			t.Errorf("%s: %d are for new credentials", says, n)
		}
		if strings.Contains(p.text, `<th scope="row">not known`) || says[0] == 'a' && !strings.Contains(p.text, "22 Nov 2026") {
			t.Errorf("%s has no time", says)
		}
	}
}

// Every kind of event and every trigger has a name.
func TestCodesHaveWords(t *testing.T) {
	for _, c := range []struct {
		file     string
		constant *regexp.Regexp
		words    map[string]string
		least    int
	}{
		{"history/kind.go", regexp.MustCompile(`= "((?:connection|rotation|credential)\.[a-z-]+|unreadable)"`), console.EventWords, 26},
		{"audit/event.go", regexp.MustCompile(`= "((?:console|api|connection)\.[a-z-]+)"`), console.TrailWords, 6},
		{"auth/auth.go", regexp.MustCompile(`Kind[A-Z]\w+ += "([a-z-]+)"`), console.SignInWords, 3},
		{"rotation/run.go", regexp.MustCompile(`Trigger = "([a-z]+)"`), console.Triggers, 6},
		{"inventory/list.go", regexp.MustCompile(`List = "([a-z-]+)"`), console.ListWords, 6},
		{"inventory/tenant.go", regexp.MustCompile(`ChangeKind = "([a-z-]+)"`), console.Changes, 8},
		{"inventory/tenant.go", regexp.MustCompile(` Phase = "([a-z-]+)"`), console.ScanWords, 4},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "shared", filepath.FromSlash(c.file)))
		if err != nil {
			t.Fatal(err)
		}
		found := c.constant.FindAllStringSubmatch(string(text), -1)
		for _, m := range found {
			if c.words[m[1]] == "" {
				t.Errorf("%s has no name", m[1])
			}
		}
		if len(found) < c.least {
			t.Errorf("%s: only %d were found", c.file, len(found))
		}
	}
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	w.answer("GET", secrets+"/"+id+"/audit", 200, object{"events": []object{{"at": now, "kind": "rotation.requested", "message": "emergency"},
		{"at": now, "kind": "rotation.of-a-newer-version"}, {"at": time.Time{}, "kind": "unreadable"}}})
	const spoilt = "a line that this version of Rekey can&#39;t read</td>"
	w.shows(w.get("/console/connections/"+id+"/audit"), "asked for", "an emergency rotation", "rotation of a newer version", spoilt,
		`<th scope="row">not known</th>`)
	w.answer("GET", "/api/v1/audit", 200, object{"events": []object{{"at": now, "kind": "unreadable", "count": 1}}})
	w.shows(w.get("/console/audit"), spoilt, `data-label="By">not known`)
}

// No page has an id twice.
func TestIDsAreUnique(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	for _, path := range pages {
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(w.get(path).text, -1) {
			if seen[m[1]] || m[1] == "" {
				t.Errorf("%s has the id %q twice", path, m[1])
			}
			seen[m[1]] = true
		}
	}
}

// The commands in an advice can be copied where they are whole; what a stranger has named like one can't.
func TestCommandsInAdvice(t *testing.T) {
	w := newWorld(t, auth.Admin)
	for advice, want := range map[string][]string{
		"The client secret ends. Create a new one (az ad app credential reset --id " + clientID + " --append), give it to what uses this " +
			"one, then remove it: az ad sp credential delete --id " + clientID + " --key-id " + id + " --cert.": {
			"az ad app credential reset --id " + clientID + " --append",
			"az ad sp credential delete --id " + clientID + " --key-id " + id + " --cert"},
		"Make one (az ad app credential reset --id " + clientID + " --cert @<certificate.pem> --append).": {
			"CERTIFICATE_FILE=cert.pem      # its public part\naz ad app credential reset --id " + clientID +
				` --cert "@$CERTIFICATE_FILE" --append`},
		"Add one: az ad app owner add --id " + clientID + " --owner-object-id <object id of a person>.": {
			"PERSON_ID=$(az ad user show --id ada@contoso.com --query id -o tsv)\naz ad app owner add --id " + clientID +
				` --owner-object-id "$PERSON_ID"`},
		"Remove it: az ad app credential delete --id " + clientID + " --key-id <key id>.": {
			"KEY_ID=00000000-0000-0000-0000-000000000000      # below, under Credentials\n" +
				"az ad app credential delete --id " + clientID + ` --key-id "$KEY_ID"`},
		"Remove it: az ad app delete --id <client id>.":                                                nil,
		"Delete it: az ad app delete --id " + clientID + " (it can be restored).":                      {"az ad app delete --id " + clientID},
		`The client secret "az ad app delete --id ` + id + ` \" az ad app delete --id x" ends.`:        nil,
		"Let Rekey rotate it: POST .../inventory/" + tenantID + "/" + clientID + "/adopt. Or by hand.": nil,
	} {
		w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"application": object{"tenantId": tenantID, "clientId": clientID,
			"findings": []object{{"finding": "unused", "advice": advice}}}, "tenant": object{}})
		p := w.get("/console/inventory/" + tenantID + "/" + clientID)
		var got []string
		for _, m := range regexp.MustCompile(`data-copy="([^"]*)"`).FindAllStringSubmatch(p.text, -1) {
			got = append(got, html.UnescapeString(m[1]))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || strings.Contains(p.text, "...") ||
			strings.Contains(p.text, "</button>.") {
			t.Errorf("%s\ncopies %q, want %q", advice, got, want)
		}
	}
}

// An application is adopted through a connection of its tenant, which is chosen by its name; its client
// secrets are told apart by what is known of them.
func TestAdoptForm(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	other := connection("of-another-tenant")
	other["id"], other["credentials"] = "other", object{"tenantId": clientID, "clientId": clientID}
	w.answer("GET", secrets, 200, object{"appConnections": []object{other, connection("operator")}})
	form := "/console/inventory/" + tenantID + "/" + clientID + "/adopt"
	p := w.get(form)
	w.shows(p, "The tenant was scanned through the one that is chosen.", `<option value="`+id+`" selected>operator, by client secret</option>`,
		"ends <time", "used last: not known",
		"<code>k</code>")
	if strings.Contains(p.text, "of-another-tenant") || strings.Contains(p.text, "otherConnectionId") {
		t.Errorf("%s", p.text)
	}
	// Of many the one that scans the tenant is offered in any case, and any other by its id.
	w.answer("GET", secrets, 200, object{"appConnections": []object{other}, "nextCursor": "more"})
	w.shows(w.get(form), `<option value="`+id+`" selected>billing, by client secret</option>`, `name="otherConnectionId"`)
	w.post(form, url.Values{"connectionId": {id}, "otherConnectionId": {targetID}, "vaultSecretName": {"v"}})
	if got := w.writes()[0].body["connectionId"]; got != targetID {
		t.Errorf("adopted through %v", got)
	}
	// Where the connection owns too little, the commands that mend it stand below the refusal.
	refused := object{"message": "It has the permission, but is not an owner of the application that is to be rotated."}
	w.answer("POST", inventories+"/"+tenantID+"/"+clientID+"/adopt", 400, refused)
	w.answer("POST", secrets+"/"+id+"/targets", 400, refused)
	for path, entered := range map[string]url.Values{form: {"connectionId": {id}},
		"/console/connections/" + id + "/add-target": {"clientId": {clientID}}} {
		if p := w.post(path, entered); !strings.Contains(p.text, "az ad app owner add --id "+clientID) {
			t.Errorf("%s has no command: %s", path, p.text)
		}
	}
}

// What was accepted is left out, unless it is asked for.
func TestAcceptedFindings(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	accepted := object{"finding": "unused", "accepted": object{"reason": "r", "by": "ann", "until": now}}
	w.answer("GET", inventories, 200, object{"tenants": []object{{"tenantId": tenantID, "asOf": now}}, "applications": []object{{
		"tenantId": tenantID, "clientId": clientID, "findings": []object{{"finding": "ownerless"}, {"finding": "ownerless"}, accepted}}}})
	p := w.get("/console/inventory?finding=unused")
	w.shows(p, "no owner\u00a0×2</span>")
	if strings.Contains(p.text, "accepted: unused") || len(w.asked[0].query) != 2 {
		t.Error("what was accepted is shown")
	}
	for chosen, asks := range map[string]string{"too": "includeAccepted", "only": "onlyAccepted"} {
		w.shows(w.get("/console/inventory?finding=unused&accepted="+chosen), "accepted: unused", asks+`=true">The same as CSV`,
			`<option value="`+chosen+`" selected>`)
		if last := w.asked[len(w.asked)-1]; last.query.Get(asks) != "true" || last.query.Has("accepted") {
			t.Errorf("%s: the API is asked for %v", chosen, last.query)
		}
	}
}

// What has come to its end by the time that its page is shown is not said to go on.
func TestToldAsItIs(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	under, failed := connection("billing"), connection("billing")
	under["rotation"].(object)["state"] = "verifying"
	failed["rotation"].(object)["rotationStatus"] = "failed"
	success, off := connection("billing"), connection("billing")
	off["isAutoRotationEnabled"] = false
	delete(off["rotation"].(object), "current")
	success["rotation"].(object)["lastRun"] = object{"outcome": "success"}
	const goesOn = "It continues in the background, whether"
	for _, c := range []struct {
		is         object
		done, says string
	}{
		{under, "rotation", goesOn}, {success, "rotation", "The rotation is done"}, {failed, "rotation", "has not succeeded"},
		{success, "already", "The rotation is done"}, {success, "emergency", "The emergency rotation is done"},
		{under, "renewing", "The rotation for the new credentials has begun"},
		{success, "renewing", "The rotation for the new credentials is done"},
		{under, "taking", "The rotation for the new credentials has begun"}, {connection("billing"), "taking", "Rekey takes the new"},
		{under, "target", "Its first client secret is being issued"}, {success, "target", "its first client secret is published"},
		{failed, "target", "Its first rotation has not succeeded"}, {off, "target", "Its rotation is off"},
		{under, "emergency", "The emergency rotation has begun"}, {success, "paused", "Rotation is off."},
	} {
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": c.is})
		w.shows(w.get("/console/connections/"+id+"?done="+c.done), c.says)
	}
	at := "/console/inventory/scans/scan-1"
	w.shows(w.get(at+"?done=scan"), "The scan has begun.", `<a href="`+at+`">Look again</a>`, "data-refresh")
	for phase, says := range map[string]string{"complete": "The scan is done.", "failed": "The scan has failed."} {
		w.answer("GET", inventories+"/scans/scan-1", 200, object{"scan": object{"tenantId": tenantID, "phase": phase, "startedAt": now,
			"finishedAt": now}})
		p := w.get(at + "?done=scan")
		w.shows(p, says)
		if strings.Contains(p.text, "Look again") || strings.Contains(p.text, "data-refresh") {
			t.Errorf("%s: %s", phase, p.text)
		}
	}
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"application": object{}, "tenant": object{"tenantId": tenantID,
		"asOf": now.Add(-3 * time.Hour), "complete": true, "scanUnderWay": "scan-1"}})
	w.shows(w.get("/console/inventory/"+tenantID+"/"+clientID), "A scan of the tenant is under way", `<a href="`+at+`">How far it is</a>`,
		">Look again</a>", "read completely ", "3 hours ago, ")
	// What new credentials have come to is known from the answer; equal ones begin nothing.
	is, taking, done := connection("billing"), connection("billing"), connection("billing")
	taking["rotation"].(object)["state"] = "rebinding"
	done["rotation"].(object)["lastRun"] = object{"id": "new", "outcome": "success"}
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	for said, answer := range map[string]object{"saved": is, "taking": taking, "renewing": under, "renewed": done} {
		w.answer("PATCH", secrets+"/"+id, 200, object{"appConnection": answer})
		p := w.post("/console/connections/"+id+"/edit", url.Values{"name": {"billing"}, "version": {"3"}, "rotate": {"on"},
			"clientSecret": {"x"}})
		if to := p.Header().Get("Location"); to != "/console/connections/"+id+"?done="+said {
			t.Errorf("%s: %d to %s", said, p.Code, to)
		}
	}
}
