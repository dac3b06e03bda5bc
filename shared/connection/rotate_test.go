package connection_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// The grace period of a rotation by hand has the bounds of all grace periods, in earnest
// and in a dry run.
func TestAGracePeriodHasBounds(t *testing.T) {
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
func TestARotationThatIsAskedForAgainIsOne(t *testing.T) {
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
		if rec = s.record(t); rec.Error == nil {
			t.Fatal("it is not stuck")
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = false })
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{ID: "fourth"}); err != nil {
			t.Fatal(err)
		}
		if rec = s.record(t); rec.Error != nil || rec.Run == nil {
			t.Errorf("it waits until %+v", rec.Error)
		}
		s.sweep(t, 3*24*time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// A connection that rotates nothing is not rotated by hand either.
func TestAConnectionThatRotatesNothingIsNotRotatedByHand(t *testing.T) {
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

// A rotation that was asked for and has not begun is called off, also where new
// credentials are being taken over; nothing is issued for it. Without one there is nothing
// to abandon.
func TestARotationThatHasNotBegunIsAbandoned(t *testing.T) {
	rebinding := func(t *testing.T, s *subject) {
		settled(t, s)
		s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
		s.w.Name(s.otherKey)
		s.rebindTo(t, s.other, s.otherSecret, s.otherKey)
	}
	for name, tt := range map[string]struct {
		setup func(t *testing.T, s *subject)
		kind  rotation.RequestKind // empty: none
		want  connection.Kind      // empty: it is abandoned
	}{
		"nothing":                       {settled, "", connection.Conflict},
		"a rotation":                    {settled, rotation.AskRotate, ""},
		"an emergency":                  {settled, rotation.AskEmergency, ""},
		"nothing, while rebinding":      {rebinding, "", connection.Conflict},
		"a rotation, while rebinding":   {rebinding, rotation.AskRotate, ""},
		"an emergency, while rebinding": {rebinding, rotation.AskEmergency, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.setup(t, s)
				if tt.kind != "" {
					s.request(t, rotation.Request{Kind: tt.kind, ID: "r"})
				}
				if _, err := service(s.w).Abandon(t.Context(), s.id, "tester"); kindOf(err) != tt.want {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				s.sweep(t, 3*time.Hour)
				s.w.CheckEnd(s.id)
				s.check(t)
			})
		})
	}
}

// A pipeline rotates by hand with each deployment, seven times a day, and gives the old ones
// a grace period of a month. The API tells it when there are too many, before anything
// begins; whatever begins ends, and an emergency makes room.
func TestRotationsBeyondThe32ndGracePeriodAreRefused(t *testing.T) {
	rotationtest.PlainOnly(t)
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

// A rotation by hand is of the client secret for which the API has looked whether another
// connection has it. One that was taken over meanwhile may be another one's, too.
func TestARotationByHandIsOfWhatWasClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		unrotated(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		in := s.publishing("second", secret, keyID)
		in.TenantID, in.ClientID = app.TenantID, app.ClientID
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		s.w.Before("store.commit", func() {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials}); err != nil {
				t.Error(err)
			}
		})
		_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{})
		t.Logf("rotating by hand: %v", err)
		s.sweep(t, 3*24*time.Hour)
		s.check(t)
	})
}
