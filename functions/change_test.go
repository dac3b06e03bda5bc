package functions_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
)

// connected is a connection with rotation on, after its first rotation.
func (w *world) connected(edits ...any) (directory.Application, view) {
	w.Helper()
	a := w.sample()
	made := w.create(a, edits...)
	w.settle()
	return a, w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil))
}

func (w *world) patch(role auth.Role, id string, body object) reply {
	w.Helper()
	return w.call(role, http.MethodPatch, secrets+"/"+id, body)
}

// A change of the schedule takes effect at once, and what is left out stays.
func TestChangeOfSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected()
	got := w.one(w.patch(auth.Rotate, made.ID, object{"rotation": object{"rotationInterval": 7}, "description": "weekly"}))
	if got.Version != made.Version+1 || got.Description != "weekly" || got.Rotation.TimeZone != "Europe/Berlin" {
		t.Errorf("after the change: %+v", got)
	}
	if next := got.Rotation.NextRotationAt; next == nil || next.Sub(w.clock.Now()) > 8*24*time.Hour ||
		next.Sub(w.clock.Now()) < 6*24*time.Hour {
		t.Errorf("next rotation %v", next)
	}
	w.patch(auth.Write, made.ID, object{"version": made.Version, "name": "late"}).refuses(t, http.StatusConflict, "Another caller has changed")
	if got := w.one(w.patch(auth.Write, made.ID, object{"version": got.Version, "name": "early"})); got.Name != "early" {
		t.Errorf("name %q", got.Name)
	}
	w.call(auth.Read, http.MethodGet, secrets+"/connection-name/billing", nil).refuses(t, http.StatusNotFound, "no such connection")
	if got := w.one(w.call(auth.Read, http.MethodGet, secrets+"/connection-name/early", nil)); got.ID != made.ID {
		t.Errorf("by its new name: %+v", got)
	}
	w.create(w.sample()) // the old one is free
	w.patch(auth.Write, made.ID, object{"name": "billing"}).refuses(t, http.StatusBadRequest, "already exists")
}

// Rotation can be turned off and on again; turning it on needs the role for it, and a
// schedule.
func TestRotationOffAndOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected()
	key := made.Rotation.Current.KeyID
	got := w.one(w.patch(auth.Write, made.ID, object{"isAutoRotationEnabled": false}))
	if got.IsAutoRotationEnabled || got.Rotation.NextRotationAt != nil || got.Rotation.Current.KeyID != key ||
		got.Rotation.RotationInterval != 30 {
		t.Errorf("off: %+v", got)
	}
	w.patch(auth.Write, made.ID, object{"isAutoRotationEnabled": true}).refuses(t, http.StatusForbidden, "rotate")
	if got = w.one(w.patch(auth.Rotate, made.ID, object{"isAutoRotationEnabled": true})); !got.IsAutoRotationEnabled ||
		got.Rotation.NextRotationAt == nil {
		t.Errorf("on: %+v", got)
	}
	w.settle()
	w.managed(a, made.VaultSecretName, key) // it was rotated already
}

// A connection that was made without rotation is taken over when rotation is turned on.
func TestRotationTurnedOnLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected(off...)
	w.patch(auth.Rotate, made.ID, object{"isAutoRotationEnabled": true}).refuses(t, http.StatusBadRequest, "rotation is required")
	got := w.one(w.patch(auth.Rotate, made.ID,
		object{"isAutoRotationEnabled": true, "rotation": object{"rotationInterval": 30, "rotateAtUtc": object{"hours": 3, "minutes": 0}}}))
	if !got.IsAutoRotationEnabled {
		t.Errorf("on: %+v", got)
	}
	w.settle()
	rec := w.record(made.ID)
	w.managed(a, made.VaultSecretName, rec.Current.KeyID)
	if rec.Current.KeyID == a.KeyID {
		t.Error("the given client secret was not replaced")
	}
}

// New credentials of another application: the connection goes over, and what Rekey had
// issued for the old one goes.
func TestNewCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	old, made := w.connected()
	b := w.sample()
	fresh := object{"tenantId": b.TenantID, "clientId": b.ClientID, "clientSecret": b.Secret, "clientSecretKeyId": b.KeyID}
	w.patch(auth.Write, made.ID, object{"credentials": fresh}).refuses(t, http.StatusForbidden, "rotate")
	got := w.one(w.patch(auth.Rotate, made.ID,
		object{"method": "client-secret", "credentials": fresh, "rotation": object{"gracePeriodHours": 0}}))
	if got.Credentials.ClientID != b.ClientID && got.Rotation.State != "rebinding" {
		t.Errorf("after the change: %+v", got)
	}
	w.settle()
	got = w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil))
	if got.CredentialsHash == made.CredentialsHash || got.Credentials.ClientID != b.ClientID {
		t.Errorf("in the end: %+v", got)
	}
	w.managed(b, made.VaultSecretName, got.Rotation.Current.KeyID)
	if keys := w.live(old); len(keys) != 0 {
		t.Errorf("the old application still has %v", keys)
	}
	fresh["clientSecret"] = "abc8Q~wrong-wrong-wrong-wrong-wrong-wron"
	w.patch(auth.Rotate, made.ID, object{"credentials": fresh}).refuses(t, http.StatusBadRequest, "refuses the client secret")
}

