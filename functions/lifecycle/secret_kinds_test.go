package lifecycle_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// A new client secret is published only once sign-ins with it are accepted: no consumer is
// refused, however long the token endpoint takes to hear of it.
func TestPublishedAfterProof(t *testing.T) {
	each(t, []string{builtIn}, options{propagation: time.Second}, func(w *world) {
		a := w.sample()
		foreign, _ := w.password(a, inAYear())
		path, made := w.connect(a, nil)
		w.guard(a, made.VaultSecretName, foreign)
		stop := w.proven(a, made.VaultSecretName)
		w.rotate(path, object{"gracePeriodHours": 0})
		now := w.settled(path)
		stop()
		w.exactly(a, now.key(), foreign)
	})
}

// Without its key id the given client secret is found by what Entra shows of it; where two
// could be meant, rotation is refused and nothing changes.
func TestWithoutKeyID(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a, b := w.sample(), w.sample()
		w.inspects(a, a.Secret, a.KeyID)
		_, made := w.connect(a, object{"credentials": without(credentials(a), "clientSecretKeyId")})
		w.exactly(a, made.key())
		w.dead(a, a.Secret)
		w.works(a, made.VaultSecretName)

		twin, value, err := w.services.Directory.AddTwin(b.ObjectID, b.KeyID, "twin", inAYear())
		if err != nil {
			t.Fatal(err)
		}
		before := w.outside(a, b)
		ambiguous := creation(b, object{"name": "twins", "credentials": without(credentials(b), "clientSecretKeyId")})
		w.refused(http.StatusBadRequest, "rotate", http.MethodPost, secrets, ambiguous, "clientSecretKeyId")
		w.untouched("which one is not clear", before, a, b)
		w.exactly(b, b.KeyID, twin)
		_, made = w.connect(b, object{"name": "twins"})
		w.exactly(b, made.key(), twin)
		if !w.signsIn(b, value) {
			t.Error("the twin does not sign in any more")
		}
	})
}

// With rotation off what was given is published and stays, until it is rotated by hand or
// rotation is turned on.
func TestRotationOff(t *testing.T) {
	each(t, []string{builtIn, onLambda}, options{}, func(w *world) {
		for name, how := range map[string]func(path string){
			"by-hand": func(path string) { w.rotate(path, object{"gracePeriodHours": 0}) },
			"later": func(path string) {
				w.refused(http.StatusBadRequest, "rotate", http.MethodPatch, path, object{"isAutoRotationEnabled": true})
				w.patch("rotate", path, object{"isAutoRotationEnabled": true, "rotation": daily()})
			},
		} {
			a := w.sample()
			foreign, _ := w.password(a, inAYear())
			path, made := w.connect(a, object{"name": name, "isAutoRotationEnabled": false, "rotation": nil,
				"credentials": without(credentials(a), "clientSecretKeyId")})
			w.guard(a, made.VaultSecretName, foreign)
			if made.IsAutoRotationEnabled || made.Rotation != nil && made.Rotation.NextRotationAt != nil {
				w.Errorf("%s: created %+v", name, made)
			}
			if w.works(a, made.VaultSecretName) != a.Secret {
				w.Errorf("%s: what was given is not published", name)
			}
			w.exactly(a, a.KeyID, foreign)
			how(path)
			now := w.settled(path)
			w.exactly(a, now.key(), foreign)
			w.dead(a, a.Secret)
			w.works(a, made.VaultSecretName)
			if (name == "later") != (now.Rotation.NextRotationAt != nil) || now.IsAutoRotationEnabled != (name == "later") {
				w.Errorf("%s: %+v", name, now.Rotation)
			}
			w.unguard()
			if w.deleted(path, "?revoke=true"); name == "by-hand" {
				w.until("the client secret removed", func() bool { return len(w.live(a)) == 1 })
			}
		}
	})
}

