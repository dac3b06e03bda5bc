package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
)

// That the published credential ends, which no rotation prevents, a person is told each
// time that it is warned of.
func TestToldOfTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		end := time.Now().Add(20 * day)
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled, rec.Current.ExpiresAt = false, end })
		s.sweepEvery(hour, 20*day)
		warnings := s.events(history.Expiring)
		for _, e := range warnings {
			if !e.Notice || e.KeyID != s.keyID || e.Message == "" {
				t.Errorf("warned of and not told: %+v", e)
			}
		}
		if len(warnings) != 4 {
			t.Errorf("%d warnings, want 4", len(warnings))
		}
	})
}

// Of a published credential that is lost, and of one that only a person can remove,
// a person is told at once.
func TestToldOfALoss(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(3 * day)
		s.rotated(rotation.OnLoss)
		s.told(history.Lost)
	})
}

func TestToldOfWhatIsLeftToAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.Current.Origin = rotation.OriginGiven })
		s.sweep(3 * day)
		s.rotated(rotation.OnSchedule)
		s.told(history.ByHand)
	})
}

// told fails unless the history has one event of that kind, which is a notice and says
// which credential it is about and what to do.
func (s *subject) told(kind string) {
	s.t.Helper()
	if e := s.events(kind); len(e) != 1 || !e[0].Notice || e[0].KeyID == "" || e[0].Message == "" {
		s.t.Errorf("%s: %+v, want one notice", kind, e)
	}
}
