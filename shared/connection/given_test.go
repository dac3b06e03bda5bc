package connection_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// withGiven makes a connection that publishes a client secret without rotating it, and
// without knowing its key id.
func withGiven(t *testing.T, s *subject) {
	t.Helper()
	in := s.input()
	in.Rotate, in.Schedule, in.ClientSecretKeyID = false, schedule.Schedule{}, ""
	if err := s.make(t, in); err != nil {
		t.Fatalf("creating: %v", err)
	}
	s.sweep(t, 5*time.Minute)
	s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
}

var givenAgain = []scenario{
	{
		name:  "a secret given without its key id is replaced by another one",
		setup: withGiven,
		act: func(t *testing.T, s *subject) {
			s.giveAnother(t, s.other, s.otherSecret)
		},
		quiet: 2 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec := mustRecord(t, s)
			moved := rec.Target.Same(s.other)
			if clean && !moved || len(rec.ByHand) == 1 != moved {
				t.Errorf("of the new application: %t, by hand %+v", moved, rec.ByHand)
			}
			s.live(t, 2) // both are left to a person
		},
	},
	{
		name: "an issued secret is given once more, without its key id",
		setup: func(t *testing.T, s *subject) {
			settled(t, s)
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
				t.Fatal(err)
			}
		},
		act: func(t *testing.T, s *subject) {
			v, _ := s.w.Published("rekey-" + s.id)
			s.giveAnother(t, s.app, v.Value)
		},
		quiet: 5 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			if rec := mustRecord(t, s); rec.Current.Origin != rotation.OriginIssued || len(rec.ByHand)+len(rec.Replaced()) != 0 {
				t.Errorf("current %+v, by hand %+v, old ones %+v", rec.Current, rec.ByHand, rec.Replaced())
			}
			s.live(t, 2)
		},
	},
}

// giveAnother gives the connection another client secret, by its value alone.
func (s *subject) giveAnother(t *testing.T, app rotation.Application, secret secret.Value) {
	service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
		TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret,
	}})
}

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
				rec := mustRecord(t, s)
				if !s.w.IsLive(s.keyID) || s.w.IsLive(s.otherKey) || len(rec.ByHand) != 1 || rec.Current.Origin != rotation.OriginIssued {
					t.Errorf("the one before lives: %t, the one that was current then: %t; current %+v; by hand %+v", s.w.IsLive(s.keyID), s.w.IsLive(s.otherKey), rec.Current, rec.ByHand)
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
			if rec := mustRecord(t, s); s.w.IsLive(s.otherKey) || rec.Current.Origin != rotation.OriginIssued || len(rec.ByHand) != 1 {
				t.Errorf("what was given lives: %t; current %+v; by hand %+v", s.w.IsLive(s.otherKey), rec.Current, rec.ByHand)
			}
			s.check(t)
		})
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
		if v.Tags[rotation.TagClient] != s.other.ClientID || rec.Phase != rotation.Rebinding {
			t.Fatalf("published is one of %s, phase %s", v.Tags[rotation.TagClient], rec.Phase)
		}
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.otherKey)
		s.sweep(t, 2*time.Hour)
		rec, _ = s.w.Record(s.id)
		v, _ = s.w.Published("rekey-" + s.id)
		if !rec.Current.Target.Same(s.app) || v.Tags[rotation.TagClient] != s.app.ClientID {
			t.Errorf("current is of %s, and published is one of %s, which is dead; phase %s", rec.Current.Target.ClientID, v.Tags[rotation.TagClient], rec.Phase)
		}
	})
}

// A client secret that is given once more, by its value alone, is the one that it was:
// where its key id is known it is known by that again, and nothing is removed or reported.
func TestTheSameSecretGivenOnceMore(t *testing.T) {
	off := func(t *testing.T, s *subject) {
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
			t.Fatal(err)
		}
	}
	published := func(t *testing.T, s *subject) rotation.VaultSecret {
		v, ok := s.w.Published("rekey-" + s.id)
		if !ok {
			t.Fatal("nothing is published")
		}
		return v
	}
	for _, tt := range []struct {
		name    string
		setup   func(t *testing.T, s *subject)
		between bool // another one is given between
	}{
		{name: "its key id was never known", setup: withGiven},
		{name: "issued by Rekey", setup: off},
		{name: "issued, and in its grace period", setup: off, between: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.setup(t, s)
				before, v := mustRecord(t, s), published(t, s)
				if tt.between {
					secret, keyID := s.w.AddForeign(s.app.ClientID)
					s.w.Name(keyID)
					s.rebindTo(t, s.app, secret, keyID)
					s.sweep(t, time.Hour)
				}
				s.rebindTo(t, s.app, v.Value, "")
				s.sweep(t, 5*24*time.Hour)
				rec := mustRecord(t, s)
				if again := published(t, s); again.Value != v.Value || again.Version == v.Version || rec.Current.VaultVersion != again.Version {
					t.Fatal("it was not published again")
				}
				if rec.Current.KeyID != before.Current.KeyID || len(rec.ByHand) != 0 {
					t.Errorf("current %+v, was %+v; by hand %+v", rec.Current, before.Current, rec.ByHand)
				}
				if tt.between && rec.Current.Origin != rotation.OriginNamed {
					t.Errorf("it is %s, although its key id is known", rec.Current.Origin)
				}
				s.check(t)
			})
		})
	}
}

// Where the value of the old one is gone nobody can compare: it may be the one that was
// given, so that it is left to a person.
func TestASecretThatCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
			t.Fatal(err)
		}
		v, _ := s.w.Published("rekey-" + s.id)
		keyID := mustRecord(t, s).Current.KeyID
		s.w.OutsideBreak(true)
		if err := s.w.VaultPort().Disable(t.Context(), v.Name, v.Version); err != nil {
			t.Fatal(err)
		}
		s.rebindTo(t, s.app, v.Value, "")
		s.sweep(t, 10*time.Minute)
		s.w.OutsideBreak(false)
		s.sweep(t, 5*24*time.Hour)
		rec := mustRecord(t, s)
		if len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != keyID || !s.w.IsLive(keyID) {
			t.Errorf("by hand %+v; it lives: %t", rec.ByHand, s.w.IsLive(keyID))
		}
		s.check(t)
	})
}

func mustRecord(t *testing.T, s *subject) rotation.Record {
	t.Helper()
	rec, ok := s.w.Record(s.id)
	if !ok {
		t.Fatal("the connection is gone")
	}
	return rec
}
