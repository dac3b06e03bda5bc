package functions_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	kinds "rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/vaulttag"
)

// expiring fails the test for each version in the vault that has no expiry, or another one
// than the client secret that it holds. It counts them.
func (w *world) expiring() (n int) {
	w.Helper()
	ends := map[string]time.Time{}
	for _, a := range w.apps {
		for _, p := range w.stack.Directory.Passwords(a.ObjectID) {
			ends[p.KeyID] = p.ExpiresAt
		}
	}
	for _, name := range w.stack.Vault.Names() {
		for _, v := range w.stack.Vault.Versions(name) {
			if v.Tags[vaulttag.Deployment] == "" {
				continue // not Rekey's
			}
			n++
			want, known := ends[v.Tags[vaulttag.KeyID]]
			switch {
			case v.ExpiresAt.IsZero():
				w.Errorf("%s: version %s has no expiry: %v", name, v.ID, v.Tags)
			case known && !v.ExpiresAt.Equal(want.Truncate(time.Second)):
				w.Errorf("%s: version %s ends %s, its client secret %s", name, v.ID, v.ExpiresAt, want)
			}
		}
	}
	return n
}

// latest is the newest version of a secret.
func (w *world) latest(name string) (ends time.Time) {
	w.Helper()
	versions := w.stack.Vault.Versions(name)
	if len(versions) == 0 {
		w.Fatalf("there is no secret %s", name)
	}
	return versions[len(versions)-1].ExpiresAt
}

// authSecretOf is what a connection authenticates with.
func authSecretOf(v view) string { return "rekey-" + v.ID + "-auth" }

// The whole life of a connection by client secret, from its creation to its deletion with
// all that it has, in a vault that refuses versions without an expiry.
func TestExpiryByClientSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected("credentials.clientSecretKeyId", absent, "rotation.gracePeriodHours", 0)
	w.rotateNow(made.ID).ok(t)
	w.settle()
	w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/rotate-credentials", object{"emergency": true}).ok(t)
	w.settle()
	w.patch(auth.Rotate, made.ID, object{"isAutoRotationEnabled": false}).ok(t)
	_, value := w.foreign(a, w.clock.Now().AddDate(0, 3, 0))
	w.patch(auth.Rotate, made.ID, object{"credentials": object{"tenantId": a.TenantID, "clientId": a.ClientID, "clientSecret": value}}).ok(t)
	w.settle()
	w.restoreAfter(a, made)
	if n := w.expiring(); n < 8 {
		t.Errorf("%d versions", n)
	}
}

// restoreAfter deletes a connection and fails to create another one in its place, so that
// what it left is published again, and deletes what is left of both.
func (w *world) restoreAfter(a directory.Application, made view) {
	w.Helper()
	w.call(auth.Rotate, http.MethodDelete, secrets+"/"+made.ID, nil).ok(w.T)
	w.settle()
	again := w.create(a, "vaultSecretName", made.VaultSecretName, "credentials.clientSecretKeyId", absent, "credentials.clientSecret",
		w.stack.Vault.Versions(made.VaultSecretName)[len(w.stack.Vault.Versions(made.VaultSecretName))-1].Value)
	w.settle()
	w.call(auth.Rotate, http.MethodDelete, secrets+"/"+again.ID+"?revoke=true", nil).ok(w.T)
	w.settle()
}

// The same by certificate, for itself and through a target.
func TestExpiryByCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.withCertificate(a, "name", "certified", "rotation.target", object{"clientId": a.ClientID}, "rotation.gracePeriodHours", 0)
	target := w.target(w.call(auth.Rotate, http.MethodPost, secrets+"/"+made.ID+"/targets", object{
		"clientId": w.owned(a).ClientID, "isAutoRotationEnabled": true,
		"rotation": object{"rotationInterval": 1, "rotateAtUtc": object{"hours": 3, "minutes": 0}, "gracePeriodHours": 0}}))
	for _, id := range []string{made.ID, made.ID + "/targets/" + target.ID} {
		w.rotateNow(id).ok(t)
	}
	w.settle()
	w.call(auth.Rotate, http.MethodDelete, secrets+"/"+made.ID+"/targets/"+target.ID+"?revoke=true", nil).ok(t)
	w.call(auth.Rotate, http.MethodDelete, secrets+"/"+made.ID+"?revoke=true", nil).ok(t)
	again := w.withCertificate(a, "name", "again", "isAutoRotationEnabled", false, "rotation", absent)
	body, key := w.certificate(a, w.clock.Now().AddDate(0, 6, 0))
	w.patch(auth.Rotate, again.ID, object{"credentials": object{"tenantId": a.TenantID, "clientId": a.ClientID,
		"certificateBody": body, "privateKey": key}}).ok(t)
	if got, want := w.latest(authSecretOf(again)), w.clock.Now().AddDate(0, 6, 0); got.Sub(want).Abs() > time.Hour {
		t.Errorf("the certificate's version ends %s, want %s", got, want)
	}
	if n := w.expiring(); n < 8 {
		t.Errorf("%d versions", n)
	}
}

