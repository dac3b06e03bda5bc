package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// A schedule takes effect at once, not when the connection would have been woken for the
// old one.
func TestANewScheduleTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.sweep(t, 3*24*time.Hour)
		before := mustRecord(t, s)
		soon := time.Now().UTC().Add(30 * time.Hour)
		if before.NextSlot.Before(soon.Add(48 * time.Hour)) {
			t.Fatalf("the slot before is at %s", before.NextSlot)
		}
		rec, err := service(s.w).Update(t.Context(), s.id, connection.Change{
			Schedule: &schedule.Schedule{Interval: 1, Hours: soon.Hour(), Zone: "UTC"},
		})
		if err != nil || !rec.UpdatedAt.After(before.UpdatedAt) {
			t.Fatalf("changed at %s, %v", rec.UpdatedAt, err)
		}
		s.sweep(t, 48*time.Hour)
		if rec := mustRecord(t, s); !rec.LastRotatedAt.After(before.LastRotatedAt) {
			t.Errorf("it was not rotated; its next slot is at %s", rec.NextSlot)
		}
		s.check(t)
	})
}

// With rotation off there is no slot, and none is shown; on again there is one.
func TestTheSlotGoesWithRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		for _, on := range []bool{false, true} {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: &on}); err != nil {
				t.Fatal(err)
			}
			if rec := mustRecord(t, s); rec.NextSlot.IsZero() == on {
				t.Errorf("rotation is on: %t, and the next slot is %s", on, rec.NextSlot)
			}
		}
		s.check(t)
	})
}

// A change whose answer is lost is made once.
func TestAChangeIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		before, events := mustRecord(t, s), s.count(t, history.Changed)
		s.w.Break(1, rotationtest.Applied)
		rec, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: new("changed")})
		if err != nil || rec.Description != "changed" || rec.Revision != before.Revision+1 {
			t.Errorf("revision %d, was %d; %v", rec.Revision, before.Revision, err)
		}
		if n := s.count(t, history.Changed) - events; n != 1 {
			t.Errorf("%d times in the history", n)
		}
	})
}

// What is being deleted is changed no more, although it was there when the change began.
func TestAChangeOfWhatIsBeingDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		slow := service(s.w)
		slow.Records = &beforeCommit{slow.Records, func() { s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d"}) }}
		_, err := slow.Update(t.Context(), s.id, connection.Change{Description: new("changed")})
		refusal(t, err, connection.NotFound, "")
		if rec := mustRecord(t, s); rec.Description != "" {
			t.Errorf("it was changed: %q", rec.Description)
		}
		s.check(t)
	})
}

// A name that a refused change gives back stays with whom it has come to since: with the
// same connection, where another change of it was written a moment later.
func TestAGivenBackNameIsReservedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		slow := service(s.w)
		slow.Records = &beforeCommit{slow.Records, func() {
			wrong := s.input().Credentials
			wrong.ClientSecret = secret.New("wrong")
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Credentials: &wrong}); err == nil {
				t.Error("wrong credentials were taken")
			}
		}}
		if _, err := slow.Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
			t.Fatal(err)
		}
		s.holds(t, rotation.NameReservation("", "invoices", s.id))
		s.check(t)
	})
}

// A target has no name that a caller could look it up by, so that none is reserved.
func TestATargetReservesNoName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		before := len(s.w.Reserved())
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
			t.Fatal(err)
		}
		if left := s.w.Reserved(); len(left) != before {
			t.Errorf("reserved are %v", left)
		}
	})
}

// New credentials count as a change of the credentials, and end at once what a person was
// called for.
func TestAReconnectIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		s.w.Withdraw(s.acting.ClientID)
		if _, err := actors(s.w).Token(t.Context(), s.id); err == nil {
			t.Fatal("it signs in")
		}
		s.w.AddCertificate(s.acting.ClientID, stored(renewed))
		before := mustRecord(t, s)
		rec, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		if err != nil || rec.CredentialChanges != before.CredentialChanges+1 {
			t.Errorf("%d changes of the credentials, were %d; %v", rec.CredentialChanges, before.CredentialChanges, err)
		}
		if n := s.count(t, history.Recovered); n != 1 {
			t.Errorf("told %d times that it is well again", n)
		}
		s.check(t)
	})
}

// The grace period of the client secret that was given is the policy's for that one, or
// what the change says, counted from the rotation that replaces it.
func TestTheGracePeriodOfTheOriginal(t *testing.T) {
	for name, grace := range map[string]*time.Duration{"the policy's": nil, "said": new(5 * time.Hour)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withGiven(t, s)
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{
					Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Zone: "UTC"}, OriginalGrace: grace,
				}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 4*time.Hour)
				if lives := s.w.IsLive(s.keyID); lives != (grace != nil) {
					t.Errorf("after four hours it lives: %t", lives)
				}
				s.sweep(t, 4*time.Hour)
				if s.w.IsLive(s.keyID) {
					t.Error("after eight hours it lives")
				}
				s.check(t)
			})
		})
	}
}

// A pass that waits for a credential to age takes up at once what is asked for meanwhile.
func TestARequestWakesTheWaitingPass(t *testing.T) {
	for name, ask := range map[string]func(s *subject, c *connection.Service) error{
		"emergency": func(s *subject, c *connection.Service) error {
			_, err := c.Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true})
			return err
		},
		"other credentials": func(s *subject, c *connection.Service) error {
			_, err := c.Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
				TenantID: s.other.TenantID, ClientID: s.other.ClientID, ClientSecret: s.otherSecret, ClientSecretKeyID: s.otherKey,
			}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
				s.w.Name(s.otherKey)
				c := service(s.w)
				s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
				time.Sleep(time.Second)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					c.Rotator.Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(20 * time.Minute)})
				}()
				time.Sleep(2 * time.Minute) // issued, and three minutes too young
				if rec := mustRecord(t, s); rec.Run == nil || rec.Run.KeyID == "" || rec.Run.ID != "r" {
					t.Fatalf("no run waits: %+v", rec.Run)
				}
				c.Budget = 5 * time.Second
				if err := ask(s, c); err != nil {
					t.Fatal(err)
				}
				if rec := mustRecord(t, s); rec.Request != nil {
					t.Errorf("five seconds later it is still only a request: %s", rec.Request.Kind)
				}
				<-ended
				s.sweep(t, time.Hour)
				s.check(t)
			})
		})
	}
}
