package rotationtest_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// R12: a deletion ends every phase at once. Current stays, in Entra and in the vault;
// with revoke everything goes that Rekey issued.
func TestDeleteInEveryPhase(t *testing.T) {
	for _, revoke := range []bool{false, true} {
		t.Run(fmt.Sprintf("revoke %t", revoke), func(t *testing.T) {
			inEveryPhase(t, func(t *testing.T, s *subject, phase rotation.Phase) {
				name := s.record().VaultName
				s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: revoke})
				s.sweep(s.settling(phase))
				if s.exists() {
					s.phase(rotation.Deleting)
				}
				s.sweep(2 * hour)
				if s.exists() {
					t.Fatalf("the connection is still there: %+v", s.record())
				}
				v, published := s.w.Published(name)
				switch {
				case revoke && published:
					t.Error("the vault secret is still there")
				case !revoke && (!published || v.Tags[vaulttag.KeyID] != s.keyID):
					t.Error("current is not published any more")
				}
				want := 2
				if revoke {
					want = 1
				}
				s.live(want)
				if _, left := s.w.Published(name + "-staged"); left {
					t.Error("the staged secret is still there")
				}
			})
		})
	}
}

// R12: a run that fails to give way because the vault is down does so as soon as it
// is asked again, and does not hammer the vault meanwhile.
func TestDeleteDoesNotWaitForAPause(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.bound(60)
		s.h.putting = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403}
			}
			return nil
		}
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(2 * hour)
		s.phase(rotation.Publishing)
		if wait := time.Until(s.record().Error.RetryAt); wait < 30*time.Minute {
			t.Fatalf("the next try is in %s", wait)
		}
		s.h.putting = nil
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(30 * time.Minute)
		if s.exists() {
			t.Error("the deletion waits for the pause of a failure from before")
		}
	})
}

// And where giving way fails itself, that is not tried again without a pause.
func TestDeleteWhileTheVaultIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.reach(rotation.Publishing)
		s.bound(20)
		s.h.putting = func(rotation.VaultSecret) error {
			return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403}
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(30 * time.Minute)
		s.phase(rotation.Publishing)
		s.h = hooks{}
		s.sweep(3 * hour)
		if s.exists() {
			t.Error("the connection is still there")
		}
	})
}

// A vault secret that a person deleted must not keep a connection from being deleted:
// what can't be removed for want of a credential is left to a person after a day.
func TestDeleteAfterTheVaultSecretIsGone(t *testing.T) {
	rotationtest.PlainOnly(t)
	for _, phase := range []rotation.Phase{rotation.Idle, rotation.Verifying, rotation.Publishing} {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.bound(3000)
				s.reach(phase)
				s.w.OutsideBreak(true)
				if err := s.w.VaultPort().Delete(t.Context(), s.record().VaultName); err != nil {
					t.Fatal(err)
				}
				s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: true})
				s.sweep(3 * day)
				if s.exists() {
					t.Fatalf("the connection is still there: %+v", s.record())
				}
				if len(s.events(history.ByHand)) == 0 {
					t.Error("no person is told what is left to remove by hand")
				}
			})
		})
	}
}

// The same for a permission that was taken away.
func TestDeleteWithoutPermission(t *testing.T) {
	rotationtest.PlainOnly(t)
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		s.sweep(4 * day)
		if rec := s.record(); len(rec.Replaced()) != 1 || rec.Replaced()[0].Problem != serviceerror.Permission {
			t.Fatalf("a permission may come back, and the record says that it lacks: %+v", rec.Replaced())
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(4 * day)
		if s.exists() {
			t.Errorf("the connection is still there: %+v", s.record())
		}
		if by := s.events(history.ByHand); len(by) != 1 || by[0].KeyID != s.keyID {
			t.Errorf("left to a person: %v", by)
		}
	})
}

// A deletion ends the grace periods: what is retiring goes, current stays.
func TestDeleteDuringTheGracePeriod(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.live(3)
		s.ask(rotation.Request{Kind: rotation.AskDelete})
		s.sweep(hour)
		if s.exists() {
			t.Error("the deletion waits for the grace period")
		}
		s.live(2)
	})
}

// While Entra is down a deletion waits, however long; then it ends as if nothing had
// been.
func TestDeleteWhileEntraIsDown(t *testing.T) {
	rotationtest.PlainOnly(t)
	for _, revoke := range []bool{false, true} {
		inBubble(t, func(t *testing.T, s *subject) {
			s.sweep(2 * hour) // rotated; the old credential is in its grace period
			down := &serviceerror.Error{Op: "signing in", Class: serviceerror.Transient, Status: 503}
			s.h.token = func(secret.Value) error { return down }
			s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: revoke})
			s.sweep(2 * day)
			if !s.exists() {
				t.Fatal("the connection is gone although nothing could be removed")
			}
			if n := len(s.record().ByHand); n != 0 {
				t.Errorf("%d credentials were left to a person because of an outage", n)
			}
			s.h.token = nil
			s.sweep(2 * hour)
			if s.exists() {
				t.Error("the connection is still there")
			}
			want := 2 // the published one and the foreign one
			if revoke {
				want = 1
			}
			s.live(want)
			if _, ok := s.w.Published("rekey-1"); ok == revoke {
				t.Errorf("published: %v, revoked: %v", ok, revoke)
			}
		})
	}
}

// What a person has removed by hand is not missed: the deletion ends, and says so.
func TestDeleteWhatWasRemovedByHand(t *testing.T) {
	t.Run("the old one", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *subject) {
			s.sweep(2 * hour)
			s.w.RemoveByHand(s.keyID)
			s.ask(rotation.Request{Kind: rotation.AskDelete})
			s.sweep(hour)
			if s.exists() {
				t.Error("the connection is still there")
			}
			s.live(2)
		})
	})
	t.Run("the published one", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *subject) {
			s.sweep(4 * day) // nothing is retiring any more
			s.w.OutsideBreak(true)
			s.w.RemoveByHand(s.record().Current.KeyID)
			s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: true})
			s.sweep(3 * day)
			if s.exists() {
				t.Error("the connection is still there")
			}
			s.live(1)
			byHand := s.events(history.ByHand)
			if len(byHand) != 1 {
				t.Errorf("left to a person: %+v; want the one that could not be looked for", byHand)
			}
			if _, ok := s.w.Published("rekey-1"); ok {
				t.Error("the vault secret is still there")
			}
		})
	})
}