// The same for a person: a refresh token ends, unless it is used, after ninety days.
func TestExpiryByOAuth(t *testing.T) {
	t.Parallel()
	w, people := newOAuthWorld(t)
	made := w.person(people, w.sample())
	ninety := func(when string) {
		t.Helper()
		if got, want := w.latest(authSecretOf(made)), w.clock.Now().AddDate(0, 0, 90); got.Sub(want).Abs() > time.Hour {
			t.Errorf("%s: the refresh token's version ends %s, want %s", when, got, want)
		}
	}
	ninety("connected")
	w.rotateNow(made.ID).ok(t)
	if err := w.app.Connections.Actors.Renew(t.Context(), made.ID); err != nil { // as after thirty days
		t.Fatal(err)
	}
	ninety("renewed")
	w.settle()
	link := decode[struct{ AuthorizationURL string }](t, w.call(auth.Write, http.MethodPost, secrets+"/oauth/authorize",
		object{"connectionId": made.ID})).AuthorizationURL
	w.clock.forward(time.Minute)
	w.connect(link, people.Administrator)
	ninety("signed in again")
	w.settle()
	w.call(auth.Rotate, http.MethodDelete, secrets+"/"+made.ID+"?revoke=true", nil).ok(t)
	w.settle()
	if n := w.expiring(); n < 5 {
		t.Errorf("%d versions", n)
	}
}

// A client secret that is given ends when Entra says, whether Rekey rotates it, only
// publishes it or signs in with it; a person is warned before.
func TestAGivenSecretHasTheEndThatEntraSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	ends := w.clock.Now().AddDate(0, 0, 10).UTC().Truncate(time.Second)
	given := func(name string) (directory.Application, object) {
		a := w.add(directory.Registration{OwnsItself: true, Settings: owned, SecretExpiresAt: ends})
		return a, creation(a, append([]any{"name", name}, off...)...)
	}
	_, body := given("published")
	published := w.one(w.call(auth.Write, http.MethodPost, secrets, body))
	a, body := given("signs-in")
	body["rotation"] = object{"target": object{"clientId": w.owned(a).ClientID}}
	delegated := w.one(w.call(auth.Rotate, http.MethodPost, secrets, body))
	w.settle()
	for name, made := range map[string]view{published.VaultSecretName: published, authSecretOf(delegated): delegated} {
		if got := w.latest(name); !got.Equal(ends) {
			t.Errorf("%s: the version ends %s, want %s", made.Name, got, ends)
		}
	}
	if got := w.record(published.ID).Current.ExpiresAt; !got.Equal(ends) {
		t.Errorf("current ends %s", got)
	}
	if got := w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+delegated.ID, nil)).Authentication; got.ExpiresAt == nil ||
		!got.ExpiresAt.Equal(ends) {
		t.Errorf("authentication %+v", got)
	}
	if _, err := w.app.Rotator.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, made := range []view{published, delegated} {
		got := w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil))
		if !slices.Contains(got.Attention, "expiring") {
			t.Errorf("%s: attention %v", made.Name, got.Attention)
		}
		if !w.warned(made.ID) {
			t.Errorf("%s: no warning was given", made.Name)
		}
	}
}

// Without a way to know the end of a given secret it is not refused: its version is marked
// as good for two years, and the record does not pretend to know.
func TestAGivenSecretWhoseEndIsNotKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.add(directory.Registration{}) // it may read nothing, not even itself
	made := w.create(a, off...)
	if got, want := w.latest(made.VaultSecretName), w.clock.Now().AddDate(0, 0, 730); got.Sub(want).Abs() > time.Hour {
		t.Errorf("the version ends %s, want %s", got, want)
	}
	if got := w.record(made.ID).Current.ExpiresAt; !got.IsZero() {
		t.Errorf("current ends %s", got)
	}
}

// warned reports whether the history has a warning of an end.
func (w *world) warned(id string) bool {
	w.Helper()
	events, _, err := w.app.Connections.History(w.Context(), id, "", 100)
	if err != nil {
		w.Fatal(err)
	}
	return slices.ContainsFunc(events, func(e rotation.Event) bool { return e.Kind == kinds.Expiring })
}
