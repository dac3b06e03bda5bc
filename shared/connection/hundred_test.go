package connection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// One certificate connection looks after a hundred applications, each on its own
// schedule. One loses its owner and another is deleted: that stops nothing else, and
// both say what to do.
func TestAHundredTargets(t *testing.T) {
	n := 100
	if rotationtest.Raced {
		n = 20
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		s.w.AtEnd = true
		type target struct {
			id       string
			app      rotation.Application
			interval int
		}
		var targets []target
		for i := range n {
			app, _, _ := s.w.AddApplication()
			s.w.Own(app.ClientID, s.acting.ClientID, true)
			interval := 1 + i%5
			rec, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
				Target: connection.Target{ClientID: app.ClientID}, Rotate: true, By: "tester",
				Schedule: schedule.Schedule{Interval: interval, Hours: i % 24, Minutes: i % 60, Zone: "UTC"},
			})
			if err != nil {
				t.Fatalf("target %d: %v", i, err)
			}
			targets = append(targets, target{rec.ID, app, interval})
		}
		if list, err := service(s.w).Targets(t.Context(), s.parent); err != nil || len(list) != n {
			t.Fatalf("%d targets, %v; want %d", len(list), err, n)
		}
		s.sweep(t, 10*time.Minute)
		end := time.Now().Add(11 * 24 * time.Hour)
		// Of the last two.
		s.w.Own(targets[n-2].app.ClientID, s.acting.ClientID, false)
		s.w.Change(targets[n-1].app.ClientID, func(a *rotationtest.AppSettings) { a.Deleted = true })
		s.sweepEvery(t, time.Minute, time.Until(end))

		for i, o := range targets {
			rec, _ := s.w.Record(o.id)
			events, _, err := service(s.w).History(t.Context(), o.id, "", 10_000)
			if err != nil {
				t.Fatal(err)
			}
			rotated := 0
			for _, e := range events {
				if e.Kind == history.Published {
					rotated++
				}
			}
			switch {
			case i < n-2:
				want := 1 // the first at once, and one at each slot since
				plan := rec.Policy.Schedule
				for slot := plan.First(rec.CreatedAt); slot.Add(10 * time.Minute).Before(end); slot = plan.After(slot, slot) {
					want++
				}
				if rotated < want || rotated > want+1 || rec.Error != nil {
					t.Errorf("target %d, every %d days: %d rotations, want %d; error %+v", i, o.interval, rotated, want, rec.Error)
				}
				if live := s.w.Live(o.app.ClientID); live > 1+1+2/o.interval+1 {
					t.Errorf("target %d: %d client secrets are alive", i, live)
				}
			case i == n-2:
				wantStuck(t, rec, serviceerror.Permission, "owner")
			default:
				wantStuck(t, rec, serviceerror.ApplicationMissing, "not found")
			}
		}
		if parent, _ := s.w.Record(s.parent); parent.Auth.Problem != nil || parent.Error != nil {
			t.Errorf("the connection itself: %+v, %+v", parent.Auth.Problem, parent.Error)
		}
		// What is mended goes on when asked.
		s.w.Own(targets[n-2].app.ClientID, s.acting.ClientID, true)
		rec, err := service(s.w).Rotate(t.Context(), targets[n-2].id, connection.RotateOptions{})
		if err != nil || rec.Error != nil && rec.Error.Class == serviceerror.Permission {
			t.Errorf("after it got its owner back: %v, %+v", err, rec.Error)
		}
		s.w.AtEnd = false
		s.w.OutsideBreak(true) // the application that was deleted
		s.sweep(t, 3*time.Hour)
		s.w.CheckEnd(targets[n-2].id)
		s.check(t)
	})
}

// wantStuck fails unless a record keeps what it has published and says what to do.
func wantStuck(t *testing.T, rec rotation.Record, class serviceerror.Class, says string) {
	t.Helper()
	if rec.Phase != rotation.Idle || rec.Current == nil || rec.Error == nil || rec.Error.Class != class ||
		!strings.Contains(rec.Error.Message, says) {
		t.Errorf("phase %s, error %+v; want %s: %q", rec.Phase, rec.Error, class, says)
	}
	if rec.Error != nil && time.Until(rec.Error.RetryAt) <= 0 {
		t.Error("it is not tried again")
	}
}

// phases bring a subject that was settled into each phase, between two passes.
var phases = map[string]func(t *testing.T, s *subject){
	"idle":       func(*testing.T, *subject) {},
	"issuing":    func(t *testing.T, s *subject) { s.stopAfter(t, "graph.addPassword") },
	"verifying":  func(t *testing.T, s *subject) { s.stopIn(t, rotation.Verifying) },
	"publishing": func(t *testing.T, s *subject) { s.stopIn(t, rotation.Publishing) },
	"retiring":   func(t *testing.T, s *subject) { s.rotateBy(t, 7*time.Minute) },
}

// rotateBy asks for a rotation and plays the timer for d.
func (s *subject) rotateBy(t *testing.T, d time.Duration) {
	t.Helper()
	s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
	s.sweep(t, d)
}

