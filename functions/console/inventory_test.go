package console_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
)

// The inventory as a file has all pages, and the header row once.
func TestCSV(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.answer("GET", inventories, 200, "name,ends\r\nbilling,2027\r\n")
	p := w.get("/console/inventory/csv?finding=orphan")
	if p.text != "name,ends\r\nbilling,2027\r\nbilling,2027\r\n" || !strings.HasPrefix(p.Header().Get("Content-Type"), "text/csv") ||
		!strings.HasPrefix(p.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %q", p.Header(), p.text)
	}
	if len(w.asked) != 2 || w.asked[0].query.Get("finding") != "orphan" || w.asked[1].query.Get("cursor") != "second" {
		t.Errorf("%+v", w.asked)
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
	if p.Code != http.StatusServiceUnavailable || strings.Contains(p.text, "billing") ||
		!strings.HasPrefix(p.Header().Get("Content-Type"), "text/html") ||
		p.Header().Get("Content-Disposition") != "" {
		t.Errorf("%d %v %s", p.Code, p.Header(), p.text)
	}
}

// A scan is begun through a connection of the tenant that is chosen by its name, again in every tenant and in
// another one. Where the one of the last scan is gone, a person chooses.
func TestScanForms(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.everything("billing")
	in := func(tenantID, connectionID, name string) object {
		c := connection(name)
		c["id"], c["credentials"] = connectionID, object{"tenantId": tenantID, "clientId": clientID}
		return c
	}
	const secondTenant, thirdTenant = "0b1e7e57-0000-4000-8000-00000000000c", "0b1e7e57-0000-4000-8000-00000000000d"
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection("billing"), in(secondTenant, "left", "left-over"),
		in(thirdTenant, "third", "of-the-third")}})
	second := object{"tenantId": secondTenant, "connectionId": "gone", "asOf": now, "complete": true}
	first := object{"tenantId": tenantID, "connectionId": id, "asOf": now, "complete": true}
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{first, second}})
	p := w.get("/console/inventory")
	w.shows(p, "Scan tenant "+tenantID+" again", `<option value="`+id+`" selected>billing, by client secret</option>`,
		`<option value="left">left-over, by client secret</option>`, "Scan another tenant",
		`<option value="third">of-the-third, tenant `+thirdTenant+`</option>`)
	if strings.Count(p.text, ">left-over, ") != 1 || strings.Contains(p.text, "otherConnectionId") || strings.Contains(p.text, `"gone"`) {
		t.Errorf("%s", p.text)
	}
	// Of many, another one is named by its id.
	w.answer("GET", secrets, 200, object{"appConnections": []object{}, "nextCursor": "more"})
	w.shows(w.get("/console/inventory"), `<option value="`+id+`" selected>`, `name="otherConnectionId"`)
	w.answer("GET", secrets, 200, object{"appConnections": []object{}})
	w.shows(w.get("/console/inventory"), "Tenant "+secondTenant+" has no connection any more")
	w.answer("GET", inventories, 200, object{"applications": []object{}, "tenants": []object{}})
	w.shows(w.get("/console/inventory"), "Connect a tenant")
	w.answer("GET", secrets, 200, object{"appConnections": []object{connection("billing")}})
	w.shows(w.get("/console/inventory"), `<option value="`+id+`">billing, tenant `+tenantID+`</option>`)
	if p := w.post("/console/inventory/scans", nil); p.Code != http.StatusBadRequest || len(w.writes()) != 0 {
		t.Errorf("without a choice: %d, %+v", p.Code, w.writes())
	}
}