// By default what consumers read stays; with revoke nothing does. The answer says so.
func TestDeletion(t *testing.T) {
	t.Parallel()
	for _, revoke := range []bool{false, true} {
		w := newWorld(t, options{})
		a, made := w.connected()
		path, says, role := secrets+"/"+made.ID, "stays", auth.Write
		if revoke {
			path, says, role = path+"?revoke=true", "is being removed from Entra", auth.Rotate
		}
		got := w.call(role, http.MethodDelete, path, nil)
		if was := w.one(got); was.ID != made.ID || was.Rotation.Current.KeyID != made.Rotation.Current.KeyID {
			t.Errorf("deleted: %+v", was)
		}
		if message := decode[struct{ Message string }](t, got).Message; !strings.Contains(message, says) ||
			!strings.Contains(message, made.Rotation.Current.KeyID) {
			t.Errorf("message %q", message)
		}
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			w.call(auth.Write, method, secrets+"/"+made.ID, nil).refuses(t, http.StatusNotFound, "no such connection")
		}
		w.settle()
		_, _, published := w.published(made.VaultSecretName)
		if keys := w.live(a); revoke && (published || len(keys) != 0) || !revoke && (!published || len(keys) != 1) {
			t.Errorf("revoke %t: published %t, live %v", revoke, published, keys)
		}
		events := w.audit(made.ID, "")
		if last := events[len(events)-1]; last.Kind != "connection.created" || *last.By != "rotate" || events[0].Kind != "connection.deleted" {
			t.Errorf("audit: %+v", events)
		}
		// In no list any more, and found in the audit of the deployment.
		lines := decode[struct {
			Events []struct {
				event
				ConnectionID, Name string
			}
		}](t, w.wired(auth.Admin, http.MethodGet, "/api/v1/audit", "", "")).Events
		begun, ended := "", ""
		for _, l := range lines {
			switch {
			case l.ConnectionID != made.ID || l.Name != "billing":
			case l.By == nil:
				ended += l.Kind
			default:
				begun += l.Kind + " " + *l.By + " " + *l.From + "; "
			}
		}
		if want := "connection.deletion-requested " + role.String() + " " + home + "; connection.created rotate " + home + "; "; begun != want ||
			ended != "connection.deleted" {
			t.Errorf("the audit of the deployment: %q and %q, want %q", begun, ended, want)
		}
	}
}

// event is what the tests read of the audit.
type event struct {
	At       time.Time
	Kind     string
	By, From *string
	Message  *string
}

// audit reads the whole audit, three events at a time.
func (w *world) audit(id, below string) (events []event) {
	w.Helper()
	for cursor := ""; ; {
		page := decode[struct {
			Events     []event
			NextCursor string
		}](w.T, w.call(auth.Admin, http.MethodGet, secrets+"/"+id+below+"/audit?limit=3&cursor="+cursor, nil))
		events = append(events, page.Events...)
		if cursor = page.NextCursor; cursor == "" {
			return events
		}
	}
}

// Who changed what is in the audit; what was refused is in the log.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, made := w.connected()
	w.patch(auth.Write, made.ID, object{"description": "d", "rotation": object{"rotationInterval": 60}})
	w.rotateNow(made.ID)
	w.settle()
	by, from := map[string]string{}, map[string]string{}
	for _, e := range w.audit(made.ID, "") {
		if e.By != nil {
			by[e.Kind] = *e.By
		}
		if e.From != nil {
			from[e.Kind] = *e.From
		}
		if e.Kind == "connection.changed" && *e.Message != "changed: description schedule" {
			t.Errorf("message %q", *e.Message)
		}
	}
	for kind, want := range map[string]string{"connection.created": "rotate", "connection.changed": "write", "rotation.requested": "rotate",
		"rotation.started": "rotate"} {
		if by[kind] != want {
			t.Errorf("%s by %q, want %q", kind, by[kind], want)
		}
	}
	// What Rekey does by itself, or goes on with, comes from nowhere.
	if want := map[string]string{"connection.created": home, "connection.changed": home, "rotation.requested": home}; !maps.Equal(from, want) {
		t.Errorf("from %v, want %v", from, want)
	}
	if log := w.watch.Log(); !strings.Contains(log, `"from":"`+home+`"`) {
		t.Error("the log does not say where requests came from")
	}
	w.patch(auth.Read, made.ID, object{"name": "x"}).refuses(t, http.StatusForbidden, "write")
	if log := w.watch.Log(); !strings.Contains(log,
		`"caller":"read","kind":"api-key","method":"PATCH","route":"azure-client-secrets/{id}","status":403`) {
		t.Error("the refusal is not in the log")
	}
	w.call(auth.Admin, http.MethodGet, secrets+"/"+unknownID+"/audit", nil).refuses(t, http.StatusNotFound, "no such connection")
	w.call(auth.Admin, http.MethodGet, secrets+"/"+made.ID+"/audit?cursor=x", nil).refuses(t, http.StatusBadRequest, "cursor")
	w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID+"/rotations?cursor=x", nil).refuses(t, http.StatusBadRequest, "cursor")
}

