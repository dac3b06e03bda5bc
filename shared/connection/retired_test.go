package connection_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// With rotation off nothing is removed until a caller rotates by hand, with the grace period
// that they choose. A dry run tells it, and writes nothing.
func TestWhatIsRetiredWaitsForARotationByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		if err := s.retire(t, unscheduled(s.retiring(s.keyID))); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 60*day)
		if rec := s.record(t); !s.works(s.keyID) || !slices.Equal(rec.Retire, []string{s.keyID}) || !rec.Settled(time.Now()) {
			t.Fatalf("works: %t, retires %v, settled: %t", s.works(s.keyID), rec.Retire, rec.Settled(time.Now()))
		}
		opts := connection.RotateOptions{Grace: new(2 * time.Hour), By: "tester"}
		plan, err := service(s.w).DryRun(t.Context(), s.id, opts)
		if want := "2h5m0s Remove " + s.keyID; err != nil || !strings.Contains(outline(plan, time.Now()), want) {
			t.Errorf("a dry run: %s, %v; want %s", outline(plan, time.Now()), err, want)
		}
		if _, err := service(s.w).Rotate(t.Context(), s.id, opts); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 2*time.Hour)
		published := s.record(t).Current.Since
		if !s.works(s.keyID) {
			t.Errorf("it was removed %s after the publication", time.Since(published))
		}
		s.sweep(t, time.Hour)
		if s.works(s.keyID) {
			t.Error("it was not removed")
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// What a person has removed in the meantime is done with.
func TestWhatIsToBeRetiredAndIsGoneIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		in := s.retiring(s.keyID)
		in.Grace = new(time.Hour)
		if err := s.retire(t, unscheduled(in)); err != nil {
			t.Fatal(err)
		}
		s.w.RemoveByHand(s.keyID)
		s.rotateBy(t, 3*time.Hour)
		if rec := s.record(t); len(rec.Removals)+len(rec.ByHand) != 0 || len(s.attentionOf(t, s.id)) != 0 {
			t.Errorf("to be removed %+v, by hand %+v", rec.Removals, rec.ByHand)
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// A target that goes before it has published anything removes nothing: whether its creation is
// refused by Entra, or it is deleted.
func TestATargetThatNeverPublishedRetiresNothing(t *testing.T) {
	for name, tt := range map[string]func(t *testing.T, s *subject, in connection.TargetInput){
		"its creation is refused": func(t *testing.T, s *subject, in connection.TargetInput) {
			s.w.Directory.Refuse = &serviceerror.Error{Op: "adding a password", Class: serviceerror.PolicyForbidden, Status: 400}
			if err := s.retire(t, in); err == nil {
				t.Fatal("it was created")
			}
			s.w.Directory.Refuse = nil
		},
		"it is deleted": func(t *testing.T, s *subject, in connection.TargetInput) {
			if err := s.retire(t, unscheduled(in)); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, day)
			if _, err := service(s.w).Delete(connection.WithoutRemovals(t.Context()), s.id, connection.DeleteOptions{By: "tester"}); err != nil {
				t.Fatal(err)
			}
		},
		"it is deleted and revoked": func(t *testing.T, s *subject, in connection.TargetInput) {
			if err := s.retire(t, unscheduled(in)); err != nil {
				t.Fatal(err)
			}
			if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"}); err != nil {
				t.Fatal(err)
			}
		},
		"it is deleted while its new secret is proven": func(t *testing.T, s *subject, in connection.TargetInput) {
			if err := s.retire(t, unscheduled(in)); err != nil {
				t.Fatal(err)
			}
			s.stopIn(t, rotation.Verifying)
			if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"}); err != nil {
				t.Fatal(err)
			}
		},
		"it is deleted while its new secret is published": func(t *testing.T, s *subject, in connection.TargetInput) {
			if err := s.retire(t, unscheduled(in)); err != nil {
				t.Fatal(err)
			}
			s.stopIn(t, rotation.Publishing)
			if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withParent(t, s)
				tt(t, s, s.retiring(s.keyID))
				s.sweep(t, 10*day)
				if exists(s.w, s.id) {
					t.Errorf("the target is there: phase %s", s.record(t).Phase)
				}
				if !s.works(s.keyID) {
					t.Error("what it should have retired was removed")
				}
				s.live(t, 2)
				s.check(t)
			})
		})
	}
}

// An emergency before the first publication has no grace period, and neither has what it
// replaces; one that comes later ends the grace period.
func TestAnEmergencyRetiresAtOnce(t *testing.T) {
	for name, first := range map[string]func(t *testing.T, s *subject) error{
		"as the first rotation": func(t *testing.T, s *subject) error { return s.retire(t, unscheduled(s.retiring(s.keyID))) },
		"after the first":       func(t *testing.T, s *subject) error { return s.retire(t, s.retiring(s.keyID)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withParent(t, s)
				if err := first(t, s); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, time.Hour)
				if !s.works(s.keyID) {
					t.Fatal("it was removed before the emergency")
				}
				if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 20*time.Minute)
				if s.works(s.keyID) {
					t.Error("it was not removed")
				}
				s.w.CheckEnd(s.id)
				s.check(t)
			})
		})
	}
}

// A run that ends without a proof retires nothing; the next one that publishes does, with the
// grace period of the target.
func TestWhatIsRetiredOutlastsARunThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		if err := s.retire(t, unscheduled(s.retiring(s.keyID))); err != nil {
			t.Fatal(err)
		}
		s.refuse(&serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401})
		s.rotateBy(t, 5*time.Hour)
		rec := s.record(t)
		if rec.LastRun == nil || rec.LastRun.Outcome != "failed" || !slices.Equal(rec.Retire, []string{s.keyID}) || !s.works(s.keyID) {
			t.Fatalf("last run %+v, retires %v, works: %t", rec.LastRun, rec.Retire, s.works(s.keyID))
		}
		s.refuse(nil)
		s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "again"})
		s.sweep(t, 2*time.Hour)
		if rec = s.record(t); rec.Current == nil || rec.Removal(s.keyID) == nil ||
			!rec.Removal(s.keyID).After.Equal(rec.Current.Since.Add(7*day)) {
			t.Fatalf("current %+v, to be removed %+v", rec.Current, rec.Removals)
		}
		s.sweep(t, 8*day)
		if s.works(s.keyID) {
			t.Error("it was not removed")
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// Of two that take one application over at once one is refused, and only what the other was told
// is removed (rule R11).
func TestOfTwoThatRetireOneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		_, used := s.w.AddForeign(s.app.ClientID)
		var other error
		s.onceStored(func() { _, other = service(s.w).CreateTarget(t.Context(), s.parent, s.retiring(used)) })
		err := s.retire(t, s.retiring(s.keyID))
		if other == nil && err == nil {
			t.Error("both were told that it is done")
		}
		s.sweep(t, 10*day)
		if err == nil == s.works(s.keyID) || other == nil == s.works(used) {
			t.Errorf("the first: %v, its one works: %t; the second: %v, its one works: %t", err, s.works(s.keyID), other, s.works(used))
		}
		s.check(t)
	})
}
