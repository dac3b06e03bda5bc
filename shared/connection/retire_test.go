package connection_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
)

// retiring is the input of a target that retires client secrets of the subject's application.
func (s *subject) retiring(keyIDs ...string) connection.TargetInput {
	for _, keyID := range keyIDs {
		s.w.Name(keyID)
	}
	return connection.TargetInput{
		Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true, Schedule: monthly, Grace: new(7 * day), Retire: keyIDs, By: "tester",
	}
}

// retire makes a target that retires client secrets of the subject's application.
func (s *subject) retire(t *testing.T, in connection.TargetInput) error {
	rec, err := service(s.w).CreateTarget(t.Context(), s.parent, in)
	s.made(rec.ID)
	return err
}

// retiringAll is the input of one that retires the subject's two client secrets after two hours.
func (s *subject) retiringAll() connection.TargetInput {
	in := s.retiring(s.keyID, s.otherKey)
	in.Grace = new(2 * time.Hour)
	return in
}

// removedAfter is how long after the first publication the first client secret was removed.
func (s *subject) removedAfter(t *testing.T) time.Duration {
	t.Helper()
	var published, removed time.Time
	for _, e := range s.historyOf(t, s.id) {
		if e.Kind == history.Published {
			published = e.At // the newest come first
		}
	}
	for _, c := range s.w.Secrets(s.app.ClientID) {
		if !c.RemovedAt.IsZero() && (removed.IsZero() || c.RemovedAt.Before(removed)) && !c.Issued {
			removed = c.RemovedAt
		}
	}
	return removed.Sub(published)
}

// unscheduled is in with rotation off.
func unscheduled(in connection.TargetInput) connection.TargetInput {
	in.Rotate, in.Schedule = false, schedule.Schedule{}
	return in
}

// messages are what the history says of a kind, the newest first.
func (s *subject) messages(t *testing.T, kind string) (said []string) {
	t.Helper()
	for _, e := range s.historyOf(t, s.id) {
		if e.Kind == kind {
			said = append(said, e.Message)
		}
	}
	return said
}

// A target takes an application over: what its consumers used so far is removed when the grace
// period after the first publication is over, and not before; what was not named stays.
func TestATargetRetiresWhatItsApplicationHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		_, used := s.w.AddForeign(s.app.ClientID)
		if err := s.retire(t, s.retiring(s.keyID, " "+used)); err != nil {
			t.Fatal(err)
		}
		s.w.Name(used)
		s.sweep(t, 10*time.Minute)
		rec := s.record(t)
		if rec.Current == nil || len(rec.Retire) != 0 || len(rec.Replaced()) != 2 {
			t.Fatalf("current %+v, retires %v, to be removed %+v", rec.Current, rec.Retire, rec.Removals)
		}
		for _, m := range rec.Removals {
			if !m.After.Equal(rec.Current.Since.Add(7 * day)) {
				t.Errorf("%s goes at %s, want a week after %s", m.KeyID, m.After, rec.Current.Since)
			}
		}
		s.keepsWorking(t, t, time.Hour, 7*day-time.Hour)
		s.live(t, 4) // those two, one that was not named, and ours
		s.keepsWorking(t, t, time.Hour, 3*time.Hour)
		if s.works(s.keyID) || s.works(used) || s.w.Live(s.app.ClientID) != 2 {
			t.Errorf("alive: %t, %t, %d in all", s.works(s.keyID), s.works(used), s.w.Live(s.app.ClientID))
		}
		if created := s.messages(t, history.Created); len(created) != 1 || !strings.Contains(created[0], s.keyID+", "+used) {
			t.Errorf("of its creation the history says %q", created)
		}
		if revoked, gone := s.count(t, history.Revoked), s.count(t, history.Gone); revoked != 2 || gone != 2 {
			t.Errorf("the history has %d removals, of which %d are confirmed", revoked, gone)
		}
		removed := 0 // as an inventory is told, which still has them
		for _, m := range s.both(t, s.record(t).Target) {
			for _, keyID := range []string{s.keyID, used} {
				if m.TargetID == s.id && !m.Removed[strings.ToLower(keyID)].IsZero() {
					removed++
				}
			}
		}
		if removed != 2 {
			t.Errorf("the target says of %d client secrets that it has removed them", removed)
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// What a target retires may have a grace period of its own, which later rotations don't have. To make it shorter is to
// remove sooner.
func TestWhatATargetRetiresHasAGracePeriodOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		in := unscheduled(s.retiring(s.keyID))
		in.OriginalGrace = new(2 * day)
		if err := s.retire(t, in); err != nil {
			t.Fatal(err)
		}
		sooner := connection.Change{OriginalGrace: new(day), Rotate: new(true), Schedule: &monthly, By: "tester"}
		_, err := service(s.w).Update(connection.WithoutRemovals(t.Context()), s.id, sooner)
		refusal(t, err, connection.Forbidden, `needs the role "rotate"`)
		if _, err := service(s.w).Update(t.Context(), s.id, sooner); err != nil {
			t.Fatal(err)
		}
		_, err = service(s.w).Update(connection.WithoutRemovals(t.Context()), s.id, connection.Change{OriginalGrace: new(time.Hour)})
		refusal(t, err, connection.Forbidden, `sooner`)
		s.sweep(t, 33*day)
		rec := s.record(t)
		if took := s.removedAfter(t); took < day || took > day+time.Hour {
			t.Errorf("what it retires is removed after %s, want a day", took)
		}
		if old := rec.Replaced(); len(old) != 1 || !old[0].After.Equal(rec.Current.Since.Add(7*day)) {
			t.Errorf("the next rotation replaces %+v, current since %s, want a week of grace", old, rec.Current.Since)
		}
		// The same request again, by a caller who has lost the answer: what it names is gone by now.
		_, err = service(s.w).CreateTarget(t.Context(), s.parent, in)
		refusal(t, err, connection.Conflict, "already a target of this connection")
		s.check(t)
	})
}

