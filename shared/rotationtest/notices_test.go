package rotationtest_test

import (
	"slices"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// A person is told once when a rotation fails for want of permission, however often it
// is tried, and once when it works again.
func TestToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		s.sweep(12 * hour)
		if rec := s.record(); rec.Error == nil || rec.Error.Count < 3 {
			t.Fatalf("error %+v, want one that was tried often", rec.Error)
		}
		told := s.events(history.Attention)
		if len(told) != 1 || !told[0].Notice || told[0].Class != serviceerror.Permission || told[0].Message == "" {
			t.Errorf("notices %+v, want one", told)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = false })
		s.sweep(48 * hour)
		back := s.events(history.Recovered)
		if len(back) != 1 || !back[0].Notice {
			t.Errorf("recovered %+v, want once", back)
		}
		if rec := s.record(); rec.Told != "" {
			t.Errorf("told of %q", rec.Told)
		}
		s.rotated(rotation.OnSchedule)
	})
}

// Of what passes by itself no person is told, until it has not passed for long.
func TestNotToldOfHiccups(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		n := 0
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			if n++; n <= 2 {
				return rotation.Issued{}, &serviceerror.Error{Op: "adding a password", Class: serviceerror.Throttled, Status: 429}
			}
			return add()
		}
		s.sweep(3 * hour)
		if told := s.events(history.Attention); len(told) != 0 {
			t.Errorf("notices %+v", told)
		}
		s.rotated(rotation.OnSchedule)
	})
}

// An old credential that can't be removed is told of, though the rotation went well.
func TestToldOfWhatIsNotRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		refuse := true
		s.h.removing = func(string) error {
			if refuse {
				return &serviceerror.Error{Op: "removing a password", Class: serviceerror.Permission, Status: 403}
			}
			return nil
		}
		s.sweep(4 * day)
		told := s.events(history.Attention)
		if len(told) != 1 || told[0].KeyID != s.keyID {
			t.Errorf("notices %+v, want one about %s", told, s.keyID)
		}
		refuse = false
		s.sweep(2 * day)
		if back := s.events(history.Recovered); len(back) != 1 {
			t.Errorf("recovered %+v", back)
		}
	})
}

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

// With rotation off the end of the credential is announced 14, 7, 3 and 1 days before.
func TestWarnings(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		end := time.Now().Add(20 * day)
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled, rec.Current.ExpiresAt = false, end })
		s.sweepEvery(hour, 21*day)
		var left []int
		for _, e := range s.events(history.Expiring) {
			left = append(left, int((end.Sub(e.At)+2*hour)/day))
		}
		if want := []int{14, 7, 3, 1}; !slices.Equal(left, want) {
			t.Errorf("warnings %v days before the end, want %v", left, want)
		}
		if s.w.Directory.Issued != 0 {
			t.Error("rotation is off, but something was issued")
		}
	})
}
