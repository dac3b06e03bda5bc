package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/activity"
	"rekey/shared/history"
	"rekey/shared/rotationtest"
)

// lately is what has been counted in the last three weeks, in which there is one slot.
func (s *subject) lately(t *testing.T) (succeeded, failed int) {
	t.Helper()
	weeks, err := service(s.w).Activity(t.Context(), 3)
	if err != nil || len(weeks) != 3 || weeks[2].Start != activity.WeekOf(time.Now()) || weeks[0].Start != weeks[2].Start.AddDate(0, 0, -14) {
		t.Fatalf("%+v, %v", weeks, err)
	}
	for _, week := range weeks {
		succeeded, failed = succeeded+week.Succeeded, failed+week.Failed
	}
	return succeeded, failed
}

// A rotation is counted once, whichever of its writes fails or is repeated (rule R9).
func TestARotationIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if n, failed := s.lately(t); n != 1 || failed != 0 {
			t.Errorf("after the creation: %d rotations, %d failures", n, failed)
		}
		broken, rotations := 0, 1
		for _, fault := range rotationtest.Faults {
			for n := 1; n <= 12; n++ {
				rec, _ := s.w.Record(s.id)
				time.Sleep(time.Until(rec.NextSlot))
				s.w.Break(n, fault)
				s.sweep(t, 2*time.Hour)
				if len(s.w.Writes()) >= n {
					broken++
				}
				s.w.Break(0, rotationtest.NoFault)
				rotations++
				if got, failed := s.lately(t); got != 1 || failed != 0 {
					t.Errorf("with write %d %s: %d rotations, %d failures", n, fault, got, failed)
				}
				s.sweep(t, 72*time.Hour)
			}
		}
		if broken < 30 {
			t.Errorf("only %d writes were broken", broken)
		}
		s.check(t)
	})
}

// What can't be issued, and what never proves itself, is counted as failed; what was abandoned is
// neither.
func TestFailuresAreCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil  func(s *subject)
		end    func(t *testing.T, s *subject)
		failed bool
	}{
		"it may not issue": {
			spoil:  func(s *subject) { s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true }) },
			failed: true,
		},
		"nothing new signs in": {
			spoil: func(s *subject) {
				s.w.Directory.Propagation = 24 * time.Hour // it looks as if each were wrong
			},
			failed: true,
		},
		"it is abandoned": {
			spoil: func(s *subject) { s.w.Directory.Propagation = 24 * time.Hour },
			end: func(t *testing.T, s *subject) {
				if _, err := service(s.w).Abandon(t.Context(), s.id, "tester"); err != nil {
					t.Fatal(err)
				}
				if rec := s.record(t); rec.LastRun.Outcome != "abandoned" {
					t.Fatalf("the last run is %+v", rec.LastRun)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				s.toSlot(t)
				tt.spoil(s)
				if tt.end == nil {
					s.sweep(t, 4*time.Hour)
				} else {
					s.sweep(t, 20*time.Minute)
					tt.end(t, s)
				}
				succeeded, failed := s.lately(t)
				told := map[string]bool{}
				for _, e := range s.historyOf(t, s.id) {
					if e.Kind == history.Failed {
						told[e.RunID] = true
					}
				}
				if failed != len(told) || failed > 0 != tt.failed || failed > 4 || succeeded != 0 {
					t.Errorf("%d succeeded, %d failed; the history has %d: %+v", succeeded, failed, len(told), s.record(t).LastRun)
				}
			})
		})
	}
}
