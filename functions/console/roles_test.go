package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"rekey/shared/auth"
)

// Who may write but not rotate sees no button that the API would refuse: turning rotation on, and
// removing client secrets, need the role rotate.
func TestWriters(t *testing.T) {
	for _, c := range []struct {
		role auth.Role
		sees bool
	}{{auth.Write, false}, {auth.Rotate, true}} {
		w := newWorld(t, c.role)
		w.everything("billing")
		w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{}})
		for path, button := range map[string]string{
			"/console/connections":                      `value="resume"`,
			"/console/targets":                          `value="rotate"`,
			"/console/connections/" + id + "/delete":    `name="revoke" value="true"`,
			"/console/connections/" + id + "/emergency": `Rotate at once`,
		} {
			if sees := strings.Contains(w.get(path).text, button); sees != c.sees {
				t.Errorf("%s, as %s: %s is there: %t", path, c.role, button, sees)
			}
		}
		if !strings.Contains(w.get("/console/connections").text, `value="pause"`) {
			t.Errorf("%s may pause", c.role)
		}
	}
}

// Readers are told of no button that they lack.
func TestReadersLackButtons(t *testing.T) {
	w := newWorld(t, auth.Read)
	w.everything("billing")
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{}})
	w.answer("GET", secrets+"/"+id+"/rotations", 200, object{"rotations": []object{}})
	w.answer("GET", inventories+"/"+tenantID+"/"+clientID, 200, object{"application": object{"tenantId": tenantID, "clientId": clientID,
		"findings": []object{{"finding": "unused", "advice": "Let Rekey rotate it: POST .../inventory/" +
			tenantID + "/" + clientID + "/adopt. Or so."}}},
		"tenant": object{}})
	for path, says := range map[string]string{
		"/console/connections/" + id: "No other application is rotated through it.",
		"/console/inventory/" + tenantID + "/" + clientID: "rotate it: " +
			"who has the role rotate (write, if rotation stays off) can adopt it. Or so.",
	} {
		p := w.get(path)
		w.shows(p, says)
		for _, button := range []string{"“Add a target”", "“Adopt”", "“Rotate now”", "“Edit”"} {
			if strings.Contains(p.text, button) {
				t.Errorf("%s tells of %s", path, button)
			}
		}
	}
}

// Saving a form turns rotation off only if its box was unticked. A box that is disabled is not sent,
// which must not look like one that was unticked.
func TestWritersKeepRotation(t *testing.T) {
	box := regexp.MustCompile(`<input type="checkbox" name="rotate"[^>]*>`)
	edit := "/console/connections/" + id + "/edit"
	for _, c := range []struct {
		name   string
		role   auth.Role
		on     bool
		ticked bool
		want   any // what the API gets; nil: nothing of it
		locked bool
	}{
		{"a writer changes something else", auth.Write, true, true, nil, false},
		{"a writer pauses", auth.Write, true, false, false, false},
		{"a writer changes something else while it is off", auth.Write, false, false, nil, true},
		{"rotation is turned on", auth.Rotate, false, true, true, false},
	} {
		w := newWorld(t, c.role)
		w.everything("billing")
		is := connection("billing")
		is["isAutoRotationEnabled"] = c.on
		w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
		w.answer("PATCH", secrets+"/"+id, 200, object{"appConnection": is})
		found := box.FindString(w.get(edit).text)
		if strings.Contains(found, "checked") != c.on || strings.Contains(found, "disabled") != c.locked {
			t.Errorf("%s: %q", c.name, found)
		}
		form := url.Values{"name": {"billing"}, "description": {"other"}, "version": {"3"}}
		if c.ticked {
			form.Set("rotate", "on")
		}
		if p := w.post(edit, form); p.Code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", c.name, p.Code, p.text)
		}
		if got := w.writes()[0].body["isAutoRotationEnabled"]; got != c.want {
			t.Errorf("%s: the API is told %v", c.name, got)
		}
	}
}

// A connection by client secret that was never rotated has one published all the same: rotation can
// be turned on, it can be rotated now, and its deletion says what becomes of it.
func TestWithoutASchedule(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	is := connection("billing")
	w.answer("GET", secrets+"/"+id+"/targets", 200, object{"targets": []object{}})
	delete(is, "rotation")
	is["isAutoRotationEnabled"] = false
	is["rotationState"] = object{"state": "idle", "settled": true, "current": object{"keyId": "key-given"}}
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": is})
	w.answer("PATCH", secrets+"/"+id, 200, object{"appConnection": is})
	at := "/console/connections/" + id
	w.shows(w.get(at), `action="`+at+`/rotate"`, `href="`+at+`/emergency"`, "@Microsoft.KeyVault(SecretUri=", "Rotation is off", "key-given")
	w.shows(w.get(at+"/emergency"), "The one in use now with the key id key-given is removed.")
	w.shows(w.get(at+"/edit"), `name="rotate"`, `name="interval"`)
	w.shows(w.get(at+"/delete"), "Consumers go on with it.", `name="revoke" value="true"`)
	form := url.Values{"name": {"billing"}, "version": {"3"}, "rotate": {"on"}, "interval": {"30"}, "time": {"03:00"}, "timeZone": {"UTC"}}
	if p := w.post(at+"/edit", form); p.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", p.Code, p.text)
	}
	if got := w.writes()[0].body; got["isAutoRotationEnabled"] != true || got["rotation"] == nil {
		t.Errorf("the API gets %v", got)
	}

	delete(is, "rotationState")
	is["method"] = "certificate"
	for path, never := range map[string]string{at: "/rotate", at + "/edit": `name="rotate"`, at + "/delete": `value="true"`} {
		if p := w.get(path); strings.Contains(p.text, never) {
			t.Errorf("%s of a connection that rotates nothing has %s", path, never)
		}
	}
}
