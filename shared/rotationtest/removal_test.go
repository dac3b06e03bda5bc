package rotationtest_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// R7: a read that shows it again begins the count anew, and after five minutes it is
// removed once more.
func TestFlappingReads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var removals []time.Time
		s.h.removing = func(string) error { removals = append(removals, time.Now()); return nil }
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		reads := 0
		s.h.reading = func(st *rotation.ApplicationState) {
			if len(removals) == 0 {
				return
			}
			if reads++; reads == 4 || reads == 8 {
				st.Passwords = append(st.Passwords, rotation.Password{KeyID: s.keyID})
			}
		}
		s.sweep(2 * hour)
		s.rotated(rotation.OnEmergency)
		if reads != 13 || len(removals) != 2 {
			t.Errorf("%d reads and %d removals, want 4 + 4 + 5 and 2", reads, len(removals))
		}
	})
}

// R7: "no such credential" is no proof that it is gone.
func TestMissingOnlyStartsTheReads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var asked time.Time
		s.h.removing = func(string) error {
			asked = time.Now()
			return &serviceerror.Error{Op: "removing a password", Class: serviceerror.CredentialMissing, Status: 400}
		}
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		for range 20 {
			if len(s.events(history.Revoked)) == 0 {
				s.sweep(time.Second)
			}
		}
		s.h.removing = nil
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
		s.live(2)
		if n := len(s.events(history.Revoked)); n != 2 {
			t.Errorf("%d removals, want a second one, since it still showed", n)
		}
		if gone := s.events(history.Gone); len(gone) != 1 || gone[0].At.Sub(asked) < 9*time.Minute {
			t.Errorf("gone: %v, asked at %s", gone, asked)
		}
	})
}

// unreadable is a directory whose applications can't be read while failure says so.
type unreadable struct {
	rotator.Directory
	failure func() error
}

func (d unreadable) Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error) {
	if err := d.failure(); err != nil {
		return rotation.ApplicationState{}, err
	}
	return d.Directory.Application(ctx, token, app)
}

