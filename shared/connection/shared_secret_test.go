package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/connection"
)

// publishing is the input of a connection that publishes that client secret of the
// subject's application, and rotates nothing.
func (s *subject) publishing(name string, secret secret.Value, keyID string) connection.Input {
	in := s.input()
	in.Name, in.Rotate, in.Schedule = name, false, schedule.Schedule{}
	in.ClientSecret, in.ClientSecretKeyID = secret, keyID
	return in
}

// Two publish one client secret, and neither rotates. One of them is given another: the
// one from before still is what the other publishes (promise P1).
func TestTheOldSecretIsAnothersToo(t *testing.T) {
	for name, named := range map[string]bool{"named": true, "not named": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				unrotated(t, s)
				in := s.publishing("second", s.secret, s.keyID)
				if !named {
					in.ClientSecretKeyID = ""
				}
				if _, err := service(s.w).Create(t.Context(), in); err != nil {
					t.Fatal(err)
				}
				secret, keyID := s.w.AddForeign(s.app.ClientID)
				s.w.Name(keyID)
				_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
					TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
				}})
				t.Logf("the change: %v", err)
				s.sweep(t, 3*24*time.Hour)
				s.check(t)
			})
		})
	}
}

// The same, the other one coming while the old client secret waits for its removal.
func TestTheOldSecretIsGivenToAnother(t *testing.T) {
	for name, elsewhere := range map[string]bool{"within its application": false, "to another application": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				unrotated(t, s)
				app := s.app
				secret, keyID := s.w.AddForeign(s.app.ClientID)
				if elsewhere {
					app, secret, keyID = s.w.AddApplication()
				}
				s.w.Name(keyID)
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
					TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
				}}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, time.Hour)
				if rec := mustRecord(t, s); len(rec.Replaced()) != 1 {
					t.Fatalf("retiring %+v", rec.Replaced())
				}
				_, err := service(s.w).Create(t.Context(), s.publishing("second", s.secret, s.keyID))
				t.Logf("the second: %v", err)
				s.sweep(t, 3*24*time.Hour)
				s.check(t)
			})
		})
	}
}

// A connection is given another client secret of its application at the moment when another
// connection is created with the same one. Where either rotates, one has to see the other.
func TestNewCredentialsGivenTwiceAtOnce(t *testing.T) {
	for name, rotates := range map[string]bool{"the new one rotates": false, "the old one rotates": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				if rotates {
					settled(t, s)
				} else {
					unrotated(t, s)
				}
				time.Sleep(time.Hour)
				secret, keyID := s.w.AddForeign(s.app.ClientID)
				s.w.Name(keyID)
				in := s.publishing("second", secret, keyID)
				if !rotates {
					in.Rotate, in.Schedule = true, monthly
				}
				var other error
				c := service(s.w)
				c.Vault = &whenStored{c.Vault, func() { _, other = service(s.w).Create(t.Context(), in) }}
				_, err := c.Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials})
				if err == nil && other == nil {
					t.Error("both have it")
				}
				s.sweep(t, 3*24*time.Hour)
				s.check(t)
			})
		})
	}
}

// The same where it authenticates with it, and rotates something else.
func TestReconnectedWithWhatAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		target, _, _ := s.w.AddApplication()
		s.w.Own(target.ClientID, s.app.ClientID, true)
		in := s.input()
		in.Name, in.Target, in.ClientSecretKeyID = "authenticating", connection.Target{ClientID: target.ClientID}, ""
		if err := s.make(t, in); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		secret, keyID := s.w.AddForeign(s.app.ClientID)
		s.w.Name(keyID)
		next := s.input()
		next.Name, next.ClientSecret, next.ClientSecretKeyID = "second", secret, keyID
		var other error
		c := service(s.w)
		c.Vault = &whenStored{c.Vault, func() { _, other = service(s.w).Create(t.Context(), next) }}
		given := next.Credentials
		given.ClientSecretKeyID = ""
		_, err := c.Update(t.Context(), s.id, connection.Change{Credentials: &given})
		if err == nil && other == nil {
			t.Error("both have it")
		}
		s.sweep(t, 3*time.Hour)
		if _, err := service(s.w).Actors.Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
	})
}

// A connection that rotates no more still removes what it has issued if it is deleted with
// that. Another one that rotates the application meanwhile hides it from nobody.
func TestWhatWasIssuedIsGivenToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)}); err != nil {
			t.Fatal(err)
		}
		in := s.input()
		in.Name = "rotating"
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		s.w.Name(in.ClientSecretKeyID)
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		rec := mustRecord(t, s)
		published, _ := s.w.Published(rec.VaultName)
		_, err := service(s.w).Create(t.Context(), s.publishing("third", published.Value, rec.Current.KeyID))
		t.Logf("publishing what was issued: %v", err)
		if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 3*time.Hour)
		s.check(t)
	})
}

// A rotation by hand is of the client secret for which it was looked whether anybody else
// has it. One that was taken over meanwhile may be another one's, too.
func TestRotatedByHandWhileItWentOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		unrotated(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		in := s.publishing("second", secret, keyID)
		in.TenantID, in.ClientID = app.TenantID, app.ClientID
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		c := service(s.w)
		c.Records = &beforeCommit{c.Records, func() {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials}); err != nil {
				t.Error(err)
			}
		}}
		_, err := c.Rotate(t.Context(), s.id, connection.RotateOptions{})
		t.Logf("rotating by hand: %v", err)
		s.sweep(t, 3*24*time.Hour)
		s.check(t)
	})
}

func TestARefusedChangeIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		rec := mustRecord(t, s)
		own, ownKey := s.w.AddForeign(s.app.ClientID)
		s.w.Name(ownKey)
		p, err := service(s.w).Create(t.Context(), s.publishing("second", own, ownKey))
		if err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		pub, _ := s.w.Published(rec.VaultName)
		in := s.publishing("x", pub.Value, rec.Current.KeyID)
		_, err = service(s.w).Update(t.Context(), p.ID, connection.Change{Credentials: &in.Credentials})
		refusal(t, err, connection.Conflict, "rotates this client secret")
		in2 := s.publishing("third", own, ownKey)
		if _, err := service(s.w).Create(t.Context(), in2); err != nil {
			t.Error(err)
		}
		s.sweep(t, time.Hour)
		s.check(t)
	})
}
