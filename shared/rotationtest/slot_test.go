package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

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
