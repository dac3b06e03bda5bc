package connection_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// The request tells as many targets as it has time for that the connection
// signs in again; the timer tells the rest.
func TestReconnectingManyTargetsStaysWithinTheRequestsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.AtEnd = true
		withParent(t, s)
		targets := s.crowd(t, 120, daily(6, 0))
		s.sweep(t, 30*time.Minute)
		due := s.nextSlotOf(t, targets[0].id)
		s.w.Withdraw(s.acting.ClientID)
		s.sleepUntil(t, due.Add(10*time.Minute))
		for i, o := range targets {
			if !s.troubleOf(t, o.id) {
				t.Fatalf("target %d does not wait for new credentials", i)
			}
		}
		s.w.AddCertificate(s.acting.ClientID, stored(renewed))
		s.w.Slow("store.load", 100*time.Millisecond) // so that a hundred targets are many
		asked := time.Now()
		_, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		took := time.Since(asked)
		if err != nil {
			t.Fatalf("reconnecting: %v", err)
		}
		s.w.Slow("store.load", 0)
		if took > 26*time.Second {
			t.Errorf("the request took %s for %d targets", took.Round(time.Second), len(targets))
		}
		// However many of them the request has woken: none waits for the end of its pause.
		s.sweep(t, 10*time.Minute)
		waiting := 0
		for _, o := range targets {
			if s.issuedAfter(o.app.ClientID, asked).IsZero() {
				waiting++
			}
		}
		if waiting > 0 {
			t.Errorf("%d targets have not been rotated ten minutes after the connection signs in again", waiting)
		}
		s.w.AtEnd = false
		s.check(t)
	})
}

// newerTarget makes a connection with two targets, one of which a newer Rekey has written,
// and returns the other one.
func newerTarget(t *testing.T, s *subject) (readable neighbour) {
	t.Helper()
	withParent(t, s)
	two := s.crowd(t, 2, daily(3, 0))
	s.sweep(t, 30*time.Minute)
	s.writtenByANewer(t, two[1].id)
	return two[0]
}

// One row that can't be read hides no other target.
func TestATargetOfANewerSchemaIsLeftOutOfTheListAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		readable := newerTarget(t, s)
		list, err := service(s.w).Targets(t.Context(), s.parent)
		if err != nil || len(list) != 1 || list[0].ID != readable.id {
			t.Errorf("%d targets, %v; want the one that can be read", len(list), err)
		}
		if !s.saysLeftOut(1) {
			t.Errorf("the log does not say that one was left out")
		}
		s.check(t)
	})
}

// The refusal is about the targets: the connection itself is not newer.
func TestAConnectionWithATargetOfANewerSchemaIsNotDeletedAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		readable := newerTarget(t, s)
		_, both := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{By: "tester"})
		if _, err := service(s.w).Delete(t.Context(), readable.id, connection.DeleteOptions{Revoke: true, By: "tester"}); err != nil {
			t.Fatalf("deleting the target that can be read: %v", err)
		}
		s.sweep(t, time.Hour)
		if exists(s.w, readable.id) {
			t.Fatal("the target that can be read is still there")
		}
		_, one := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{By: "tester"})
		if rec := s.recordOf(t, s.parent); rec.Phase == rotation.Deleting || both == nil || one == nil {
			t.Errorf("the connection is being deleted under a target that needs it")
		}
		for i, err := range []error{both, one} {
			if n := fmt.Sprintf("%d target", 2-i); err == nil || !strings.Contains(err.Error(), n) {
				t.Errorf("refused with %v, want that it authenticates for %ss", err, n)
			}
		}
		s.check(t)
	})
}
