package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// TestScheduledRotation is how it goes when nothing happens.
func TestScheduledRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var issued, published time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) { issued = time.Now(); return add() }
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				published = time.Now()
			}
			return nil
		}
		var removed []time.Time
		s.h.removing = func(string) error { removed = append(removed, time.Now()); return nil }
		s.sweep(2 * hour)
		s.rotated(rotation.OnSchedule)
		if age := published.Sub(issued); age < 5*time.Minute || age > 8*time.Minute {
			t.Errorf("published at the age of %s, want 5 minutes and a little", age)
		}
		s.live(3)
		s.sweep(3 * day)
		s.rotated(rotation.OnSchedule)
		s.live(2)
		if len(removed) != 1 || removed[0].Sub(published) < 48*hour || removed[0].Sub(published) > 48*hour+10*time.Minute {
			t.Errorf("removed at %v, published at %s: the grace period is 48 hours", removed, published)
		}
		if slot := s.record().NextSlot; !slot.Equal(time.Date(2000, 1, 31, 1, 0, 0, 0, time.UTC)) {
			t.Errorf("next slot: %s", slot)
		}
	})
}

// A rotation that a caller asks for and that fails does not move the schedule: the slot
// stays where it was, and is kept.
func TestFailedRequestLeavesTheSlot(t *testing.T) {
	for name, class := range map[string]serviceerror.Class{"refused": serviceerror.Permission, "may pass by itself": serviceerror.Throttled} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				slot := time.Now().Add(5 * hour)
				s.edit(func(rec *rotation.Record) { rec.NextSlot = slot })
				s.h.add = func(func() (rotation.Issued, error)) (rotation.Issued, error) {
					return rotation.Issued{}, &serviceerror.Error{Op: "adding a password", Class: class}
				}
				s.ask(rotation.Request{Kind: rotation.AskRotate})
				s.sweep(30 * time.Minute)
				if rec := s.record(); rec.Error == nil || rec.Error.Class != class || !rec.NextSlot.Equal(slot) {
					t.Errorf("after it failed: error %+v, next slot %s, want %s", rec.Error, rec.NextSlot, slot)
				}
				s.ask(rotation.Request{Kind: rotation.AskAbandon}) // or it would be tried again, and count
				s.sweep(time.Minute)
				if next := s.record().NextSlot; !next.Equal(slot) {
					t.Errorf("after it was abandoned: next slot %s, want %s", next, slot)
				}
				s.h.add = nil
				s.sweep(time.Until(slot) + 20*time.Minute)
				s.rotated(rotation.OnSchedule)
				if late := s.record().LastRotatedAt.Sub(slot); late < 0 || late > 15*time.Minute {
					t.Errorf("rotated %s after the slot", late)
				}
			})
		})
	}
}

// Rule R1: a run is planned on the record as it is when it is written down. If the API turns
// rotation off in between, no run begins.
func TestAPlannedRunIsNotBegunOnANewerRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(time.Until(s.record().NextSlot) + time.Second)
		s.w.Before("store.commit", func() { // takes the lease and would begin the run
			s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
		})
		s.sweep(20 * time.Minute)
		rec := s.record()
		if rec.Policy.Enabled {
			t.Fatal("rotation was not turned off")
		}
		if started := s.events(history.Started); len(started) != 0 || rec.Current.KeyID != s.keyID {
			t.Errorf("a run has begun: %+v", started)
		}
	})
}

// R10: where a tenant's policy allows less than two intervals, half of what was refused is
// asked for until it is accepted, and rotation keeps ahead of the shorter end.
func TestLifetimePolicy(t *testing.T) {
	rotationtest.PlainOnly(t)
	for _, longest := range []time.Duration{64 * day, 62 * day, 34 * day, 5 * day, day} {
		t.Run(longest.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Longest = longest })
				s.sweep(2 * hour)
				s.rotated(rotation.OnSchedule)
				rec := s.record()
				life := rec.Current.ExpiresAt.Sub(rec.LastRotatedAt)
				if most := min(longest, 63*day); life < most/2-hour || life > most {
					t.Errorf("it lives for %s, want %s at most and half of that at least", life, most)
				}
				first := rec.Current.KeyID
				s.sweep(longest + day)
				if rec := s.record(); longest < 30*day && (rec.Current.KeyID == first || !rec.Current.ExpiresAt.After(time.Now())) {
					t.Errorf("current %s ends %s", rec.Current.KeyID, rec.Current.ExpiresAt)
				}
			})
		})
	}
}

// R10: a policy that allows less than a day is named.
func TestLifetimePolicyOfHours(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Longest = 12 * hour })
		s.sweep(2 * hour)
		if rec := s.record(); rec.Phase != rotation.Idle || rec.Error == nil ||
			rec.Error.Class != serviceerror.PolicyLifetime || rec.LastRun.Outcome != "failed" {
			t.Errorf("phase %s, error %+v", rec.Phase, rec.Error)
		}
		s.live(2)
	})
}
