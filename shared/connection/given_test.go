package connection_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// again is a change that sends the original along, by its value alone, as a client does
// that knows nothing else.
func (s *subject) again() connection.Change {
	return connection.Change{By: "tester", Credentials: &connection.Credentials{
		TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.secret,
	}}
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
			s.otherSecret = s.published(t).Value
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
				before, was := s.record(t), s.published(t).Value
				c := connection.Credentials{TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: tt.value(s, was)}
				_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &c, Description: new("edited"), By: "tester"})
				if tt.refuse != "" {
					refusal(t, err, connection.Conflict, tt.refuse)
				} else if err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 3*time.Hour)
				rec := s.record(t)
				if s.published(t).Value != was || rec.Current.KeyID != before.Current.KeyID || rec.CredentialChanges != before.CredentialChanges {
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

// R13: a vault that refuses Rekey says nothing of the credentials that it keeps: given again, they are no change. Where
// what it kept is gone, they are what puts it right.
func TestGivenAgainWhileTheVaultIsToBlame(t *testing.T) {
	for class, changes := range map[serviceerror.Class]int{serviceerror.VaultRefused: 1, serviceerror.VaultMissing: 2} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			in := s.actor()
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
			s.w.Refuse("vault.get", &serviceerror.Error{Op: "reading", Class: class})
			_, err := actors(s.w).Token(t.Context(), s.id)
			rec := s.record(t)
			if err == nil || rec.Auth.Problem == nil || rec.Auth.Problem.Class != class {
				t.Fatalf("%v; the connection shows %+v", err, rec.Auth.Problem)
			}
			s.w.Refuse("vault.get", nil)
			if rec, err = service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials, By: "tester",
				Description: new("edited")}); err != nil || rec.Description != "edited" || rec.CredentialChanges != changes {
				t.Errorf("%s: %d changes of the credentials, %v; want %d", class, rec.CredentialChanges, err, changes)
			}
		})
	}
}

// R13: giving what is current again, while new credentials are being proven, keeps it.
func TestCurrentGivenAgainDuringARebindIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		before := s.record(t)
		s.rebindTo(t, s.other, s.otherSecret, "") // which is not proven yet
		c := connection.Credentials{TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.secret}
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &c, By: "tester"}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 3*time.Hour)
		if rec := s.record(t); rec.Phase != rotation.Idle || !rec.Target.Same(s.app) || rec.Given != before.Given {
			t.Errorf("phase %s, target %s, given %q, before %q", rec.Phase, rec.Target.ClientID, rec.Given, before.Given)
		}
		s.check(t)
	})
}

// R13: a key id that comes with what is current identifies it, if it is the one of that
// client secret. With that of another one, Rekey would remove another consumer's.
func TestAKeyIDThatComesLaterIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withGiven(t, s)
		_, foreign := s.w.AddForeign(s.app.ClientID)
		change := s.again()
		change.Credentials.ClientSecretKeyID = foreign
		_, err := service(s.w).Update(t.Context(), s.id, change)
		refusal(t, err, connection.Invalid, "belongs to another client secret")
		if c := s.record(t).Current; c.Origin != rotation.OriginGiven || c.KeyID != "" {
			t.Errorf("refused, and current is %+v", c)
		}
		change = s.again()
		change.Credentials.ClientSecretKeyID = s.keyID
		if _, err := service(s.w).Update(t.Context(), s.id, change); err != nil {
			t.Fatal(err)
		}
		if c := s.record(t).Current; c.Origin != rotation.OriginNamed || c.KeyID != s.keyID || c.ExpiresAt.IsZero() {
			t.Errorf("current is %+v, want %s", c, s.keyID)
		}
	})
}

// Edits that send the original along, as the Terraform provider of Infisical does, do not
// publish it again, and rotate nothing.
func TestEditsThatSendTheOriginalAlongRotateNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.OriginalGrace = new(48 * time.Hour)
		if err := s.make(t, in); err != nil {
			t.Fatalf("creating: %v", err)
		}
		s.sweep(t, time.Hour)
		before, live := s.published(t), s.w.Live(s.app.ClientID)
		if !before.Issued || !s.works(s.keyID) {
			t.Fatal("the original is not in its grace period")
		}
		s.check(t)
		again := 0
		for n := range 3 {
			change := s.again()
			change.Description = new(fmt.Sprint("edit ", n+1))
			if _, err := service(s.w).Update(t.Context(), s.id, change); err != nil {
				t.Errorf("edit %d: %v", n+1, err)
			}
			for begun := time.Now(); time.Since(begun) < time.Hour; s.sweep(t, 5*time.Second) {
				if s.published(t).KeyID == s.keyID {
					again++
					break
				}
			}
			s.sweep(t, time.Hour)
		}
		if now := s.w.Live(s.app.ClientID); now != live || again > 0 || s.published(t).KeyID != before.KeyID {
			t.Errorf("live client secrets: %d, were %d; the original was published again after %d of 3 edits", now, live, again)
		}
	})
}

