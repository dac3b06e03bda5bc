package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
)

// P3: that one credential of an application is left to a person keeps no other of it from
// being removed, although its attempt's outcome is unknown.
func TestAnOrphanBesideOneLeftToAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Directory.Propagation = 0
		s.edit(func(rec *rotation.Record) {
			rec.ByHand = []rotation.ByHand{{Target: s.app, KeyID: "another", Since: time.Now(), Reason: "it could not be removed"}}
		})
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			s.h.add = nil
			if _, err := add(); err != nil {
				return rotation.Issued{}, err
			}
			return rotation.Issued{}, unknown("adding a password")
		}
		s.sweep(3 * hour)
		if rec := s.record(); len(rec.Orphans()) != 0 || len(rec.ByHand) > 1 {
			t.Errorf("abandoned %+v, by hand %+v", rec.Orphans(), rec.ByHand)
		}
		s.rotated(rotation.OnSchedule)
		s.w.CheckEnd(s.id)
	})
}
