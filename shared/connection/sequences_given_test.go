package connection_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotationtest"
)

// again is a change that sends the original along, by its value alone, as a client does
// that knows nothing else.
func (s *subject) again() connection.Change {
	return connection.Change{By: "tester", Credentials: &connection.Credentials{
		TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.secret,
	}}
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
