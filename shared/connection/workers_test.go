package connection_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// slowActor is a connection that signs in for 150 targets, all due at the same time, at
// which signing in begins to take longer than a call may; and a connection of its own,
// due a minute later. It plays half an hour.
func slowActor(t *testing.T, s *subject) (due time.Time, healthy neighbour) {
	t.Helper()
	s.w.AtEnd = true
	withParent(t, s)
	targets := s.crowd(t, 150, daily(3, 0))
	healthy = s.neighbour(t, "healthy", daily(3, 1))
	s.sweep(t, 30*time.Minute)
	due = s.nextSlotOf(t, targets[0].id)
	s.sleepUntil(t, due.Add(-time.Minute))
	s.w.Slow("graph.certificate "+s.acting.ClientID, 40*time.Second)
	s.sleepUntil(t, due.Add(30*time.Minute))
	return due, healthy
}

// However many targets wait for a sign-in: a connection that has nothing to
// do with them is not late.
func TestASlowSignInHoldsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		due, healthy := slowActor(t, s)
		s.issuedWithin(t, healthy.app.ClientID, due.Add(time.Minute), due.Add(2*time.Minute+10*time.Second))
		s.check(t)
	})
}

// A sign-in that has failed answers all that have waited for it, so that they
// need not wait 30 s each, one after the other.
func TestATimedOutSignInIsSharedByThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.AtEnd = true
		withParent(t, s)
		targets := s.crowd(t, 20, daily(3, 0))
		s.sweep(t, 30*time.Minute)
		due := s.nextSlotOf(t, targets[0].id)
		s.sleepUntil(t, due.Add(-time.Minute))
		s.w.Slow("graph.certificate "+s.acting.ClientID, 40*time.Second)
		time.Sleep(time.Until(due))
		over := make(chan struct{})
		go func() { defer close(over); service(s.w).Rotator.Sweep(t.Context()) }()
		time.Sleep(time.Minute)
		told := 0
		for _, o := range targets {
			if s.troubleOf(t, o.id) {
				told++
			}
		}
		if told < len(targets) {
			t.Errorf("of %d targets %d know after a minute that signing in failed", len(targets), told)
		}
		<-over
		s.check(t)
	})
}

// The timer does not fire while a sweep lasts, so that the sweep looks again
// each minute, and does not last for a pass that only waits.
func TestTheNextDueConnectionStartsWithinAMinuteWhateverElseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		// Each publishes 5 min after its slot and then looks for as long as a pass may
		// last whether the old secret is gone.
		s.neighbour(t, "first", daily(8, 54))
		s.neighbour(t, "second", daily(8, 57))
		next := s.neighbour(t, "next", daily(9, 4))
		s.sweep(t, 30*time.Minute)
		due := s.nextSlotOf(t, next.id)
		s.sleepUntil(t, due.Add(30*time.Minute))
		s.issuedWithin(t, next.app.ClientID, due, due.Add(time.Minute+10*time.Second))
		s.check(t)
	})
}
