package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/expected"
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

// Sequence 11. Today the sign-ins hold all 64 workers until the passes end, 64 targets a
// sweep, so that a connection that has nothing to do with them is 15 min late.
func TestASlowSignInHoldsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		due, healthy := slowActor(t, s)
		expected.Failure(t, 11, "passes that wait for a sign-in hold all workers", func(t expected.TB) {
			s.issuedWithin(t, healthy.app.ClientID, due.Add(time.Minute), due.Add(2*time.Minute+10*time.Second))
		})
		s.check(t)
	})
}

// Sequence 11. Today the targets ask one after the other and wait 30 s each, so that most
// of them have found nothing out when their passes end.
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
		expected.Failure(t, 11, "each target waits 30 s for a sign-in of its own, one after the other", func(t expected.TB) {
			if told < len(targets) {
				t.Errorf("of %d targets %d know after a minute that signing in failed", len(targets), told)
			}
		})
		<-over
		s.check(t)
	})
}

// Sequence 14. Today a sweep starts passes for four minutes and then waits for the last
// one, which may have begun in its fourth minute.
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
		expected.Failure(t, 14, "a sweep that has begun passes for 4 min starts nothing until the last one ends", func(t expected.TB) {
			s.issuedWithin(t, next.app.ClientID, due, due.Add(time.Minute+10*time.Second))
		})
		s.check(t)
	})
}

// Sequence 17. Today the request waits for a worker for as long as a lease lasts.
func TestARequestAnswersInItsTimeWhileAllWorkersAreBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		first, second := s.neighbour(t, "first", daily(3, 0)), s.neighbour(t, "second", daily(3, 0))
		idle := s.neighbour(t, "idle", daily(12, 0))
		s.sweep(t, 30*time.Minute)
		due := s.nextSlotOf(t, first.id)
		s.sleepUntil(t, due.Add(-time.Minute))
		for _, busy := range []neighbour{first, second} {
			for _, op := range []string{"vault.put", "vault.get", "vault.list"} {
				s.w.Slow(op+" rekey-"+busy.id+"-staged", 28*time.Second)
			}
		}
		time.Sleep(time.Until(due))
		one := service(s.w)
		one.Rotator.Parallel = 2
		over := make(chan struct{})
		go func() { defer close(over); one.Rotator.Sweep(context.WithoutCancel(t.Context())) }()
		time.Sleep(10 * time.Second)

		asked := time.Now()
		_, err := one.Rotate(t.Context(), idle.id, connection.RotateOptions{By: "tester"})
		took := time.Since(asked)
		if err != nil {
			t.Errorf("rotating: %v", err)
		}
		expected.Failure(t, 17, "waiting for a worker is not part of the request's time", func(t expected.TB) {
			if took > 26*time.Second {
				t.Errorf("the request took %s", took)
			}
		})
		<-over
		s.sweep(t, time.Hour)
		s.issuedWithin(t, idle.app.ClientID, asked, asked.Add(10*time.Minute))
		s.check(t)
	})
}