// Rekey does not publish a client secret again that it has just removed, when a caller gives
// it once more, although replicas still accept it. What was published before stays.
func TestARemovedOriginalThatIsGivenAgainIsNotPublished(t *testing.T) {
	for name, off := range map[string]bool{"rotation stays on": false, "rotation is turned off with it": true} {
		for try := range 3 {
			t.Run(fmt.Sprintf("%s, %d", name, try+1), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					s.w.Directory.Propagation = 5 * time.Minute
					if err := s.make(t, s.input()); err != nil {
						t.Fatalf("creating: %v", err)
					}
					for begun := time.Now(); s.works(s.keyID); s.sweep(t, time.Minute) {
						if time.Since(begun) > time.Hour {
							t.Fatal("the original was not removed")
						}
					}
					before := s.published(t)
					s.check(t)
					time.Sleep(time.Duration(try) * time.Minute)
					change := s.again()
					if off {
						change.Rotate = new(false)
					}
					c := service(s.w)
					defer timer(t, c, time.Hour)()
					_, err := c.Update(t.Context(), s.id, change)
					if err != nil && kindOf(err) != connection.Conflict {
						t.Errorf("the answer was: %v", err)
					}
					dead := time.Duration(0)
					for begun := time.Now(); time.Since(begun) < 50*time.Minute; time.Sleep(5 * time.Second) {
						if !s.published(t).Works(time.Now()) {
							dead += 5 * time.Second
						}
					}
					if dead > 0 {
						t.Errorf("what is published was dead for %s of 50 minutes; the answer was: %v", dead, err)
					}
					s.sweep(t, 3*day)
					if !s.works(before.KeyID) || s.published(t).KeyID != before.KeyID {
						t.Errorf("after 3 days the client secret from before, which worked, works: %t", s.works(before.KeyID))
					}
				})
			})
		}
	}
}

// Rekey refuses a client secret that it issued and has replaced, when a caller gives it, as
// it comes back from a consumer: while it waits for its removal, and after that, although
// replicas still accept it.
func TestAReplacedSecretThatIsGivenIsRefused(t *testing.T) {
	for name, grace := range map[string]time.Duration{"in its grace period": 48 * time.Hour, "right after its removal": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				s.w.Directory.Propagation = 5 * time.Minute
				settled(t, s)
				old := s.published(t)
				if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{By: "tester", Grace: &grace}); err != nil {
					t.Fatal(err)
				}
				replaced := func() bool {
					return s.published(t).KeyID != old.KeyID && (grace > 0 || !s.works(old.KeyID))
				}
				for begun := time.Now(); !replaced(); s.sweep(t, time.Minute) {
					if time.Since(begun) > time.Hour {
						t.Fatal("it was not replaced")
					}
				}
				before := s.published(t)
				s.check(t)
				change := s.again()
				change.Credentials.ClientSecret = old.Value
				_, err := service(s.w).Update(t.Context(), s.id, change)
				at := s.published(t)
				if kindOf(err) != connection.Conflict || at.KeyID != before.KeyID {
					t.Errorf("the answer was: %v, want a conflict; it is published: %t, and works: %t", err, at.KeyID == old.KeyID, at.Works(time.Now()))
				}
				s.sweep(t, time.Hour)
				if s.published(t).KeyID != before.KeyID {
					t.Errorf("an hour later another client secret is published")
				}
			})
		})
	}
}

// The key id that a caller names has to be of the secret that is given, and of one that still
// works: with a wrong one Rekey would remove what another consumer has (promise P2).
func TestTheNamedKeyIDIsOfTheGivenSecret(t *testing.T) {
	for name, tt := range map[string]struct {
		keyID func(s *subject) string
		says  string
	}{
		"its own": {func(s *subject) string { return s.keyID }, ""},
		"of a secret that begins differently": {func(s *subject) string {
			_, id := s.w.AddForeign(s.app.ClientID)
			return id
		}, "another client secret"},
		"of one that has ended": {func(s *subject) string {
			_, id := s.w.AddByHand(s.app.ClientID, 3*365*24*time.Hour, true)
			return id
		}, "ended on"},
		"of none": {func(*subject) string { return "99999999-9999-4999-8999-999999999999" }, "has no client secret with the key id"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				in := s.input()
				in.ClientSecretKeyID = tt.keyID(s)
				time.Sleep(10 * time.Second)
				_, err := service(s.w).Create(t.Context(), in)
				if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
