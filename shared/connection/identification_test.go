package connection_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/vaulttag"
)

// What is identified is the client secret that is current when the pass looks (rule R14):
// not the one that was when an emergency was asked for, or that rotation be turned on.
func TestWhatIsCurrentThenIsIdentified(t *testing.T) {
	for name, elsewhere := range map[string]bool{"of another application": true, "of the same application": false} {
		t.Run("emergency, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withGiven(t, s)
				if !elsewhere {
					s.other = s.app
					s.otherSecret, s.otherKey = s.w.AddForeign(s.app.ClientID)
				}
				s.w.Name(s.otherKey)
				s.rebindTo(t, s.other, s.otherSecret, "") // in the phase rebinding; the old one is still current
				if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 5*24*time.Hour)
				rec := s.record(t)
				if !s.w.IsLive(s.keyID) || s.w.IsLive(s.otherKey) || len(rec.ByHand) != 1 || rec.Current.Origin != rotation.OriginIssued {
					t.Errorf("the one before lives: %t, the one that was current then: %t; current %+v; by hand %+v",
						s.w.IsLive(s.keyID), s.w.IsLive(s.otherKey), rec.Current, rec.ByHand)
				}
				s.check(t)
			})
		})
	}
	t.Run("rotation on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			withGiven(t, s)
			s.rebindTo(t, s.other, s.otherSecret, "")
			on := connection.Change{Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Zone: "UTC"}, By: "tester"}
			if _, err := service(s.w).Update(t.Context(), s.id, on); kindOf(err) != connection.Conflict {
				t.Errorf("while it is not known of what: %v, want a conflict", err)
			}
			s.sweep(t, 10*time.Minute)
			s.w.Name(s.otherKey) // it is identified now
			if _, err := service(s.w).Update(t.Context(), s.id, on); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, 5*24*time.Hour)
			if rec := s.record(t); s.w.IsLive(s.otherKey) || rec.Current.Origin != rotation.OriginIssued || len(rec.ByHand) != 1 {
				t.Errorf("what was given lives: %t; current %+v; by hand %+v", s.w.IsLive(s.otherKey), rec.Current, rec.ByHand)
			}
			s.check(t)
		})
	})
}

// While the replica that Rekey reads does not show the client secret that was given, Rekey
// does not take another one for it of which the directory does not say how it begins, and
// does not remove that one (rule R14).
func TestASecretWithoutAHintIsNeverTakenForTheGivenOne(t *testing.T) {
	for name, create := range map[string]func(t *testing.T, s *subject, in connection.Input) error{
		"rotation on creation": func(t *testing.T, s *subject, in connection.Input) error { return s.make(t, in) },
		"rotation by hand": func(t *testing.T, s *subject, in connection.Input) error {
			in.Rotate, in.Schedule = false, schedule.Schedule{}
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
			_, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester", Grace: new(time.Duration)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				_, older := s.w.AddSecret(s.app.ClientID, rotationtest.SecretOptions{NoHint: true})
				in := s.input()
				in.ClientSecretKeyID = ""
				var given string
				in.ClientSecret, given = s.w.AddSecret(s.app.ClientID, rotationtest.SecretOptions{Fresh: true, Hidden: 5 * time.Minute})
				s.w.Name(given)
				time.Sleep(time.Minute) // it signs in by now
				err := create(t, s, in)
				s.sweep(t, 3*time.Hour)
				if kindOf(err) != connection.Invalid || !s.works(older) || !s.works(given) {
					t.Errorf("the older client secret works: %t, the given one: %t; the answer was: %v", s.works(older), s.works(given), err)
				}
				s.check(t)
			})
		})
	}
}

// A change that turns rotation on is refused as a whole where it is in doubt which client
// secret was given, with the candidates, and nothing of it is done.
func TestTurningOnIsRefusedWithTheCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		_, alike := s.alike(s.secret)
		before := s.w.Reserved()
		change := connection.Change{Name: new("invoices"), Rotate: new(true), Schedule: &monthly}
		_, err := service(s.w).Update(t.Context(), s.id, change)
		refusal(t, err, connection.Invalid, s.keyID)
		refusal(t, err, connection.Invalid, alike)
		rec := s.record(t)
		if rec.Policy.Enabled || rec.Name != "billing" || rec.Request != nil || !rec.Unidentified() || !maps.Equal(before, s.w.Reserved()) {
			t.Errorf("%+v; reserved are %v, were %v", rec, s.w.Reserved(), before)
		}
		s.w.RemoveByHand(alike)
		s.sweep(t, time.Hour)
		if _, err := service(s.w).Update(t.Context(), s.id, change); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 3*day)
		if rec := s.record(t); !rec.Policy.Enabled || rec.Name != "invoices" || s.w.IsLive(s.keyID) {
			t.Errorf("on: %t, named %q, what was given lives: %t", rec.Policy.Enabled, rec.Name, s.w.IsLive(s.keyID))
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// One given without its key id is reported when another one takes its place.
func TestAGivenSecretIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		s.rebindTo(t, s.other, s.otherSecret, "")
		s.sweep(t, time.Hour)
		rec, _ := s.w.Record(s.id)
		if !rec.Target.Same(s.other) {
			t.Fatal("it was not taken over")
		}
		if !slices.ContainsFunc(rec.ByHand, func(h rotation.ByHand) bool { return h.Target.Same(s.app) }) {
			t.Errorf("the old one still works and is not reported: %+v", rec.ByHand)
		}
		s.check(t)
	})
}

// A rebind that died between publishing and its commit, and whose secret then stops
// working: what is current is published again, also where neither has a key id (rule R5).
func TestAGivenSecretIsPublishedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		s.rebindTo(t, s.other, s.otherSecret, "")
		time.Sleep(time.Minute)
		s.w.BreakAt("vault.put", rotationtest.CrashAfter)
		service(s.w).Rotator.Sweep(t.Context())
		s.w.Break(0, rotationtest.NoFault)
		s.w.Restart()
		v, _ := s.w.Published("rekey-" + s.id)
		rec, _ := s.w.Record(s.id)
		if v.Tags[vaulttag.Client] != s.other.ClientID || rec.Phase != rotation.Rebinding {
			t.Fatalf("published is one of %s, phase %s", v.Tags[vaulttag.Client], rec.Phase)
		}
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.otherKey)
		s.sweep(t, 2*time.Hour)
		rec, _ = s.w.Record(s.id)
		v, _ = s.w.Published("rekey-" + s.id)
		if !rec.Current.Target.Same(s.app) || v.Tags[vaulttag.Client] != s.app.ClientID {
			t.Errorf("current is of %s, and published is one of %s, which is dead; phase %s",
				rec.Current.Target.ClientID, v.Tags[vaulttag.Client], rec.Phase)
		}
	})
}
