package rotationtest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// R10: an application that may have two client secrets has two.
func TestFullApplication(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Audience = "AzureADandPersonalMicrosoftAccount" })
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			t.Error("a third one is asked for")
			return add()
		}
		s.sweep(3 * hour)
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != serviceerror.Full || len(rec.Orphans()) != 0 {
			t.Errorf("phase %s, error %+v, abandoned %v", rec.Phase, rec.Error, rec.Orphans())
		}
		s.live(2)
		if s.published() != s.keyID {
			t.Error("current was touched")
		}
	})
}

// R10: where a tenant's policy allows less than two intervals, half of what was refused is
// asked for until it is accepted, and rotation keeps ahead of the shorter end.
func TestLifetimePolicy(t *testing.T) {
	for _, longest := range []time.Duration{64 * day, 62 * day, 34 * day, 5 * day, day} {
		t.Run(longest.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Longest = longest })
				s.sweep(2 * hour)
				s.rotated(rotation.OnSchedule)
				rec := s.record()
				life := rec.Current.ExpiresAt.Sub(rec.LastRotatedAt)
				if most := min(longest, 63*day); life < most/2-hour || life > most {
					t.Errorf("it lives for %s, want %s at most and half of that at least", life, most)
				}
				first := rec.Current.KeyID
				s.sweep(longest + day)
				if rec := s.record(); longest < 30*day && (rec.Current.KeyID == first || !rec.Current.ExpiresAt.After(time.Now())) {
					t.Errorf("current %s ends %s", rec.Current.KeyID, rec.Current.ExpiresAt)
				}
			})
		})
	}
}

// R10: a policy that allows less than a day is named.
func TestLifetimePolicyOfHours(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Longest = 12 * hour })
		s.sweep(2 * hour)
		if rec := s.record(); rec.Phase != rotation.Idle || rec.Error == nil ||
			rec.Error.Class != serviceerror.PolicyLifetime || rec.LastRun.Outcome != "failed" {
			t.Errorf("phase %s, error %+v", rec.Phase, rec.Error)
		}
		s.live(2)
	})
}

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

// A slot that comes when a pass has little time left: the next pass issues at once.
func TestNoTimeToIssue(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		time.Sleep(hour - 3*time.Minute)
		s.edit(func(rec *rotation.Record) { rec.WakeAt = time.Now() })
		var issued time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			issued = time.Now()
			if left := time.Until(s.record().Lease.Until); left < 150*time.Second {
				t.Errorf("issued when the lease had %s left: storing the value takes time, too", left)
			}
			return add()
		}
		s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{}) // waits for the slot
		s.sweep(hour)
		s.rotated(rotation.OnSchedule)
		if late := issued.Sub(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)); late > 90*time.Second ||
			len(s.events(history.AttemptDropped)) != 0 {
			t.Errorf("issued %s after the slot; attempts given up: %d", late, len(s.events(history.AttemptDropped)))
		}
	})
}

// With rotation off the end of the credential is announced 14, 7, 3 and 1 days before.
func TestWarnings(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		end := time.Now().Add(20 * day)
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled, rec.Current.ExpiresAt = false, end })
		s.sweepEvery(hour, 21*day)
		var left []int
		for _, e := range s.events(history.Expiring) {
			left = append(left, int((end.Sub(e.At)+2*hour)/day))
		}
		if want := []int{14, 7, 3, 1}; !slices.Equal(left, want) {
			t.Errorf("warnings %v days before the end, want %v", left, want)
		}
		if s.w.Directory.Issued != 0 {
			t.Error("rotation is off, but something was issued")
		}
	})
}

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

// The process that created the connection died: the vault tells whether the given
// secret reached it.
func TestCreationAfterACrash(t *testing.T) {
	for _, arrived := range []bool{true, false} {
		t.Run(fmt.Sprintf("arrived %t", arrived), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) {
					rec.Phase, rec.Acknowledged, rec.Current.VaultVersion, rec.Current.Origin = rotation.Creating, false, "", rotation.OriginNamed
					if !arrived {
						rec.VaultName = "nothing-there"
					}
				})
				s.sweep(hour)
				if arrived {
					s.rotated(rotation.OnCreation)
				} else if s.exists() || len(s.events(history.Undone)) == 0 || len(s.events(history.Started)) != 0 {
					t.Error("the creation is not undone")
				}
				s.live(2)
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

// R12: a request that comes while a pass waits is seen at once, and what the pass has
// proven by then still counts.
func TestNudgeKeepsTheProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		tokens := 0
		s.h.token = func(v secret.Value) error {
			if v != s.secret {
				tokens++
			}
			return nil
		}
		published := 0
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) && published == 0 {
				published = tokens
			}
			return nil
		}
		r := s.rotator()
		var wg sync.WaitGroup
		wg.Go(func() { r.Pass(t.Context(), s.id, rotator.PassOptions{}) })
		for range 30 {
			time.Sleep(time.Second)
			r.Nudge(s.id)
		}
		wg.Wait()
		if refused := 2; published > 4+refused { // 3 in a row, one more to publish, and those before it has replicated
			t.Errorf("%d tokens until it was published", published)
		}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// R4: a run that ends while it is unknown whether a dead pass has staged a value leaves
// no staged version enabled.
func TestAbandonAfterACrash(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.h.put = func(v rotation.VaultSecret) error {
			if isStaged(v) {
				s.h.put = nil
				s.w.Restart()
			}
			return nil
		}
		time.Sleep(hour)
		s.sweep(time.Second)
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(hour)
		s.w.CheckEnd(s.id)
		s.live(2)
		if rec := s.record(); rec.LastRun == nil || rec.LastRun.Outcome != "abandoned" {
			t.Errorf("last run: %+v", rec.LastRun)
		}
	})
}