// Before anything is made it is certain that what is to be retired is there, and that it is what
// the caller means.
func TestWhatATargetCanNotRetire(t *testing.T) {
	const unknown, secretly = "44444444-4444-4444-8444-00000000dead", "abc8q~in-the-wrong-place"
	for name, tt := range map[string]struct {
		retire func(s *subject) []string
		says   func(s *subject) []string
	}{
		"what is not there, with those that are": {
			func(s *subject) []string { return []string{s.keyID, unknown} },
			func(s *subject) []string {
				return []string{"with the key id " + unknown + ".", s.keyID + ` ("made by hand", ends `}
			},
		},
		"one of the service principal": {
			func(s *subject) []string {
				s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Principal = []rotation.Password{{KeyID: unknown}} })
				return []string{unknown}
			},
			func(s *subject) []string { return []string{"with the key id " + unknown + "."} },
		},
		"what is no key id": {
			func(s *subject) []string { return []string{secretly, secretly} },
			func(s *subject) []string { return []string{"retireKeyIds must be UUIDs", "Secret ID"} },
		},
		"one that is named twice": {
			func(s *subject) []string { return []string{unknown, strings.ToUpper(unknown)} },
			func(s *subject) []string { return []string{"names " + unknown + " more than once"} },
		},
		"more than may wait": {
			func(s *subject) (many []string) {
				for i := range rotation.MaxReplaced + 1 {
					many = append(many, fmt.Sprintf("44444444-4444-4444-8444-%012d", i))
				}
				return many
			},
			func(s *subject) []string { return []string{"at most 32"} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withParent(t, s)
				in := s.retiring()
				in.Retire = tt.retire(s)
				reserved := len(s.w.Reserved())
				_, err := service(s.w).CreateTarget(t.Context(), s.parent, in)
				for _, says := range tt.says(s) {
					refusal(t, err, connection.Invalid, says)
				}
				if err != nil && strings.Contains(err.Error(), secretly) {
					t.Errorf("what may be a secret is quoted: %v", err)
				}
				if records, left := len(s.w.Records()), len(s.w.Reserved()); records != 1 || left != reserved {
					t.Errorf("%d records, %d reservations", records, left)
				}
				s.sweep(t, day)
				s.live(t, 2)
				s.check(t)
			})
		})
	}
}

// To name client secrets that are removed one day needs the role that removes.
func TestRetiringNeedsTheRoleThatRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		in := unscheduled(s.retiring(s.keyID))
		_, err := service(s.w).CreateTarget(connection.WithoutRemovals(t.Context()), s.parent, in)
		refusal(t, err, connection.Forbidden, `needs the role "rotate"`)
		in.Retire = nil
		if _, err := service(s.w).CreateTarget(connection.WithoutRemovals(t.Context()), s.parent, in); err != nil {
			t.Errorf("without any: %v", err)
		}
	})
}

// A target of the very application that its connection signs in as does not retire what that
// signs in with, nor any while it is not known which one that is.
func TestATargetDoesNotRetireWhatItsConnectionSignsInWith(t *testing.T) {
	const ours, unknown = "signs in with the client secret ", "does not know which one it is"
	for name, tt := range map[string]struct {
		parent func(t *testing.T, s *subject)
		says   string // of its own one; empty: it may be retired
		others string // of another one
	}{
		"by its key id":                              {unrotated, ours, ""},
		"by a client secret without its key id":      {withGiven, unknown, unknown},
		"by a client secret that it does not rotate": {func(t *testing.T, s *subject) { s.signsInWithSecret(t) }, unknown, unknown},
		"by one, and it goes over to another one":    {func(t *testing.T, s *subject) { s.replacesItsOwn(t) }, ours, ours},
		"by certificate, and not by a client secret": {func(t *testing.T, s *subject) { s.certified(t) }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				s.w.Own(s.app.ClientID, "sp-"+s.app.ObjectID, true)
				tt.parent(t, s)
				s.parent = s.id
				if tt.others != ours {
					_, s.otherKey = s.w.AddForeign(s.app.ClientID)
				}
				reserved := len(s.w.Reserved())
				for keyID, says := range map[string]string{s.keyID: tt.says, s.otherKey: tt.others} {
					err := s.retire(t, unscheduled(s.retiring(keyID)))
					if says != "" {
						refusal(t, err, connection.Invalid, says)
						if n := len(s.w.Reserved()); n != reserved {
							t.Errorf("%d reservations, want %d", n, reserved)
						}
						continue
					}
					if err != nil {
						t.Fatalf("retiring %s: %v", keyID, err)
					}
					if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				s.check(t)
			})
		})
	}
}

// replacesItsOwn makes a connection and leaves it going over to another client secret of its
// application.
func (s *subject) replacesItsOwn(t *testing.T) {
	t.Helper()
	unrotated(t, s)
	next, keyID := s.w.AddForeign(s.app.ClientID)
	time.Sleep(10 * time.Second)
	s.rebindTo(t, s.app, next, keyID)
	s.otherKey = keyID
}

// certified makes a connection that signs in as the subject's application, by certificate.
func (s *subject) certified(t *testing.T) {
	t.Helper()
	in := s.actor()
	s.w.AddCertificate(s.app.ClientID, stored(given))
	in.ClientID = s.app.ClientID
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
}
