package connection_test

import (
	"testing"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// daily is a schedule: every day at that time.
func daily(hours, minutes int) schedule.Schedule {
	return schedule.Schedule{Interval: 1, Hours: hours, Minutes: minutes, Zone: "UTC"}
}

// neighbour is a connection beside others.
type neighbour struct {
	id  string
	app rotation.Application
}

// neighbour creates a connection of a new application that rotates its own client
// secret, which is removed as soon as the next one is published.
func (s *subject) neighbour(t *testing.T, name string, schedule schedule.Schedule) neighbour {
	t.Helper()
	app, secret, keyID := s.w.AddApplication()
	s.w.Name(keyID)
	in := s.publishing(name, secret, keyID)
	in.Credentials.ClientID, in.Rotate, in.Schedule, in.Grace = app.ClientID, true, schedule, new(time.Duration)
	rec, err := service(s.w).Create(t.Context(), in)
	if err != nil {
		t.Fatalf("creating %s: %v", name, err)
	}
	return neighbour{rec.ID, app}
}

// crowd gives the parent that many targets, all on one schedule.
func (s *subject) crowd(t *testing.T, n int, schedule schedule.Schedule) (targets []neighbour) {
	t.Helper()
	for range n {
		app, _, _ := s.w.AddApplication()
		s.w.Own(app.ClientID, s.acting.ClientID, true)
		rec, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
			Target: connection.Target{ClientID: app.ClientID}, Rotate: true, Schedule: schedule, By: "tester",
		})
		if err != nil {
			t.Fatalf("adding a target: %v", err)
		}
		targets = append(targets, neighbour{rec.ID, app})
	}
	return targets
}

// sleepUntil lets time pass with the timer at work.
func (s *subject) sleepUntil(t *testing.T, at time.Time) {
	t.Helper()
	s.sweep(t, time.Until(at))
	time.Sleep(time.Until(at))
}
