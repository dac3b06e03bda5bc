package connection_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// A pipeline rotates by hand with each deployment, seven times a day, and gives the old ones
// a grace period of a month. The API tells it when there are too many, before anything
// begins; whatever begins ends, and an emergency makes room.
func TestManyGracePeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.AtEnd = true
		rotate := func(opts connection.RotateOptions) error {
			opts.By = "deployment"
			_, err := service(s.w).Rotate(t.Context(), s.id, opts)
			s.sweepEvery(t, 5*time.Minute, 200*time.Minute)
			if rec, _ := s.w.Record(s.id); rec.Phase != rotation.Idle || rec.Error != nil {
				t.Fatalf("for three hours in the phase %s, with %d old ones, error %+v", rec.Phase, len(rec.Replaced()), rec.Error)
			}
			return err
		}
		month := connection.RotateOptions{Grace: new(30 * 24 * time.Hour)}
		refused := 0
		for n := range 140 {
			err := rotate(month)
			if err == nil && n < rotation.MaxReplaced {
				continue
			}
			if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != connection.Conflict || e.RetryAfter == 0 ||
				n < rotation.MaxReplaced {
				t.Fatalf("rotation %d: %v", n, err)
			}
			if _, err := service(s.w).DryRun(t.Context(), s.id, month); kindOf(err) != connection.Conflict {
				t.Fatalf("a dry run of what is refused: %v", err)
			}
			refused++
		}
		if rec, _ := s.w.Record(s.id); refused == 0 || len(rec.Replaced()) != rotation.MaxReplaced {
			t.Errorf("%d refused, %d old ones", refused, len(rec.Replaced()))
		}
		if err := rotate(connection.RotateOptions{Emergency: true}); err != nil {
			t.Errorf("an emergency: %v", err)
		}
		if rec, _ := s.w.Record(s.id); len(rec.Replaced()) != 0 || rec.LastRun.Trigger != rotation.OnEmergency {
			t.Errorf("after the emergency %d old ones, last run %+v", len(rec.Replaced()), rec.LastRun)
		}
		if err := rotate(month); err != nil {
			t.Errorf("after the emergency: %v", err)
		}
		s.check(t)
	})
}
