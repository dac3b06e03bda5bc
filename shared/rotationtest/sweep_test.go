package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
)

// A row that a person has spoilt stops no connection but its own.
func TestSpoiltRow(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		other := newSubject(t, s.w, 2)
		other.edit(func(rec *rotation.Record) { rec.Phase = rotation.Issuing })
		time.Sleep(time.Second)
		s.sweep(2 * hour)
		s.rotated(rotation.OnSchedule)
		if rec := other.record(); rec.Phase != rotation.Issuing || rec.Run != nil {
			t.Errorf("the spoilt row was written: %+v", rec)
		}
	})
}

// Nor does a mistake of ours in one pass: the others go on, and so does the sweep.
func TestPanicInAPass(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		panics := 1
		s.h.reading = func(*rotation.ApplicationState) {
			if panics > 0 {
				panics--
				panic("a mistake")
			}
		}
		s.sweep(4 * day)
		s.rotated(rotation.OnSchedule)
	})
}
