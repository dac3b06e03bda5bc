package functions_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/rotation"
)

// given are the credentials of an application as a client sends them that knows no key id.
func given(a directory.Application) object {
	return object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": a.Secret}
}

// refusesWrite requires that a caller with the role write is refused, that nothing has changed,
// and that the message names the role.
func (w *world) refusesWrite(method, path string, body any) {
	w.Helper()
	before := w.truth()
	w.call(auth.Write, method, path, body).refuses(w.T, http.StatusForbidden, `needs the role "rotate"`)
	if list := changes(before, w.truth()); len(list) != 0 {
		w.Errorf("%s %s: refused, and changed %q", method, path, list)
	}
}

// untilOneWaits lets minutes pass until a rotation is over and one older client secret waits for
// the end of its grace period.
func (w *world) untilOneWaits(id string) {
	w.Helper()
	for range 20 {
		if rec := w.record(id); rec.Phase == rotation.Idle && len(rec.Removals) == 1 {
			return
		}
		w.clock.forward(time.Minute)
		if _, err := w.app.Rotator.Sweep(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	w.Fatal("nothing waits")
}

// New credentials remove what they replace, with rotation on or off: turning it off first is
// no way around the role.
func TestNewCredentialsNeedTheRoleRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	old, made := w.connected()
	path := secrets + "/" + made.ID
	b := w.sample()
	w.refusesWrite(http.MethodPatch, path, object{"credentials": given(b)})
	w.refusesWrite(http.MethodPatch, path, object{"credentials": given(b), "isAutoRotationEnabled": false})
	w.one(w.patch(auth.Write, made.ID, object{"isAutoRotationEnabled": false}))
	w.refusesWrite(http.MethodPatch, path, object{"credentials": given(b)})
	w.one(w.patch(auth.Rotate, made.ID, object{"credentials": given(b), "rotation": object{"gracePeriodHours": 0}}))
	w.settle()
	if keys := w.live(old); len(keys) != 0 {
		t.Errorf("the application that was left has %v", keys)
	}
}

// What a caller with the role write has given itself it may replace: Rekey removes nothing.
func TestWriteReplacesWhatItGave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.one(w.call(auth.Write, http.MethodPost, secrets, creation(a, "isAutoRotationEnabled", false, "rotation", absent)))
	key, secret := w.foreign(a, w.clock.Now().AddDate(1, 0, 0))
	fresh := given(a)
	fresh["clientSecret"] = secret
	w.one(w.patch(auth.Write, made.ID, object{"credentials": fresh}))
	w.settle()
	if value, _, _ := w.published(made.VaultSecretName); value != secret {
		t.Error("the new client secret is not published")
	}
	if keys := w.live(a); len(keys) != 2 || !slices.Contains(keys, a.KeyID) || !slices.Contains(keys, key) {
		t.Errorf("live client secrets %v", keys)
	}
}

