package rotationtest_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
)

// P5: that another pass works on a connection is no failure of it. Nothing is written
// and nothing is told; once the lease is over the slot is served like any other.
func TestLeaseOfAnotherIsNoFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour) // the slot has come
		s.edit(func(rec *rotation.Record) {
			rec.Lease = rotation.Lease{Token: "another", Until: time.Now().Add(5 * time.Minute)}
		})
		time.Sleep(time.Second) // wake-ups are in whole seconds
		before := s.record()
		s.w.Break(0, rotationtest.NoFault)
		swept, err := s.rotator().Sweep(t.Context())
		if err != nil || swept.Leased == 0 || swept.Failed+swept.Passes != 0 {
			t.Errorf("swept %+v, %v", swept, err)
		}
		if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); !errors.Is(err, rotator.ErrLeased) {
			t.Errorf("the pass ended with %v", err)
		}
		if w := s.w.Writes(); len(w) != 0 {
			t.Errorf("written: %v", w)
		}
		if rec := s.record(); !reflect.DeepEqual(rec, before) {
			t.Errorf("the record is %+v, was %+v", rec, before)
		}
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		if failed := s.events(history.Failed); len(failed) != 0 {
			t.Errorf("failures: %v", failed)
		}
	})
}
