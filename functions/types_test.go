package functions_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
)

// orgID is the version 5 UUID of the deployment "default".
const orgID = "b9cfe833-85ac-5670-8b87-8a4f5032f5bf"

// strict decodes a connection as clients with types do, and says what they can't read.
func strict(body []byte) (wrong []string) {
	var v struct {
		AppConnection struct {
			OrgID                 uuid.UUID `json:"orgId"`
			IsAutoRotationEnabled bool
			Rotation              map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return []string{err.Error()}
	}
	c := v.AppConnection
	if c.OrgID.Version() != 5 {
		wrong = append(wrong, "orgId")
	}
	if c.Rotation == nil {
		if c.IsAutoRotationEnabled {
			wrong = append(wrong, "no rotation, though it is on")
		}
		return wrong
	}
	if status, ok := c.Rotation["rotationStatus"]; ok && !slices.Contains([]string{`"success"`, `"failed"`}, string(status)) {
		wrong = append(wrong, "rotationStatus "+string(status))
	}
	if string(c.Rotation["rotationInterval"]) == "0" {
		wrong = append(wrong, "rotationInterval 0")
	}
	var next *time.Time
	if err := json.Unmarshal(c.Rotation["nextRotationAt"], &next); err != nil || (next != nil) != c.IsAutoRotationEnabled {
		wrong = append(wrong, "nextRotationAt "+string(c.Rotation["nextRotationAt"]))
	}
	return wrong
}

// Clients decode a UUID, one of two words or nothing, and a time whenever rotation is on: in
// every state of a connection, from its creation on, also where its first rotation is held up.
func TestTypesThatClientsDecode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{budget: 10 * time.Second})
	reads := func(when string, r reply) string {
		t.Helper()
		if wrong := strict(r.body); r.status != http.StatusOK || len(wrong) > 0 {
			t.Errorf("%s: %q: %s", when, wrong, r.body)
		}
		return w.one(r).ID
	}
	w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		if op == "graph.addPassword" {
			return &fault.Effect{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	id := reads("created, the first rotation held up", w.call(auth.Rotate, http.MethodPost, secrets, creation(w.sample())))
	path := secrets + "/" + id
	reads("held up", w.call(auth.Read, http.MethodGet, path, nil))
	w.stack.Break(nil)
	w.settle()
	reads("rotated", w.call(auth.Read, http.MethodGet, path, nil))
	reads("off", w.patch(auth.Rotate, id, object{"isAutoRotationEnabled": false}))
	reads("on again", w.patch(auth.Rotate, id, object{"isAutoRotationEnabled": true}))
	reads("abandoned", w.abandoned(id))

	id = reads("without a schedule", w.call(auth.Rotate, http.MethodPost, secrets,
		creation(w.sample(), "name", "by-hand", "isAutoRotationEnabled", false, "rotation", absent)))
	got := w.rotateNow(id)
	reads("by hand", got)
	w.settle()
	got = w.call(auth.Read, http.MethodGet, secrets+"/"+id, nil)
	reads("by hand, in the end", got)
	if v := decode[struct{ AppConnection view }](t, got).AppConnection; v.Rotation != nil || v.RotationState == nil ||
		v.RotationState.Current == nil || !v.RotationState.Settled {
		t.Errorf("rotated by hand without a schedule: %s", got.body)
	}
	list := w.call(auth.Read, http.MethodGet, secrets+"/available", nil)
	if n := strings.Count(string(list.body), `"orgId":"`+orgID+`"`); n != 2 {
		t.Errorf("available: %s", list.body)
	}
}

// abandoned lets a rotation hang, and ends it.
func (w *world) abandoned(id string) reply {
	w.Helper()
	w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		if op == "graph.addPassword" {
			return &fault.Effect{Status: http.StatusServiceUnavailable}
		}
		return nil
	})
	defer w.stack.Break(nil)
	w.rotateNow(id)
	return w.call(auth.Admin, http.MethodPost, secrets+"/"+id+"/rotations/abandon", nil)
}