// stopIn rotates up to the first commit that reaches phase, and lets the process die
// right after it.
func (s *subject) stopIn(t *testing.T, phase rotation.Phase) {
	t.Helper()
	s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
	time.Sleep(time.Second)                 // wake-ups are in whole seconds
	service(s.w).Rotator.Sweep(t.Context()) // ends before the credential is old enough
	for range 10 {
		if rec, _ := s.w.Record(s.id); rec.Phase == phase {
			return
		}
		time.Sleep(2 * time.Minute)
		s.w.Break(2, rotationtest.CrashAfter) // the first takes the lease
		service(s.w).Rotator.Sweep(t.Context())
		s.w.Break(0, rotationtest.NoFault)
		s.w.Restart()
	}
	t.Fatalf("phase %s was not reached", phase)
}

// stopAfter rotates, and lets the process die after a write.
func (s *subject) stopAfter(t *testing.T, op string) {
	t.Helper()
	s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
	s.w.BreakAt(op, rotationtest.CrashAfter)
	for range 10 {
		service(s.w).Rotator.Sweep(t.Context())
		if slices.Contains(s.w.Writes(), op) {
			s.w.Break(0, rotationtest.NoFault)
			s.w.Restart()
			time.Sleep(6 * time.Minute)
			return
		}
		time.Sleep(time.Minute)
	}
	t.Fatalf("%s was not reached", op)
}

// Whatever the API is asked in whatever phase, and while a pass works or after one has
// died: no change is lost, nothing is forgotten, and every promise holds.
func TestEveryRequestInEveryPhase(t *testing.T) {
	requests := map[string]struct {
		ask  func(t *testing.T, s *subject) error
		gone bool
		live int // afterwards, with the foreign one
	}{
		"patch": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{
				Description: new("changed"), Schedule: &schedule.Schedule{Interval: 9, Hours: 5, Zone: "UTC"}, By: "tester",
			})
			return err
		}, false, 2},
		"rebind": {func(t *testing.T, s *subject) error {
			_, secret, keyID := s.other, s.otherSecret, s.otherKey
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
				TenantID: s.other.TenantID, ClientID: s.other.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
			}})
			return err
		}, false, 1},
		"rotate": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{})
			return err
		}, false, 2},
		"emergency": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true})
			return err
		}, false, 2},
		"abandon": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Abandon(t.Context(), s.id, "tester")
			return err
		}, false, 2},
		"delete": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{})
			return err
		}, true, 2},
		"revoke": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
			return err
		}, true, 1},
		"off": {func(t *testing.T, s *subject) error {
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"})
			return err
		}, false, 2},
	}
	for phase, bring := range phases {
		for name, r := range requests {
			t.Run(fmt.Sprintf("%s while %s", name, phase), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					settled(t, s)
					s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
					s.w.Name(s.otherKey)
					bring(t, s)
					refused := r.ask(t, s)
					if refused != nil && name != "abandon" { // of which there may be nothing
						t.Errorf("refused: %v", refused)
					}
					s.sweep(t, 5*24*time.Hour)
					s.ended(t, name, r.gone, r.live)
				})
			})
		}
	}
}

// ended checks what has to hold long after a request.
func (s *subject) ended(t *testing.T, name string, gone bool, live int) {
	t.Helper()
	rec, there := s.w.Record(s.id)
	if there == gone {
		t.Fatalf("the connection is there: %v", there)
	}
	if there {
		s.w.CheckEnd(s.id)
	}
	s.live(t, live)
	switch name {
	case "patch":
		if rec.Description != "changed" || rec.Policy.Schedule.Interval != 9 || rec.NextSlot.Hour() != 5 {
			t.Errorf("a change was lost: %q, %+v, next slot %s", rec.Description, rec.Policy.Schedule, rec.NextSlot)
		}
	case "rebind":
		if !rec.Target.Same(s.other) || s.w.Live(s.other.ClientID) != 1 {
			t.Errorf("of %s, with %d live client secrets of the new application", rec.Target.ClientID, s.w.Live(s.other.ClientID))
		}
	case "off":
		if rec.Policy.Enabled || !rec.NextSlot.IsZero() {
			t.Errorf("enabled %v, next slot %s", rec.Policy.Enabled, rec.NextSlot)
		}
	}
	s.check(t)
}

// Two changes at once: both are made, unless they name the version that they have
// seen; then one is, and the other is told.
func TestTwoChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		both := func(a, b connection.Change) (failed []error) {
			done := make(chan error, 2)
			for _, c := range []connection.Change{a, b} {
				go func() { _, err := service(s.w).Update(t.Context(), s.id, c); done <- err }()
			}
			for range 2 {
				if err := <-done; err != nil {
					failed = append(failed, err)
				}
			}
			return failed
		}
		planned := connection.Change{Schedule: &schedule.Schedule{Interval: 11, Zone: "UTC"}}
		if failed := both(connection.Change{Description: new("a")}, planned); len(failed) > 0 {
			t.Errorf("refused: %v", failed)
		}
		rec, _ := s.w.Record(s.id)
		if rec.Description != "a" || rec.Policy.Schedule.Interval != 11 {
			t.Errorf("a change was lost: %q, %+v", rec.Description, rec.Policy.Schedule)
		}
		failed := both(connection.Change{Description: new("b"), Version: &rec.Revision},
			connection.Change{Name: new("other"), Version: &rec.Revision})
		if len(failed) != 1 || !strings.Contains(failed[0].Error(), "Another caller has changed") {
			t.Errorf("refused: %v, want one of the two", failed)
		}
		s.check(t)
	})
}
