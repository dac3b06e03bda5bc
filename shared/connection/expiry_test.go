package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotationtest"
)

// rotatedEvery makes a connection that is rotated every so many days.
func rotatedEvery(t *testing.T, s *subject, days int) {
	t.Helper()
	in := s.input()
	in.Schedule = *every(days)
	if err := s.make(t, in); err != nil {
		t.Fatalf("creating: %v", err)
	}
	s.sweep(t, 30*time.Minute)
	s.w.CheckEnd(s.id)
	s.check(t)
}

// Rekey replaces the published client secret before it ends, also where the next slot lies
// behind that end: with an interval that was made longer, or after runs that were abandoned.
func TestCurrentIsRotatedBeforeItExpiresWhateverTheInterval(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, s *subject)
		days    int // to look at
	}{
		"the interval is made longer": {func(t *testing.T, s *subject) {
			rotatedEvery(t, s, 7)
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Schedule: every(90), By: "tester"}); err != nil {
				t.Fatal(err)
			}
		}, 20},
		"two runs are abandoned": {func(t *testing.T, s *subject) {
			rotatedEvery(t, s, 7)
			before := s.published(t)
			for range 2 {
				s.toSlot(t)
				service(s.w).Rotator.Sweep(t.Context()) // ends before the credential is old enough
				_, err := service(s.w).Abandon(t.Context(), s.id, "tester")
				if err != nil && s.published(t).KeyID == before.KeyID { // else it was rotated in time
					t.Fatal(err)
				}
			}
		}, 10},
		"rotation with a longer interval is turned on after a rotation by hand": {func(t *testing.T, s *subject) {
			unrotated(t, s)
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, 3*day)
			if !s.published(t).Issued {
				t.Fatal("it was not rotated by hand")
			}
			on := connection.Change{Rotate: new(true), Schedule: every(365), By: "tester"}
			if _, err := service(s.w).Update(t.Context(), s.id, on); err != nil {
				t.Fatal(err)
			}
		}, 190},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.prepare(t, s)
				t.Logf("current ends in %s, the next slot is in %s", time.Until(s.published(t).ExpiresAt), time.Until(s.nextSlotOf(t, s.id)))
				s.check(t)
				s.keepsWorking(t, t, day, time.Duration(tt.days)*day)
			})
		})
	}
}

// The lifetime that Rekey asks for covers the grace period, so that a client secret that was
// replaced does not end before its grace period does.
func TestAReplacedSecretWorksUntilItsGracePeriodEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Schedule, in.Grace = *every(1), new(30*day)
		if err := s.make(t, in); err != nil {
			t.Fatalf("creating: %v", err)
		}
		s.sweep(t, 30*time.Minute)
		old := s.published(t)
		s.toSlot(t)
		s.sweep(t, time.Hour)
		replaced := time.Now()
		if s.published(t).KeyID == old.KeyID {
			t.Fatal("it was not rotated")
		}
		s.check(t)
		for time.Since(replaced) < 29*day {
			s.sweep(t, day)
			if !s.works(old.KeyID) {
				t.Fatalf("the old client secret, made for %s, ended %s after it was replaced, with a grace period of 720h",
					old.ExpiresAt.Sub(old.AddedAt).Round(time.Hour), old.ExpiresAt.Sub(replaced).Round(time.Hour))
			}
		}
	})
}

// Where a policy refuses the lifetime that covers a long grace period, Rekey asks for a
// shorter one, which the policy allows, and rotates in time.
func TestAPolicyAgainstLongLifetimesIsMetByAShorterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Schedule, in.Grace = *every(1), new(30*day)
		if err := s.make(t, in); err != nil {
			t.Fatalf("creating: %v", err)
		}
		s.sweep(t, 30*time.Minute)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Longest = 4 * day })
		before := s.published(t)
		s.toSlot(t)
		s.check(t)
		s.sweep(t, time.Hour)
		if now := s.published(t); now.KeyID == before.KeyID {
			t.Errorf("an hour after its slot it is not rotated: %s", s.trouble(t))
		}
	})
}
