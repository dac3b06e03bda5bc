package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// meanwhile lets something happen while a connection signs in, once.
type meanwhile struct {
	connection.SignIns
	connection.ActorVault
	read   func() // before what to sign in with is read
	before func() // before the sign-in is answered
	after  func() // after a renewed refresh token is in the vault
	calls  int
}

func (m *meanwhile) Get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	if f := m.read; f != nil {
		m.read = nil
		f()
	}
	return m.ActorVault.Get(ctx, name, version)
}

func (m *meanwhile) Refresh(ctx context.Context, app rotation.Application, refresh secret.Value) (rotation.Token, secret.Value, error) {
	if m.calls++; m.calls > 100 {
		panic("signing in goes round in circles")
	}
	if f := m.before; f != nil {
		m.before = nil
		f()
	}
	return m.SignIns.Refresh(ctx, app, refresh)
}

func (m *meanwhile) Put(ctx context.Context, v rotation.VaultSecret) (string, error) {
	version, err := m.ActorVault.Put(ctx, v)
	if f := m.after; f != nil {
		m.after = nil
		f()
	}
	return version, err
}

// slowly returns actors of the subject with a meanwhile.
func (s *subject) slowly() (*connection.Actors, *meanwhile) {
	a := actors(s.w)
	m := &meanwhile{SignIns: a.SignIns, ActorVault: a.Vault}
	a.SignIns, a.Vault = m, m
	return a, m
}

// signedIn makes a connection by OAuth that rotates nothing.
func (s *subject) signedIn(t *testing.T) connection.Credentials {
	t.Helper()
	in := s.person()
	if err := s.make(t, in); err != nil {
		t.Fatal(err)
	}
	return in.Credentials
}

// reconnect gives it the sign-in of another person.
func (s *subject) reconnect(t *testing.T, c connection.Credentials) secret.Value {
	t.Helper()
	account, refresh := s.w.AddPerson()
	c.SignIn = &connection.SignIn{RefreshToken: refresh, Account: account}
	if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &c}); err != nil {
		t.Errorf("reconnecting: %v", err)
	}
	return refresh
}

// enabled counts what can be read of what the connection authenticates with.
func (s *subject) enabled(t *testing.T) (n int) {
	t.Helper()
	rec, _ := s.w.Record(s.id)
	versions, err := s.w.VaultPort().List(t.Context(), rec.AuthName())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		if v.Enabled {
			n++
		}
	}
	return n
}

func (s *subject) count(t *testing.T, kind string) (n int) {
	t.Helper()
	events, _, err := service(s.w).History(t.Context(), s.id, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// A sign-in that is refused because there is another one by now is no trouble: Rekey tries
// the other one, and tells nothing.
func TestReconnectDuringARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		c := s.signedIn(t)
		a, m := s.slowly()
		m.before = func() {
			s.reconnect(t, c)
			s.w.Withdraw(s.account)
		}
		if _, err := a.Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
		if rec, _ := s.w.Record(s.id); rec.Auth.Problem != nil || rec.Told != "" || m.calls != 2 {
			t.Errorf("problem %+v, told %q, after %d tries", rec.Auth.Problem, rec.Told, m.calls)
		}
		if n := s.count(t, history.SignInLost); n != 0 {
			t.Errorf("%d times lost in the history", n)
		}
		s.check(t)
	})
}

// The same where what was there before is disabled by the time that it is read.
func TestReconnectDuringARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		c := s.signedIn(t)
		a, m := s.slowly()
		m.read = func() {
			s.reconnect(t, c)
			s.sweep(t, time.Hour)
		}
		if _, err := a.Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
		if n := s.enabled(t); n != 1 {
			t.Errorf("%d versions can be read, want one", n)
		}
		s.check(t)
	})
}

// A target learns whether it is worth while to wait for the connection that rotates it.
func TestNothingToSignInWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		for id, phase := range map[string]rotation.Phase{"begun": rotation.Creating, "spent": rotation.Idle} {
			rec := rotation.Record{
				Schema: rotation.Schema, ID: id, Phase: phase, Method: connection.ClientSecret, Actor: s.app, Version: 1,
			}
			if _, err := s.w.StorePort().Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		for id, want := range map[string]serviceerror.Class{
			"begun": serviceerror.Transient, "spent": serviceerror.ActorRefused, "gone": serviceerror.ActorRefused,
		} {
			if _, err := actors(s.w).Token(t.Context(), id); err == nil || serviceerror.ClassOf(err) != want {
				t.Errorf("%s: %v, want %s", id, err, want)
			}
		}
	})
}

// That a connection can't sign in is said once, however often it is tried, and so is
// that it can again, although no caller has reconnected it.
func TestSignInIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		told := func(lost, back, notices int) {
			t.Helper()
			rec, _ := s.w.Record(s.id)
			if (rec.Auth.Problem != nil) != (lost > back) {
				t.Errorf("problem %+v", rec.Auth.Problem)
			}
			for kind, want := range map[string]int{
				history.SignInLost: lost, history.SignInBack: back,
				history.Attention: notices, history.Recovered: back,
			} {
				if n := s.count(t, kind); n != want {
					t.Errorf("%s: %d times, want %d", kind, n, want)
				}
			}
		}
		s.w.Withdraw(s.acting.ClientID)
		for range 3 {
			if _, err := actors(s.w).Token(t.Context(), s.id); serviceerror.ClassOf(err) != serviceerror.ActorRefused {
				t.Errorf("without a certificate: %v", err)
			}
			time.Sleep(time.Hour)
		}
		told(1, 0, 1)
		s.w.AddCertificate(s.acting.ClientID, stored(given))
		for range 3 {
			if _, err := actors(s.w).Token(t.Context(), s.id); err != nil {
				t.Errorf("with its certificate again: %v", err)
			}
			time.Sleep(time.Hour)
		}
		told(1, 1, 1)
		s.check(t)
	})
}
