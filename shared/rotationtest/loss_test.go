package rotationtest_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// R6: refusals count in a row. The published credential that works again is not lost.
func TestRefusalsInARow(t *testing.T) {
	for name, answer := range map[string]error{
		"then the removal goes well": nil,
		"then the removal does not":  &serviceerror.Error{Op: "removing a password", Class: serviceerror.Transient, Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				refused := 0
				s.h.token = func(v secret.Value) error {
					rec := s.record()
					if v == s.secret || rec.Phase != rotation.Idle || refused == 9 {
						return nil
					}
					if rec.Current.Refusals < 9 {
						refused = rec.Current.Refusals + 1
					}
					return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
				}
				s.h.removing = func(string) error { return answer }
				s.sweep(20 * time.Minute)
				if refused != 9 {
					t.Fatalf("%d refusals", refused)
				}
				if c := s.record().Current; c.Refusals != 0 || !c.RefusedSince.IsZero() {
					t.Errorf("it works, but %d refusals since %s stand against it", c.Refusals, c.RefusedSince)
				}
				s.h = hooks{}
				s.sweep(2 * hour)
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// R6: a person removes the published credential by hand. Removals are postponed; ten
// refusals over a quarter of an hour raise the alarm, and the old credential, which
// still works, issues a new one.
func TestPublishedCredentialLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		time.Sleep(47 * hour)
		dead, _ := s.w.Published(s.record().VaultName)
		var refusals []time.Time
		var started time.Time
		s.h.token = func(v secret.Value) error {
			if v == dead.Value && started.IsZero() {
				refusals = append(refusals, time.Now())
			}
			return nil
		}
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) { started = time.Now(); return add() }
		s.h.removing = func(string) error {
			if started.IsZero() {
				t.Error("the credential that still works was removed")
			}
			return nil
		}
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(4 * hour)
		s.rotated(rotation.OnLoss)
		s.live(2)
		if len(refusals) < 10 || started.Sub(refusals[0]) < 15*time.Minute || started.Sub(refusals[0]) > 20*time.Minute {
			t.Errorf("recovery began after %d refusals, %s after the first", len(refusals), started.Sub(refusals[0]))
		}
		if n := len(s.events(history.Lost)); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
		if !strings.Contains(s.w.Log.String(), "the published credential is lost") {
			t.Error("the alarm is not in the log")
		}
	})
}

// R6, R7: nothing works any more. The record says so, it is tried ever more
// slowly, and after a day what is to be removed is left to a person.
func TestNothingWorks(t *testing.T) {
	rotationtest.PlainOnly(t)
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.w.RemoveByHand(s.keyID)
		s.sweep(47*hour + 25*time.Minute)
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != serviceerror.CredentialLost ||
			!strings.Contains(rec.Error.Message, "reconnect") {
			t.Fatalf("phase %s, error %+v", rec.Phase, rec.Error)
		}
		s.sweep(23 * hour)
		if len(s.record().Removals) != 1 {
			t.Error("it was left to a person before a day was over")
		}
		s.sweep(2 * hour)
		rec = s.record()
		if len(rec.Replaced()) != 0 || len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != s.keyID || len(s.events(history.ByHand)) != 1 {
			t.Errorf("retiring %v, by hand %v, events %v", rec.Replaced(), rec.ByHand, s.events(history.ByHand))
		}
		if n := len(s.events(history.Failed)); n < 4 || n > 6 {
			t.Errorf("%d runs failed in 25 hours; hours double from one", n)
		}
		if len(rec.Orphans()) != 0 || s.w.Directory.Issued != 1 {
			t.Errorf("abandoned %d, issued %d: nothing was asked for", len(rec.Orphans()), s.w.Directory.Issued)
		}
	})
}

// R7: as long as any known credential works, nothing is left to a person, however long
// the published one is refused.
func TestLostButNotHopeless(t *testing.T) {
	rotationtest.PlainOnly(t)
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = true })
		s.sweep(4 * day)
		if rec := s.record(); len(rec.ByHand) != 0 || len(rec.Replaced()) != 1 || rec.Error.Class != serviceerror.PolicyForbidden {
			t.Errorf("by hand %v, retiring %v, error %+v", rec.ByHand, rec.Replaced(), rec.Error)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = false })
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(2 * day)
		s.rotated(rotation.OnLoss)
		s.live(2)
	})
}

// R6: a published credential that has ended counts as refused, as one that was removed
// does; an application that can't be found says nothing about it.
func TestWhatCountsAsARefusal(t *testing.T) {
	for class, counts := range map[serviceerror.Class]bool{
		serviceerror.CredentialRefused: true, serviceerror.CredentialExpired: true,
		serviceerror.ApplicationMissing: false, serviceerror.Transient: false,
	} {
		t.Run(string(class), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				refused := false
				s.h.token = func(v secret.Value) error {
					if v == s.secret || s.record().Phase != rotation.Idle {
						return nil
					}
					refused = true
					return &serviceerror.Error{Op: "signing in", Class: class, Status: 401}
				}
				s.sweep(5 * time.Minute)
				if c := s.record().Current; !refused || c.Refusals > 0 != counts || c.RefusedSince.IsZero() == counts {
					t.Errorf("asked: %t; %d refusals since %s stand against it", refused, c.Refusals, c.RefusedSince)
				}
				s.h = hooks{}
				s.sweep(2 * hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}