// A deletion with revoke leaves a client secret alone that Rekey did not issue.
func TestRevokeOfWhatWasGiven(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a := w.sample()
		path, made := w.connect(a, object{"isAutoRotationEnabled": false, "rotation": nil})
		w.deleted(path, "?revoke=true")
		w.until("nothing published", func() bool { return w.published(made.VaultSecretName) == "" })
		w.exactly(a, a.KeyID)
		if !w.signsIn(a, a.Secret) {
			t.Error("the given client secret does not sign in any more")
		}
	})
}

// The original has a grace period of its own, which an emergency ends.
func TestOriginalsGracePeriod(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a := w.sample()
		schedule := daily()
		schedule["originalGracePeriodHours"] = 2
		path, made := w.connect(a, object{"rotation": schedule})
		w.guard(a, made.VaultSecretName, "")
		w.exactly(a, a.KeyID, made.key())
		if !w.signsIn(a, a.Secret) || w.works(a, made.VaultSecretName) == a.Secret {
			t.Error("in the grace period the original works and another one is published")
		}
		w.rotate(path, object{"emergency": true})
		now := w.settled(path)
		w.exactly(a, now.key())
		w.dead(a, a.Secret)
	})
}

// New credentials of another application: the connection goes over to them; what was issued
// for the old one goes, and so does what was given.
func TestNewCredentials(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a, b := w.sample(), w.sample()
		foreign, _ := w.password(a, inAYear())
		path, made := w.connect(a, object{"rotation": daily()})
		w.refused(http.StatusForbidden, "write", http.MethodPatch, path, object{"credentials": credentials(b)})
		before := w.outside(a, b)
		wrong := b
		wrong.Secret = "abc8Q~wrong-wrong-wrong-wrong-wrong-wron"
		w.refused(http.StatusBadRequest, "rotate", http.MethodPatch, path, object{"credentials": credentials(wrong)})
		w.exactly(a, made.key(), foreign)
		if now := w.get(path); now.CredentialsHash != made.CredentialsHash || now.key() != made.key() || len(w.outside(a, b)) < len(before) {
			t.Errorf("a refused change has changed %+v to %+v", made, now)
		}
		w.patch("rotate", path, object{"credentials": credentials(b)})
		var now view
		w.until("gone over", func() bool {
			now = w.get(path)
			return now.Credentials["clientId"] == b.ClientID && now.Rotation.State == "idle" && slices.Equal(w.live(b), []string{now.key()})
		})
		// That the application which was left shows nothing more takes a quarter of an hour.
		w.until("the old client secret removed", func() bool { return slices.Equal(w.live(a), []string{foreign}) })
		if now.CredentialsHash == made.CredentialsHash {
			t.Error("credentialsHash does not tell of new credentials")
		}
		w.dead(b, b.Secret)
		w.works(b, now.VaultSecretName)
	})
}

// Before an old client secret is removed, what is published has to be the current one: what
// another hand has put in its place is not believed. A deletion ends grace periods, so that
// the removal comes at once.
func TestGateBeforeRemoval(t *testing.T) {
	each(t, []string{builtIn}, options{}, func(w *world) {
		a := w.sample()
		path, made := w.connect(a, object{"rotation": daily()})
		foreign, value := w.password(a, inAYear())
		w.rotate(path, object{"gracePeriodHours": 2})
		now := w.settled(path)
		w.exactly(a, made.key(), now.key(), foreign)
		current := w.works(a, made.VaultSecretName)
		w.services.Vault.Seed(made.VaultSecretName, "a value that is no client secret", nil)
		removals := 0
		w.onRemoval(func() {
			if removals++; published(w.services, made.VaultSecretName) != current {
				w.Error("an old client secret is removed while what is published is not the current one")
			}
		})
		w.deleted(path, "")
		w.until("the old one removed", func() bool { return len(w.live(a)) == 2 })
		w.exactly(a, now.key(), foreign)
		if w.works(a, made.VaultSecretName) != current || !w.signsIn(a, value) || removals == 0 {
			t.Error("what is published is not repaired, or a foreign client secret does not sign in")
		}
	})
}
