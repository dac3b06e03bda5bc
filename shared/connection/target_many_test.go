package connection_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
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
