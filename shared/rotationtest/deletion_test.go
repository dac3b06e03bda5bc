package rotationtest_test

import (
	"testing"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// While Entra is down a deletion waits, however long; then it ends as if nothing had
// been.
func TestDeleteWhileEntraIsDown(t *testing.T) {
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
