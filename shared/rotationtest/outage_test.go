package rotationtest_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// A permission that lacks is tried again ever more slowly, at once on request,
// and nothing is to be looked for, since nothing was issued.
func TestPermissionRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = true })
		var tries []time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			tries = append(tries, time.Now())
			return add()
		}
		s.sweep(4 * day)
		if len(tries) < 7 {
			t.Fatalf("%d tries in four days", len(tries))
		}
		for i, want := range []time.Duration{hour, 2 * hour, 4 * hour, 8 * hour, 16 * hour, 24 * hour} {
			if pause := tries[i+1].Sub(tries[i]); pause < want || pause > want+want/5+2*time.Minute {
				t.Errorf("pause %d: %s, want %s and up to a fifth", i+1, pause, want)
			}
		}
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error.Class != serviceerror.Permission ||
			!strings.Contains(rec.Error.Message, "Application.ReadWrite.OwnedBy") || len(rec.Orphans()) != 0 {
			t.Errorf("phase %s, error %+v, abandoned %v", rec.Phase, rec.Error, rec.Orphans())
		}
		n := len(tries)
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(time.Second)
		if len(tries) != n+1 {
			t.Errorf("%d tries on request, want 1 at once", len(tries)-n)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = false })
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "again"})
		s.sweep(hour)
		s.rotated(rotation.OnRequest)
	})
}

// Retry-After is honoured, in issuing, in proving and in removing.
func TestRetryAfter(t *testing.T) {
	throttled := func(op string) error {
		return &serviceerror.Error{Op: op, Class: serviceerror.Throttled, Status: 429, RetryAfter: 10 * time.Minute}
	}
	// once answers the first call so, and checks when the second comes.
	once := func(t *testing.T, first *time.Time) func() error {
		return func() error {
			switch {
			case first.IsZero():
				*first = time.Now()
				return throttled("calling")
			case time.Since(*first) < 10*time.Minute:
				t.Errorf("called again after %s", time.Since(*first))
			}
			return nil
		}
	}
	for name, arm := range map[string]func(s *subject, next func() error){
		"issuing": func(s *subject, next func() error) {
			s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
				if err := next(); err != nil {
					return rotation.Issued{}, err
				}
				return add()
			}
		},
		"proving": func(s *subject, next func() error) {
			s.h.token = func(v secret.Value) error {
				if v == s.secret {
					return nil
				}
				return next()
			}
		},
		"removing": func(s *subject, next func() error) { s.h.removing = func(string) error { return next() } },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				var first time.Time
				arm(s, once(t, &first))
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				s.sweep(hour)
				if first.IsZero() {
					t.Error("never called")
				}
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// An outage of a day leaves nothing behind: what was never asked for need not be
// looked for.
func TestOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.token = func(secret.Value) error {
			return &serviceerror.Error{Op: "signing in", Class: serviceerror.Transient, Status: 503}
		}
		s.sweep(day)
		rec := s.record()
		if len(rec.Orphans()) != 0 || rec.Stale.Pending() || rec.Error == nil || rec.Error.Class != serviceerror.Transient {
			t.Errorf("orphans %d, stale %+v, error %+v", len(rec.Orphans()), rec.Stale, rec.Error)
		}
		s.h.token = nil
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		s.live(3)
	})
}