// R7: an application that can't be read shows nothing, least of all that what was
// removed from it is gone. The read is put off, and five good ones are still to come.
func TestFailedReadIsNoRead(t *testing.T) {
	for name, failure := range map[string]error{
		"forbidden": &serviceerror.Error{Op: "reading an application", Class: serviceerror.Permission, Status: 403},
		"throttled": &serviceerror.Error{Op: "reading an application", Class: serviceerror.Throttled, Status: 429},
		"no answer": &serviceerror.Error{Op: "reading an application", Class: serviceerror.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				removed, down, failed, good := false, true, 0, 0
				s.h.removing = func(string) error { removed = true; return nil }
				sweep := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
						r := s.rotator()
						r.Directory = unreadable{r.Directory, func() error {
							switch {
							case !removed:
								return nil
							case down:
								failed++
								return failure
							}
							good++
							return nil
						}}
						if _, err := r.Sweep(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				sweep(3 * hour)
				if !removed || failed < 2 {
					t.Fatalf("removed %v, then %d reads failed", removed, failed)
				}
				if o := s.record().Removals; len(o) != 1 || o[0].KeyID != s.keyID || o[0].GoneReads != 0 || len(s.events(history.Gone)) != 0 {
					t.Errorf("after %d reads that failed: retiring %+v, gone %v", failed, o, s.events(history.Gone))
				}
				down = false
				sweep(6 * hour)
				if gone := s.events(history.Gone); len(gone) != 1 || gone[0].KeyID != s.keyID || good < 5 {
					t.Errorf("gone %v after %d good reads, want 5", gone, good)
				}
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// R11: what is issued is named for its deployment, connection and attempt, and for
// nothing else: no date of a clock that nothing can check.
func TestMarkerHasNoDate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		names := map[string]bool{}
		s.h.reading = func(st *rotation.ApplicationState) {
			for _, p := range st.Passwords {
				if strings.HasPrefix(p.DisplayName, "rekey") {
					names[p.DisplayName] = true
				}
			}
		}
		for range 2 {
			s.ask(rotation.Request{Kind: rotation.AskEmergency})
			s.sweep(hour)
			s.rotated(rotation.OnEmergency)
		}
		form := regexp.MustCompile("^rekey/" + rotationtest.Deployment + "/" + s.id + "/[A-Z2-7]{10}$")
		for name := range names {
			if !form.MatchString(name) || len(name) > 64 {
				t.Errorf("%q is not of the form %s, or is longer than 64 characters", name, form)
			}
		}
		if len(names) != 2 {
			t.Errorf("%d names for two attempts: %v", len(names), names)
		}
	})
}

// P2: an attempt of unknown outcome is known by its marker alone. One that bears it is
// removed; of two it is unknown which was issued, and of what turns up later, that it was
// not: these are reported and left alone.
func TestWhatElseBearsTheMarker(t *testing.T) {
	for name, late := range map[string]bool{"at once": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = 0
				marker, copied := "", ""
				forge := func() { copied = s.w.AddMarked(s.app.ClientID, marker) }
				s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
					s.h.add = nil
					marker = s.record().Run.Marker
					if _, err := add(); err != nil {
						return rotation.Issued{}, err
					}
					if !late {
						forge()
					}
					return rotation.Issued{}, unknown("adding a password")
				}
				if late {
					s.h.removing = func(string) error { s.h.removing = nil; forge(); return nil }
				}
				s.sweep(3 * hour)
				rec := s.record()
				if rec.LastRun == nil || rec.LastRun.Outcome != "success" || len(rec.Orphans()) != 0 {
					t.Fatalf("last run %+v, abandoned %+v", rec.LastRun, rec.Orphans())
				}
				want := map[bool]int{false: 2, true: 1}[late]
				if by := s.events(history.ByHand); len(by) != want || len(rec.ByHand) != want || !by[0].Notice {
					t.Errorf("reported: %+v", by)
				}
				if !s.w.IsLive(copied) {
					t.Error("the copy was removed")
				}
				s.live(want + 3) // with current, the one before in its grace period, the foreign one
			})
		})
	}
}

// P3: that one credential of an application is left to a person keeps no other of it from
// being removed, although its attempt's outcome is unknown.
func TestAnOrphanBesideOneLeftToAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Directory.Propagation = 0
		s.edit(func(rec *rotation.Record) {
			rec.ByHand = []rotation.ByHand{{Target: s.app, KeyID: "another", Since: time.Now(), Reason: "it could not be removed"}}
		})
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			s.h.add = nil
			if _, err := add(); err != nil {
				return rotation.Issued{}, err
			}
			return rotation.Issued{}, unknown("adding a password")
		}
		s.sweep(3 * hour)
		if rec := s.record(); len(rec.Orphans()) != 0 || len(rec.ByHand) > 1 {
			t.Errorf("abandoned %+v, by hand %+v", rec.Orphans(), rec.ByHand)
		}
		s.rotated(rotation.OnSchedule)
		s.w.CheckEnd(s.id)
	})
}

// A removal that fails waits longer each time. The operator who has mended why need not wait: a
// rotation that is asked for tries it again at once.
func TestARotationTriesRemovalsAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		old, refuse := s.keyID, true
		s.h.removing = func(string) error {
			if refuse {
				return &serviceerror.Error{Op: "removing a password", Class: serviceerror.Permission, Status: 403}
			}
			return nil
		}
		s.sweep(3*day - 50*time.Minute)
		rec := s.record()
		if m := rec.Removal(old); m == nil || time.Until(m.NextAt) < 10*time.Minute {
			t.Fatalf("the removal %+v, want one that waits", m)
		}
		refuse = false
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(5 * time.Minute)
		rec = s.record()
		if m := rec.Removal(old); m != nil && m.RemovedAt.IsZero() {
			t.Errorf("it still waits: %+v", m)
		}
	})
}