// invisibles are characters that make a text look like another one.
var invisibles = map[string]string{
	"line break": "a\nb", "tab": "a\tb", "null": "a\x00b", "escape": "a\x1b[31mb", "delete": "a\x7fb", "next line": "a\u0085b",
	"right-to-left override": "a\u202eb", "isolate": "a\u2066b", "Arabic letter mark": "a\u061cb", "line separator": "a\u2028b",
}

// A project's id is a name in another system: any text in one line, which returns as it came.
func TestProjectIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	create := func(name string, project any) reply {
		return w.call(auth.Write, http.MethodPost, secrets,
			creation(a, "name", name, "projectId", project, "isAutoRotationEnabled", false, "rotation", absent))
	}
	names := func(project string) (names []string) {
		for _, c := range decode[struct{ AppConnections []view }](t,
			w.call(auth.Read, http.MethodGet, secrets+"?projectId="+url.QueryEscape(project), nil)).AppConnections {
			names = append(names, c.Name)
		}
		return names
	}
	for _, project := range []string{
		"team-a", "Team A", "org", "0B1E7E57-0000-4000-8000-00000000000F", "a/b?c#d\\e'", " spaces ",
		strings.Repeat("ü", 64), "проект-1", "null",
	} {
		got := create("billing", project)
		shown := decode[struct {
			AppConnection struct{ ID, ProjectID string }
		}](t, got).AppConnection
		if shown.ProjectID != project {
			t.Errorf("%q is shown as %q", project, shown.ProjectID)
		}
		if list := names(project); !slices.Equal(list, []string{"billing"}) {
			t.Errorf("%q has %q", project, list)
		}
		byName := secrets + "/connection-name/billing?projectId=" + url.QueryEscape(project)
		if one := w.one(w.call(auth.Read, http.MethodGet, byName, nil)); one.ID != shown.ID {
			t.Errorf("by name in %q: %+v", project, one)
		}
		w.one(w.patch(auth.Write, shown.ID, object{"projectId": project, "description": "sent along"}))
		w.patch(auth.Write, shown.ID, object{"projectId": "another"}).refuses(t, http.StatusBadRequest,
			"project of a connection can't be changed")
		create("billing", project).refuses(t, http.StatusBadRequest, "already exists")
	}
	w.one(create("billing", absent)) // the one without a project is apart from that of the project "org"
	w.one(create("b-c", "a"))
	w.one(create("c", "a-b")) // and this one from the one before
	create("long", strings.Repeat("ü", 65)).refuses(t, http.StatusBadRequest, "projectId must be at most 64 characters")
	for what, text := range invisibles {
		t.Run(what, func(t *testing.T) {
			create("hidden", text).refuses(t, http.StatusBadRequest, "projectId must be one line without control characters")
		})
	}
}

// A description is one line that looks like what it is, wherever it is given.
func TestDescriptionsAreOneVisibleLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.authenticator()
	own := w.sample()
	for what, text := range invisibles {
		t.Run(what, func(t *testing.T) {
			for i, r := range []reply{
				w.call(auth.Rotate, http.MethodPost, secrets, creation(own, "description", text)),
				w.patch(auth.Write, made.ID, object{"description": text}),
				w.call(auth.Write, http.MethodPost, secrets+"/"+made.ID+"/targets", object{"clientId": own.ClientID, "description": text}),
			} {
				if !strings.Contains(string(r.body), "description must be one line without control characters") {
					t.Errorf("request %d: status %d: %s", i, r.status, r.body)
				}
			}
		})
	}
	for i, text := range []string{"Zahlung: Müller & Söhne", "שלום", "مرحبا", "決済 🔑", strings.Repeat("ü", 256)} {
		if got := w.one(w.patch(auth.Write, made.ID, object{"description": text})); got.Description != text {
			t.Errorf("%d: %q is shown as %q", i, text, got.Description)
		}
	}
	w.call(auth.Rotate, http.MethodPost, secrets, creation(own, "name", "two\nlines")).refuses(t, http.StatusBadRequest, "name must be")
}