// A list comes in pages of those asked for, each connection once.
func TestPagesOfLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, name := range []string{"c", "a", "d", "b"} {
		w.create(w.sample(), append([]any{"name", name}, off...)...)
	}
	for _, path := range []string{"", secrets, secrets + "/available"} {
		names, cursor := "", ""
		for pages := 1; ; pages++ {
			page := decode[struct {
				AppConnections []struct{ Name string }
				NextCursor     string
			}](t, w.call(auth.Read, http.MethodGet, path+"?limit=3&cursor="+cursor, nil))
			for _, c := range page.AppConnections {
				names += c.Name
			}
			if cursor = page.NextCursor; cursor == "" {
				if pages != 2 {
					t.Errorf("%s: %d pages", path, pages)
				}
				break
			}
		}
		if names != "abcd" {
			t.Errorf("%s: %s", path, names)
		}
	}
	for query, want := range map[string]int{"name=b": 1, "name=x": 0, "attention=true": 0, "attention=false": 4, "limit=4": 4} {
		if got := decode[struct{ AppConnections []any }](t,
			w.call(auth.Read, http.MethodGet, secrets+"?"+query, nil)); len(got.AppConnections) != want {
			t.Errorf("%s: %d, want %d", query, len(got.AppConnections), want)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "cursor=%25", "attention=yes"} {
		w.call(auth.Read, http.MethodGet, secrets+"?"+query, nil).refuses(t, http.StatusBadRequest)
	}
}

// A creation and a rotation that are sent again, because their answer was lost, do no
// more than once; nothing of the body is in the table.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	send := func(path, key string, body any) reply {
		r := w.request(auth.Rotate, http.MethodPost, secrets+path, body)
		r.Header.Set("Idempotency-Key", key)
		return w.send(r)
	}
	a := w.sample()
	made := w.one(send("", "first", creation(a)))
	w.settle()
	if again := w.one(send("", "first", creation(a))); again.ID != made.ID {
		t.Errorf("a second connection: %s, %s", made.ID, again.ID)
	}
	send("", "first", creation(a, "name", "other")).refuses(t, http.StatusConflict, "another request")
	rotate := "/" + made.ID + "/rotate-credentials"
	for range 2 {
		w.one(send(rotate, "first", object{"gracePeriodHours": 0}))
		w.settle()
	}
	if runs := w.history(made.ID).Rotations; len(runs) != 2 {
		t.Errorf("%d runs, want one of the creation and one more", len(runs))
	}
	send("", strings.Repeat("k", 256), creation(a)).refuses(t, http.StatusBadRequest, "Idempotency-Key")
}

// A run that is under way can be ended by an administrator; what is published stays.
func TestAbandon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{settings: settings{"REKEY_VERIFY_MIN_AGE": "10m"}})
	a, made := w.connected()
	path := secrets + "/" + made.ID
	w.call(auth.Admin, http.MethodPost, path+"/rotations/abandon", nil).refuses(t, http.StatusConflict, "No run is under way")
	if got := w.one(w.rotateNow(made.ID)); got.Rotation.State != "verifying" || got.Rotation.LastRun.Outcome != "running" {
		t.Errorf("before: %+v", got.Rotation)
	}
	w.call(auth.Rotate, http.MethodPost, path+"/rotations/abandon", nil).refuses(t, http.StatusForbidden, "admin")
	if got := w.one(w.call(auth.Admin, http.MethodPost, path+"/rotations/abandon", nil)); got.Rotation.LastRun.Outcome != "abandoned" ||
		got.Rotation.Current.KeyID != made.Rotation.Current.KeyID {
		t.Errorf("after: %+v", got.Rotation)
	}
	w.settle()
	w.managed(a, made.VaultSecretName, made.Rotation.Current.KeyID)
}
