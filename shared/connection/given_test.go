package connection_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"

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

// A client secret that is given once more, by its value alone, is the one that it was:
// R13: credentials that the record remembers are no change, or are refused with the time.
func TestCredentialsThatAreGivenAgain(t *testing.T) {
	off := func(t *testing.T, s *subject) {
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		setup  func(t *testing.T, s *subject)
		value  func(s *subject, published secret.Value) secret.Value
		refuse string // empty: it is no change
	}{
		{"what was given last and is current", withGiven, func(s *subject, _ secret.Value) secret.Value { return s.secret }, ""},
		{"what was given last and was removed since", settled, func(s *subject, _ secret.Value) secret.Value { return s.secret }, ""},
		{"what Rekey has issued and is current", off, func(_ *subject, published secret.Value) secret.Value { return published }, ""},
		{"what was replaced and waits for its removal", func(t *testing.T, s *subject) {
			off(t, s)
			s.otherSecret = s.publishedValue(t)
			another, keyID := s.w.AddForeign(s.app.ClientID)
			s.w.Name(keyID)
			s.rebindTo(t, s.app, another, keyID)
			s.sweep(t, time.Hour)
		}, func(s *subject, _ secret.Value) secret.Value { return s.otherSecret }, "removes it at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.setup(t, s)
				before, was := mustRecord(t, s), s.publishedValue(t)
				c := connection.Credentials{TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: tt.value(s, was)}
				_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &c, Description: new("edited"), By: "tester"})
				if tt.refuse != "" {
					refusal(t, err, connection.Conflict, tt.refuse)
				} else if err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 3*time.Hour)
				rec := mustRecord(t, s)
				if s.publishedValue(t) != was || rec.Current.KeyID != before.Current.KeyID || rec.CredentialChanges != before.CredentialChanges {
					t.Errorf("it was taken for a change: %+v, was %+v", rec.Current, before.Current)
				}
				if edited := rec.Description == "edited"; edited != (tt.refuse == "") {
					t.Errorf("the rest of the change was applied: %t", edited)
				}
				s.check(t)
			})
		})
	}
}

// R13: giving what is current again, while new credentials are being proven, keeps it.
func TestCurrentGivenAgainDuringARebindIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		before := mustRecord(t, s)
		s.rebindTo(t, s.other, s.otherSecret, "") // which is not proven yet
		c := connection.Credentials{TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.secret}
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &c, By: "tester"}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 3*time.Hour)
		if rec := mustRecord(t, s); rec.Phase != rotation.Idle || !rec.Target.Same(s.app) || rec.Given != before.Given {
			t.Errorf("phase %s, target %s, given %q, before %q", rec.Phase, rec.Target.ClientID, rec.Given, before.Given)
		}
		s.check(t)
	})
}

// publishedValue is what the vault has published.
func (s *subject) publishedValue(t *testing.T) secret.Value {
	t.Helper()
	v, ok := s.w.Published(mustRecord(t, s).VaultName)
	if !ok {
		t.Fatal("nothing is published")
	}
	return v.Value
}

func mustRecord(t *testing.T, s *subject) rotation.Record {
	t.Helper()
	rec, ok := s.w.Record(s.id)
	if !ok {
		t.Fatal("the connection is gone")
	}
	return rec
}