// Findings of one kind are folded, and credentials that have ended stand last.
func TestApplicationInOrder(t *testing.T) {
	w := newWorld(t, auth.Admin)
	long := func(key string) object {
		return object{"finding": "too-long", "keyId": key, "advice": "Replace " + key + "."}
	}
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"tenant": object{"tenantId": tenantID, "asOf": now, "complete": true},
		"application": object{"tenantId": tenantID, "clientId": clientID, "name": "billing", "findings": []object{
			{"finding": "ownerless", "advice": "Add one by 2026-12-03 at 09:05 UTC."}, long("one"), long("two"), long("three")},
			"credentials": []object{{"keyId": "ended", "endsAt": now.AddDate(-2, 0, 0)}, {"keyId": "endless"},
				{"keyId": "later", "endsAt": now.AddDate(0, 2, 0)}, {"keyId": "ended-last", "endsAt": now.AddDate(-1, 0, 0)},
				{"keyId": "live", "endsAt": now.AddDate(0, 1, 0), "lastUsedAt": now}}}})
	at := "/console/inventory/" + tenantID + "/" + clientID
	p := w.get(at)
	w.shows(p, "lives too long\u00a0×3</span></summary>", "Replace two.", "by 3 Dec 2026 09:05 UTC.")
	if order := keyIDsIn(p.text); order != "live later endless ended-last ended" {
		t.Errorf("the credentials are in the order %s", order)
	}
	if n := strings.Count(p.text, "never, as far as Entra knows"); n != 4 {
		t.Errorf("%d are shown as never used", n)
	}
	if strings.Contains(p.text, "no owner\u00a0×") || strings.Count(p.text, "Tenant "+tenantID) != 1 {
		t.Errorf("%s", p.text)
	}
	w.answer("POST", inventories+"/"+tenantID+"/"+clientID+"/accept", 400, object{"message": "until must be in the future."})
	p = w.post(at+"/accept", url.Values{"finding": {"too-long"}, "keyId": {"two"}, "reason": {"r"}, "until": {"2020-01-31"}})
	if strings.Count(p.text, "<details open>") != 2 { // the folded ones, and the form among them
		t.Errorf("%s", p.text)
	}
}

// What takes up room can be chosen to go, what has ended too; and where Entra takes two only, the page says so.
func TestAdoptWhereRoomIsScarce(t *testing.T) {
	w := newWorld(t, auth.Rotate)
	at := inventories + "/" + tenantID + "/" + clientID
	app := object{"tenantId": tenantID, "clientId": clientID, "name": "billing", "credentials": []object{
		{"keyId": "k-live", "kind": "client-secret", "of": "application", "endsAt": now.AddDate(0, 1, 0)},
		{"keyId": "k-ended", "kind": "client-secret", "of": "application", "endsAt": now.AddDate(-1, 0, 0)},
		{"keyId": "k-foreign", "kind": "certificate", "of": "application"}}}
	w.answer("GET", at, 200, object{"tenant": object{"tenantId": tenantID}, "application": app})
	w.answer("GET", secrets, 200, object{"appConnections": []object{}})
	const scarce = "no second rotation has room"
	p := w.get("/console/inventory/" + tenantID + "/" + clientID + "/adopt")
	w.shows(p, `value="k-live"`, `value="k-ended"`, ", ended ")
	if strings.Contains(p.text, "k-foreign") || strings.Contains(p.text, scarce) {
		t.Errorf("%s", p.text)
	}
	app["findings"] = []object{{"finding": "room-for-one", "advice": "x"}}
	w.answer("GET", at, 200, object{"tenant": object{"tenantId": tenantID}, "application": app})
	w.shows(w.get("/console/inventory/"+tenantID+"/"+clientID+"/adopt"), "It has two already, so that there is no room")
	app["credentials"] = app["credentials"].([]object)[:1]
	w.answer("GET", at, 200, object{"tenant": object{"tenantId": tenantID}, "application": app})
	w.shows(w.get("/console/inventory/"+tenantID+"/"+clientID+"/adopt"), scarce)
}

// What has ended does not end next, and what may not sign in is not adopted.
func TestAnApplicationThatIsDoneWith(t *testing.T) {
	w := newWorld(t, auth.Write)
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"tenant": object{"tenantId": tenantID},
		"application": object{"tenantId": tenantID, "clientId": clientID, "objectId": "o", "endsAt": now, "disabled": true}})
	p := w.get("/console/inventory/" + tenantID + "/" + clientID)
	w.shows(p, "Ended last", "Sign-in to it is disabled")
	if strings.Contains(p.text, "/adopt\"") {
		t.Errorf("%s", p.text)
	}
}

