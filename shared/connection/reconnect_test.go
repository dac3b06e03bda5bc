package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// New credentials that could not be announced are not stored: nothing would disable them.
func TestNothingIsStoredUnannounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		s.sweep(t, 2*time.Hour) // no look for stale versions is to come
		s.w.Calls()
		s.w.Refuse("store.commit", errLost)
		_, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		refusal(t, err, connection.Unavailable, "outcome is unknown")
		s.w.Refuse("store.commit", nil)
		if n := s.w.Calls()["vault.put"]; n != 0 {
			t.Errorf("stored %d times", n)
		}
		s.check(t)
	})
}

// A connection is not given, to authenticate with, what another one is about to remove.
func TestReconnectingWithWhatAnotherRotatesIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, _ := s.w.AddApplication()
		target, _, _ := s.w.AddApplication()
		s.w.Own(target.ClientID, app.ClientID, true)
		s.w.Own(target.ClientID, s.app.ClientID, true)
		in := rotating(connection.Input{
			Name: "second", By: "tester",
			Credentials: connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret},
		}, target)
		second, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 30*time.Minute)
		published, _ := s.w.Published(s.record(t).VaultName)
		_, err = service(s.w).Update(t.Context(), second.ID, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: published.Value,
		}})
		refusal(t, err, connection.Conflict, "rotates the client secrets")
		s.check(t)
	})
}

// The same where it authenticates with it, and rotates something else.
func TestOfReconnectingAndTakingOverOneIsRefused(t *testing.T) {
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
		s.onceStored(func() { _, other = service(s.w).Create(t.Context(), next) })
		given := next.Credentials
		given.ClientSecretKeyID = ""
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &given})
		if err == nil && other == nil {
			t.Error("both have it")
		}
		s.sweep(t, 3*time.Hour)
		if _, err := service(s.w).Actors.Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
	})
}

// Of two callers who give a connection new credentials of two applications, the later one's
// stay, and the connection says of which application they are.
func TestOfTwoReconnectsTheLaterOneStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signsInWithSecret(t)
		reconnect := func() rotation.Application {
			app, secret, _ := s.w.AddApplication()
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
				TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret,
			}}); err != nil {
				t.Fatal(err)
			}
			return app
		}
		var last rotation.Application
		s.w.Before("store.unclaim", func() { last = reconnect() }) // the first is written
		reconnect()
		if rec := s.record(t); !rec.Actor.Same(last) {
			t.Errorf("it authenticates as %s, with what is %s's", rec.Actor.ClientID, last.ClientID)
		}
		if _, err := service(s.w).Actors.Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
	})
}

// The targets of a connection are told which application it authenticates as by now.
func TestTargetsLearnWhoActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		app, _, _ := s.w.AddApplication()
		s.w.AddCertificate(app.ClientID, stored(renewed))
		s.w.Own(s.app.ClientID, app.ClientID, true)
		_, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: app.TenantID, ClientID: app.ClientID, Certificate: renewed,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if rec := s.record(t); !rec.Actor.Same(app) {
			t.Errorf("the target is acted for by %s, want %s", rec.Actor.ClientID, app.ClientID)
		}
		s.check(t)
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
		before := s.record(t)
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

// Within one sweep a refusal answers for all targets that wait for the same sign-in. It must not
// answer for a target that was woken because there is a new one.
func TestAReconnectEndsAKeptRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		// Another connection whose rotation keeps the sweep going.
		s.other, s.otherSecret, s.otherKey = s.w.AddApplication()
		s.w.Name(s.otherKey)
		in := s.input()
		in.Name, in.Credentials = "second", connection.Credentials{
			TenantID: s.other.TenantID, ClientID: s.other.ClientID, ClientSecret: s.otherSecret, ClientSecretKeyID: s.otherKey,
		}
		c := s.briefly()
		_, err := c.Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		s.w.Withdraw(s.acting.ClientID)
		s.request(t, rotation.Request{Kind: rotation.AskRotate, ID: "r"})
		time.Sleep(2 * time.Second)
		ended := make(chan struct{})
		go func() { service(s.w).Rotator.Sweep(t.Context()); close(ended) }()
		time.Sleep(20 * time.Second)
		if rec, _ := s.w.Record(s.id); rec.Error == nil || rec.Error.Class != serviceerror.ActorRefused {
			t.Fatalf("the target: %+v", rec.Error)
		}
		s.w.AddCertificate(s.acting.ClientID, stored(renewed))
		if _, err := service(s.w).Update(t.Context(), s.parent, connection.Change{Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}}); err != nil {
			t.Fatalf("reconnecting: %v", err)
		}
		<-ended
		s.sweep(t, 20*time.Minute)
		rec, _ := s.w.Record(s.id)
		if rec.Error != nil {
			t.Errorf("twenty minutes after the reconnect the target still waits, until %s: %s", time.Until(rec.Error.RetryAt), rec.Error.Class)
		}
		s.check(t)
	})
}
