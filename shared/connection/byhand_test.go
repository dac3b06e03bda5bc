package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotationtest"
)

// The grace period of a rotation by hand has the bounds of all grace periods, in earnest
// and in a dry run.
func TestTheBoundsOfAGracePeriod(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for grace, allowed := range map[time.Duration]bool{-time.Second: false, 0: true, month: true, month + time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			opts := connection.RotateOptions{Grace: &grace}
			_, dry := service(s.w).DryRun(t.Context(), s.id, opts)
			_, err := service(s.w).Rotate(t.Context(), s.id, opts)
			for _, err := range []error{dry, err} {
				if refused := kindOf(err) == connection.Invalid; refused == allowed {
					t.Errorf("%s: %v", grace, err)
				}
			}
			s.check(t)
		})
	}
}

// A rotation that is asked for while one is under way is that one, unless it is stuck: then
// it is asked to go on at once.
func TestRotatingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{ID: "first"}); err != nil {
			t.Fatal(err)
		}
		rec, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{ID: "second"})
		if err != nil || rec.Run == nil || rec.Run.ID != "first" || rec.Request != nil {
			t.Errorf("run %+v, request %+v, %v", rec.Run, rec.Request, err)
		}
		if n := s.count(t, history.Requested); n != 1 {
			t.Errorf("asked for %d times", n)
		}
		s.sweep(t, time.Hour)

		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = true })
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{ID: "third"}); err != nil {
			t.Fatal(err)
		}
		if rec = mustRecord(t, s); rec.Error == nil {
			t.Fatal("it is not stuck")
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = false })
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{ID: "fourth"}); err != nil {
			t.Fatal(err)
		}
		if rec = mustRecord(t, s); rec.Error != nil || rec.Run == nil {
			t.Errorf("it waits until %+v", rec.Error)
		}
		s.sweep(t, 3*24*time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// A connection that rotates nothing is not rotated by hand either.
func TestNothingToRotateByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{})
		refusal(t, err, connection.Invalid, "/targets")
		_, err = service(s.w).DryRun(t.Context(), s.id, connection.RotateOptions{})
		refusal(t, err, connection.Invalid, "/targets")
		s.check(t)
	})
}

// The application of a connection that does not rotate is reserved while it is rotated by
// hand, and given back at once where that is refused.
func TestRefusedRotationGivesTheApplicationBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		unrotated(t, s)
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		before := len(s.w.Reserved())
		_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{})
		refusal(t, err, connection.Conflict, "authenticates with this application")
		if left := s.w.Reserved(); len(left) != before {
			t.Errorf("reserved are %v", left)
		}
		s.check(t)
	})
}