// An application can be adopted until something rotates it: that a connection signs in as it is no obstacle.
func TestWhatCanBeAdopted(t *testing.T) {
	w := newWorld(t, auth.Write)
	for _, c := range []struct {
		registration any
		managers     []object
		can          bool
	}{
		{nil, nil, false}, // in another tenant
		{"o", nil, true}, {"o", []object{{"connectionId": id, "name": "platform", "rotates": false}}, true},
		{"o", []object{{"connectionId": id, "name": "platform", "rotates": false}, {"connectionId": id, "rotates": true}}, false},
	} {
		w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"tenant": object{"tenantId": tenantID},
			"application": object{"tenantId": tenantID, "clientId": clientID, "managedBy": c.managers,
				"objectId": c.registration, "servicePrincipalId": "self", "owners": []object{{"id": "self", "name": "x"}, {"id": "ann", "kind": "user",
					"name": "Ann"}, {"id": "other", "kind": "servicePrincipal", "name": "robot"}}}})
		w.shows(w.get("/console/inventory/"+tenantID+"/"+clientID), "the application itself, Ann, robot (an application)")
		if p := w.get("/console/inventory/" + tenantID + "/" + clientID); strings.Contains(p.text, "/adopt\"") != c.can {
			t.Errorf("%+v: %s", c.managers, p.text)
		}
	}
}

// A scan tells which finding is new, of which credential, and how much more there is.
func TestWhatAScanHasFound(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.answer("GET", inventories+"/scans/scan-1", 200, object{"scan": object{"tenantId": tenantID, "phase": "complete", "startedAt": now,
		"finishedAt": now, "result": object{"moreChanges": 7, "changes": []object{
			{"clientId": clientID, "name": "billing", "change": "finding-arisen", "finding": "ends-in-7-days", "keyId": "k-1"},
			{"clientId": clientID, "name": "billing", "change": "owners-changed"}}}}})
	w.shows(w.get("/console/inventory/scans/scan-1"), "ends within 7 days</span>", "<code>k-1</code>", "other owners", "7 more changes")
}

// keyIDsIn are the last cells of the table of credentials.
func keyIDsIn(text string) string {
	var all []string
	for _, m := range regexp.MustCompile(`<td data-label="Key id"><code>([^<]*)</code>`).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, " ")
}

// That no use is known of a credential does not say that there was none where sign-ins could not be read.
func TestUseThatIsNotKnown(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	at := "/console/inventory/" + tenantID + "/" + clientID
	for _, c := range []struct{ ofTenant, ofApplication []string }{{[]string{"activity"}, nil}, {nil, []string{"activity"}}} {
		unread := []object{}
		for _, list := range c.ofTenant {
			unread = append(unread, object{"list": list, "message": "grant it"})
		}
		w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"tenant": object{"tenantId": tenantID, "unread": unread},
			"application": object{"unread": c.ofApplication, "credentials": []object{{"keyId": "k", "kind": "client-secret", "of": "application"}}}})
		w.shows(w.get(at), `<td data-label="Used last">not known`)
		w.shows(w.get(at+"/adopt"), "used last: not known")
	}
}

// An old client secret that ends by itself before its grace period is over is shown with that end.
func TestOldClientSecretThatEndsSooner(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing") // its old one is removed in a day
	for ends, says := range map[time.Duration]string{
		time.Hour: "ends by itself before", -time.Hour: "has ended, and is still", 30 * time.Hour: "in its grace period</span>",
	} {
		w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"application": object{"credentials": []object{
			{"keyId": "key-other", "endsAt": now}, {"keyId": "KEY-OLD", "endsAt": now.Add(ends)}}}})
		for _, at := range []string{"/console/connections/" + id, "/console/targets/" + id + "/" + targetID} {
			p := w.get(at)
			w.shows(p, says)
			if sooner := ends < 24*time.Hour; strings.Contains(p.text, now.Add(ends).Format(`datetime="2006-01-02T15:04`)) != sooner {
				t.Errorf("%s, which ends in %s: %s", at, ends, p.text)
			}
		}
	}
}
