package rotationtest_test

import (
	"fmt"
	"testing"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/secret"
)

// R8: whichever commit has no answer, it is made once.
func TestCommitWithoutAnAnswer(t *testing.T) {
	for n, lost := 1, true; lost && n < 40; n++ {
		t.Run(fmt.Sprintf("commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits := 0
				s.h.committed = func() error {
					if commits++; commits == n {
						return unknown("committing")
					}
					return nil
				}
				version := s.record().Version
				if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); err != nil {
					t.Errorf("the pass ended with %v", err)
				}
				lost = commits >= n
				if got := s.record().Version - version; got != int64(commits) {
					t.Errorf("%d commits made %d versions", commits, got)
				}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				for _, kind := range []string{history.Started, history.Issued, history.Published,
					history.Revoked, history.Gone} {
					if got := len(s.events(kind)); got != 1 {
						t.Errorf("%d times %s", got, kind)
					}
				}
			})
		})
	}
}

// R8: whenever the API writes in the middle of a pass, the pass loses nothing and
// overwrites nothing.
func TestPolicyEditedDuringAPass(t *testing.T) {
	for n, edited := 1, true; edited && n < 40; n++ {
		t.Run(fmt.Sprintf("before commit %d", n), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				commits, revision := 0, int64(0)
				s.h.commit = func(rotation.Record) {
					if commits++; commits == n {
						s.edit(func(rec *rotation.Record) {
							rec.Name, rec.Policy.Schedule.Interval, rec.Policy.Grace = "renamed", 7, hour
							revision = rec.Revision + 1
						})
					}
				}
				tokens := 0
				s.h.token = func(secret.Value) error { tokens++; return nil }
				if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}); err != nil {
					t.Errorf("the pass ended with %v", err)
				}
				if edited = commits >= n; !edited {
					return
				}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
				rec := s.record()
				if rec.Name != "renamed" || rec.Policy.Schedule.Interval != 7 || rec.Policy.Grace != hour || rec.Revision != revision {
					t.Errorf("the edit is lost: %s, %+v, revision %d", rec.Name, rec.Policy, rec.Revision)
				}
				if s.w.Directory.Issued != 1 {
					t.Errorf("%d client secrets were issued", s.w.Directory.Issued)
				}
			})
		})
	}
}
