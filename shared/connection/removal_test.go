package connection_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// removalRefused makes a connection that was rotated and may not remove the old client
// secret for three days, until just after a try has failed.
func removalRefused(t *testing.T, s *subject) (old rotationtest.ClientSecret) {
	t.Helper()
	settled(t, s)
	old = s.published(t)
	if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester", Grace: new(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s.sweep(t, 30*time.Minute)
	denied := func(on bool) func(*rotationtest.AppSettings) {
		return func(a *rotationtest.AppSettings) { a.Denied = on }
	}
	s.w.Change(s.app.ClientID, denied(true))
	s.sweep(t, 3*day)
	tries := 0
	s.w.Before("graph.removePassword", func() { tries++ })
	for begun := time.Now(); tries == 0; {
		if time.Since(begun) > 2*day {
			t.Fatal("removing is not tried any more")
		}
		s.sweep(t, 5*time.Minute)
	}
	s.w.Change(s.app.ClientID, denied(false))
	if s.published(t).KeyID == old.KeyID || !s.works(old.KeyID) {
		t.Fatal("the old client secret does not wait for its removal")
	}
	s.check(t)
	return old
}

// An emergency and a deletion end not only grace periods, but also the back-off of a removal
// that was refused before and has grown to a day.
func TestARefusedRemovalIsTriedAgainAtOnceOnRequest(t *testing.T) {
	for name, ask := range map[string]func(t *testing.T, s *subject) error{
		"emergency": func(t *testing.T, s *subject) error {
			_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"})
			return err
		},
		"delete": func(t *testing.T, s *subject) error {
			_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				old := removalRefused(t, s)
				if err := ask(t, s); err != nil {
					t.Fatal(err)
				}
				asked := time.Now()
				for s.works(old.KeyID) && time.Since(asked) < 3*day {
					s.sweep(t, time.Minute)
				}
				if took := time.Since(asked); took > 15*time.Minute {
					t.Errorf("the old client secret works for another %s", took)
				}
			})
		})
	}
}

// An emergency of an application that has no room for another client secret removes what it
// has just ended the grace period of before it issues, so that it is done within minutes and
// does not wait for a back-off.
func TestAnEmergencyRemovesWhatIsInItsGracePeriodBeforeItIssues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.app, s.secret, s.keyID = s.w.AddApplication() // with that one client secret
		s.w.Name(s.keyID)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
		settled(t, s)
		old := s.published(t)
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		leaked := s.published(t)
		if leaked.KeyID == old.KeyID || s.w.Live(s.app.ClientID) != 2 {
			t.Fatalf("no old client secret is in its grace period; %d are there", s.w.Live(s.app.ClientID))
		}
		s.check(t)
		asked := time.Now()
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"}); err != nil {
			t.Fatal(err)
		}
		trouble := s.trouble(t)
		for s.published(t).KeyID == leaked.KeyID && time.Since(asked) < 3*time.Hour {
			s.sweep(t, time.Minute)
		}
		var room time.Duration
		for _, c := range s.w.Secrets(s.app.ClientID) {
			if c.KeyID == old.KeyID && !c.RemovedAt.IsZero() {
				room = c.RemovedAt.Sub(asked)
			}
		}
		if took := time.Since(asked); took > 10*time.Minute {
			t.Errorf("it took %s, although there was room after %s; at first: %s", took, room, trouble)
		}
	})
}

// Rekey leaves a client secret alone that it did not issue, although it bears Rekey's marker:
// also where Rekey gave up an attempt with that marker whose own key id is known (promise P2).
func TestAMarkerIsNoProofWhereTheKeyIDIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.stopIn(t, rotation.Verifying)
		rec, _ := s.w.Record(s.id)
		foreign := s.w.AddMarked(s.app.ClientID, rec.Run.Marker)
		time.Sleep(6 * time.Minute)
		if _, err := service(s.w).Abandon(t.Context(), s.id, "tester"); err != nil {
			t.Fatal(err)
		}
		own := rec.Run.KeyID
		s.sweep(t, 3*time.Hour)
		if s.w.IsLive(own) {
			t.Error("what was given up is alive")
		}
		if !s.w.IsLive(foreign) {
			t.Errorf("the record named %s, and another one was removed", own)
		}
		rec, _ = s.w.Record(s.id)
		if !slices.ContainsFunc(rec.ByHand, func(h rotation.ByHand) bool { return h.KeyID == foreign }) || s.count(t, history.ByHand) != 1 {
			t.Errorf("the other one is not reported, or not once: %+v", rec.ByHand)
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}
