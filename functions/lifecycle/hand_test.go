package lifecycle_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rekey/shared/emulator/directory"
)

// handRotations rotates by hand: with a long grace period, by emergency, and with a grace
// period that ends soon. The connection begins with the key id current and the value.
func (w *world) handRotations(path, value, current, foreign string, a directory.Application) {
	w.Helper()
	hash := w.get(path).CredentialsHash
	before := w.outside(a)
	plan := decode[struct {
		Plan struct {
			Running bool
			Steps   []struct{ What string }
		}
	}](w, w.call("rotate", http.MethodPost, path+"/rotate-credentials", object{"dryRun": true})).Plan
	if plan.Running || len(plan.Steps) < 3 {
		w.Errorf("dry run: %+v", plan)
	}
	w.untouched("a dry run", before, a)

	w.rotate(path, object{"gracePeriodHours": 2})
	second := w.settled(path)
	if second.key() == current || len(second.Rotation.Retiring) != 1 || second.Rotation.Retiring[0].KeyID != current {
		w.Fatalf("after a rotation by hand: %+v", second.Rotation)
	}
	if left := time.Until(second.Rotation.Retiring[0].RevokeAfter); left < 110*time.Minute || left > 2*time.Hour {
		w.Errorf("a grace period of 2 h ends in %s", left)
	}
	w.exactly(a, current, second.key(), foreign)
	next := w.works(a, second.VaultSecretName)
	if next == value || !w.signsIn(a, value) {
		w.Error("in the grace period the new client secret is published and the old one works")
	}

	w.rotate(path, object{"emergency": true})
	third := w.settled(path)
	if third.key() == second.key() || len(third.Rotation.Retiring) != 0 {
		w.Errorf("after an emergency: %+v", third.Rotation)
	}
	w.exactly(a, third.key(), foreign)
	w.dead(a, value, next)
	last := w.works(a, third.VaultSecretName)

	w.rotate(path, object{"gracePeriodHours": 4.0 / 3600})
	w.until("the end of the grace period", func() bool { return !slices.Contains(w.live(a), third.key()) })
	fourth := w.settled(path)
	w.exactly(a, fourth.key(), foreign)
	w.dead(a, last)
	w.works(a, fourth.VaultSecretName)
	if fourth.CredentialsHash != hash {
		w.Error("rotations have changed credentialsHash")
	}
	w.refused(http.StatusBadRequest, "rotate", http.MethodPost, path+"/rotate-credentials", object{"gracePeriodHours": -1})
	w.refused(http.StatusBadRequest, "rotate", http.MethodPost, path+"/rotate-credentials", object{"emergency": true, "gracePeriodHours": 1})

	runs, gone := w.history(path)
	want := []run{{"creation", "success", current, ""}, {"manual", "success", second.key(), "rotate"},
		{"emergency", "success", third.key(), "rotate"}, {"manual", "success", fourth.key(), "rotate"}}
	if len(runs) > 0 {
		runs[0].RequestedBy = "" // whether a creation's run has an author is open
	}
	if !slices.Equal(runs, want) {
		w.Errorf("history %+v, want %+v", runs, want)
	}
	for _, key := range []string{a.KeyID, current, second.key(), third.key()} {
		if !slices.Contains(gone, key) {
			w.Errorf("the history does not tell that %s is gone: %v", key, gone)
		}
	}
}

// looks asks what can be asked of a connection; that changes nothing.
func (w *world) looks(path string, a directory.Application) {
	w.Helper()
	before := w.outside(a)
	test := decode[struct {
		Test struct {
			Authenticates, CanRotate bool
			ClientSecrets            *int
			Why                      []string
		}
	}](w, w.call("write", http.MethodPost, path+"/test", nil)).Test
	if !test.Authenticates || !test.CanRotate || len(test.Why) != 0 || test.ClientSecrets == nil || *test.ClientSecrets != len(w.live(a)) {
		w.Errorf("test: %+v", test)
	}
	clients := decode[struct{ Clients []struct{ ID, AppID string } }](w, w.call("write", http.MethodGet, path+"/clients", nil)).Clients
	if !slices.ContainsFunc(clients, func(c struct{ ID, AppID string }) bool { return c.AppID == a.ClientID && c.ID == a.ObjectID }) {
		w.Errorf("clients: %+v", clients)
	}
	options := w.call("read", http.MethodGet, api+"/options", nil)
	if options.status != http.StatusOK || !strings.Contains(string(options.body), "certificate") {
		w.Errorf("options: %s", options.body)
	}
	w.untouched("looking", before, a)
	w.audited(path, "connection.created by rotate", "rotation.requested by rotate", "connection.changed by write")
}

// inspects requires that inspect finds out which client secret a value is.
func (w *world) inspects(a directory.Application, value, keyID string) {
	w.Helper()
	given := object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": value}
	got := decode[struct {
		Inspection struct{ ClientSecretKeyID *string }
	}](w, w.call("write", http.MethodPost, secrets+"/inspect", object{"credentials": given}))
	if id := got.Inspection.ClientSecretKeyID; id == nil || *id != keyID {
		w.Errorf("inspect finds %v, want %s", id, keyID)
	}
}

// endings deletes a connection, connects what it has left behind once more under its name,
// and deletes that with everything that was issued.
func (w *world) endings(path, foreign string, a directory.Application) {
	w.Helper()
	was := w.get(path)
	value := w.works(a, was.VaultSecretName)
	w.deleted(path, "")
	if names := w.names(); len(names) != 0 {
		w.Errorf("the list has %v", names)
	}
	w.until("the end of the deletion", func() bool { return !w.named("-staged") })
	w.exactly(a, was.key(), foreign)
	if w.works(a, was.VaultSecretName) != value {
		w.Error("what is published has changed")
	}
	w.inspects(a, value, was.key())
	w.audited(path, "connection.deleted")

	again := a
	again.Secret, again.KeyID = value, was.key()
	body := creation(again, object{"name": was.Name, "vaultSecretName": was.VaultSecretName, "rotation": daily()})
	var second view
	w.until("creation once more", func() bool {
		got := w.call("rotate", http.MethodPost, secrets, body)
		if got.status == http.StatusConflict { // the deletion is not quite over
			return false
		}
		second = w.one(got)
		return true
	})
	path = secrets + "/" + second.ID
	second = w.settled(path)
	w.exactly(a, second.key(), foreign)
	w.dead(a, value)
	last := w.works(a, second.VaultSecretName)

	w.unguard()
	got := w.call("rotate", http.MethodDelete, path+"?revoke=true", nil)
	if message := fmt.Sprint(decode[object](w, got)["message"]); !strings.Contains(message, second.key()) {
		w.Errorf("the answer does not name what is being removed: %s", message)
	}
	// The vault secret goes once the directory has refused its value for a quarter of an hour,
	// which is too long for a story; a target's goes at once.
	w.until("the client secret removed", func() bool { return slices.Equal(w.live(a), []string{foreign}) })
	w.eventually("it is refused", func() bool { return !w.signsIn(a, last) })
	w.refused(http.StatusNotFound, "read", http.MethodGet, path, nil)
}
