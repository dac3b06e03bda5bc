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

// What a connection had before it was given other credentials is removed if rotation is on,
// or if Rekey has issued it and no other connection uses the application. Otherwise another
// one may publish it, or sign in with it, and it is left to a person (promise P1).
func TestWhatBecomesOfTheOldSecret(t *testing.T) {
	const shares, elsewhere = true, true
	for name, tt := range map[string]struct {
		make              func(t *testing.T, s *subject)
		off               bool // rotation is turned off before
		shares, elsewhere bool // another connection has it; the new one is of another application
		removed           bool
	}{
		"given, without rotation":                           {unrotated, false, !shares, !elsewhere, false},
		"given, without rotation, and shared":               {unrotated, false, shares, !elsewhere, false},
		"given, without rotation, for another application":  {unrotated, false, !shares, elsewhere, false},
		"issued, with rotation":                             {settled, false, !shares, !elsewhere, true},
		"issued, with rotation, for another application":    {settled, false, !shares, elsewhere, true},
		"issued, without rotation":                          {settled, true, !shares, !elsewhere, true},
		"issued, without rotation, and shared":              {settled, true, shares, !elsewhere, false},
		"issued, without rotation, for another application": {settled, true, !shares, elsewhere, true},
		"issued, shared, without rotation, for another one": {settled, true, shares, elsewhere, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				tt.make(t, s)
				if tt.off {
					if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)}); err != nil {
						t.Fatal(err)
					}
				}
				rec := mustRecord(t, s)
				old, _ := s.w.Published(rec.VaultName)
				if tt.shares {
					if err := s.second(t, old.Value); err != nil {
						t.Fatal(err)
					}
				}
				app := s.app
				secret, keyID := s.w.AddForeign(s.app.ClientID)
				if tt.elsewhere {
					app, secret, keyID = s.w.AddApplication()
				}
				s.w.Name(keyID)
				time.Sleep(10 * time.Second)
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
					TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
				}}); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 2*time.Hour)
				if !tt.removed {
					if err := s.second(t, old.Value); err != nil && !tt.shares {
						t.Errorf("another connection can't have it: %v", err)
					}
				}
				s.sweep(t, 3*day)
				now := mustRecord(t, s)
				if byHand := len(now.ByHand) == 1; s.w.IsLive(rec.Current.KeyID) == tt.removed || byHand == tt.removed || len(now.Removals) > 0 {
					t.Errorf("it lives: %t, by hand %+v, to be removed %+v", s.w.IsLive(rec.Current.KeyID), now.ByHand, now.Removals)
				}
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

// A rotation by hand is of the client secret for which the API has looked whether another
// connection has it. One that was taken over meanwhile may be another one's, too.
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