// A client with the role write that sends its credentials along with every change, as
// Terraform's provider does, changes nothing about them.
func TestWriteSendsTheSameCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected()
	value, _, _ := w.published(made.VaultSecretName)
	for _, c := range []struct {
		name string
		body object
	}{{"the original", given(a)}, {"what is published", object{"clientSecret": value}}} {
		got := w.one(w.patch(auth.Write, made.ID, object{"credentials": c.body, "description": c.name}))
		if got.Description != c.name || got.CredentialsHash != made.CredentialsHash {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	// Only what was given last is the same: by now that is what is published, and the original is gone.
	w.patch(auth.Write, made.ID, object{"credentials": given(a)}).refuses(t, http.StatusConflict, "has removed this client secret")
	w.settle()
	w.managed(a, made.VaultSecretName, made.Rotation.Current.KeyID)
}

// A schedule or a grace period that has client secrets removed sooner needs the role; what
// leaves them longer, and what is sent back as it was shown, does not.
func TestASoonerRotationNeedsTheRoleRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	// Whether a slot in another zone comes sooner depends on the time of day.
	now := w.clock.Now().UTC()
	w.clock.forward(now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now))
	_, made := w.connected()
	path := secrets + "/" + made.ID
	shown := object{"rotationInterval": 30, "rotateAt": object{"hours": 3, "minutes": 15}, "timeZone": "Europe/Berlin", "gracePeriodHours": 48}
	with := func(name string, value any) object {
		edited := maps.Clone(shown)
		edited[name] = value
		return object{"rotation": edited}
	}
	for _, body := range []object{
		with("rotationInterval", 1), with("gracePeriodHours", 0), with("rotateAt", object{"hours": 1, "minutes": 0}),
		{"rotation": object{"rotationInterval": 29}}, {"rotation": object{"timeZone": "Asia/Tokyo"}},
	} {
		w.refusesWrite(http.MethodPatch, path, body)
	}
	for _, body := range []object{
		{"rotation": shown}, {"rotation": object{"rotationInterval": 60}}, {"rotation": object{"gracePeriodHours": 96}},
		{"rotation": object{"timeZone": "America/Lima"}},
		{"isAutoRotationEnabled": false}, {"rotation": object{"rotationInterval": 1, "gracePeriodHours": 0}},
	} {
		w.one(w.call(auth.Write, http.MethodPatch, path, body))
	}
	w.refusesWrite(http.MethodPatch, path, object{"isAutoRotationEnabled": true})
}

// A deletion needs the role if it removes something: what is published, or older client
// secrets before the end of their grace period.
func TestDeletionThatRemovesNeedsTheRoleRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected()
	path := secrets + "/" + made.ID
	w.refusesWrite(http.MethodDelete, path+"?revoke=true", nil)
	w.one(w.call(auth.Rotate, http.MethodPost, path+"/rotate-credentials", nil)) // the one before has a grace period
	w.untilOneWaits(made.ID)
	w.refusesWrite(http.MethodDelete, path, nil)
	w.one(w.call(auth.Rotate, http.MethodDelete, path, nil))
	w.settle()
	if keys := w.live(a); len(keys) != 1 {
		t.Errorf("live %v", keys)
	}
	_, second := w.connected()
	w.one(w.call(auth.Write, http.MethodDelete, secrets+"/"+second.ID, nil)) // nothing of it is waiting
}

// By the way of secret rotations, too: what removes a client secret, or removes one sooner,
// needs the role.
func TestSecretRotationThatRemovesNeedsTheRoleRotate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	operator, via := w.authenticator()
	c := w.resource(via.ID, w.owned(operator))
	c.create()
	w.settle()
	w.call(auth.Rotate, http.MethodPost, secrets+"/"+via.ID+"/targets/"+c.id+"/rotate-credentials", nil).ok(t)
	w.untilOneWaits(c.id)
	before := w.truth()
	path := secretRotations + "/" + c.id
	sooner := c.body()
	sooner["isAutoRotationEnabled"], sooner["rotationInterval"] = true, 1
	w.at(auth.Write, http.MethodPatch, path, sooner).refuses(t, http.StatusForbidden, `needs the role "rotate"`)
	w.at(auth.Write, http.MethodDelete, path, nil).refuses(t, http.StatusForbidden, `needs the role "rotate"`)
	w.at(auth.Write, http.MethodDelete, path+"?revoke=true", nil).refuses(t, http.StatusForbidden, `needs the role "rotate"`)
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("refused, and changed %q", list)
	}
	c.on = false // the provider leaves it out
	w.at(auth.Write, http.MethodPatch, path, c.body()).ok(t)
	turnedOn := c.body()
	turnedOn["isAutoRotationEnabled"] = true
	w.at(auth.Write, http.MethodPatch, path, turnedOn).refuses(t, http.StatusForbidden, `needs the role "rotate"`)
	c.planEmpty("after the refusals")
}
