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

// answering answers sign-ins and reads of the vault otherwise than they are.
type answering struct {
	connection.SignIns
	connection.ActorVault
	fails     error         // of a refresh
	read      error         // of the vault
	value     *secret.Value // what is in the vault
	chain     []bool        // with what the certificate was sent
	refreshes int
}

func (a *answering) Get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	if a.read != nil {
		return rotation.VaultSecret{}, a.read
	}
	v, err := a.ActorVault.Get(ctx, name, version)
	if a.value != nil {
		v.Value = *a.value
	}
	return v, err
}

func (a *answering) Certificate(ctx context.Context, app rotation.Application, pem secret.Value, chain bool) (rotation.Token, error) {
	a.chain = append(a.chain, chain)
	return a.SignIns.Certificate(ctx, app, pem, chain)
}

func (a *answering) Refresh(ctx context.Context, app rotation.Application, refresh secret.Value) (rotation.Token, secret.Value, error) {
	a.refreshes++
	if a.fails != nil {
		return rotation.Token{}, secret.Value{}, a.fails
	}
	return a.SignIns.Refresh(ctx, app, refresh)
}

func (s *subject) answering() (*connection.Actors, *answering) {
	c := actors(s.w)
	a := &answering{SignIns: c.SignIns, ActorVault: c.Vault}
	c.SignIns, c.Vault = a, a
	return c, a
}

// A sign-in that Entra has not answered is no lost one. One that is lost for another reason
// than before says so.
func TestWhatALostSignInIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signedIn(t)
		c, a := s.answering()
		for i, tt := range []struct {
			class, told serviceerror.Class
			lost        int
		}{
			{serviceerror.Transient, "", 0},
			{serviceerror.SignInExpired, serviceerror.SignInExpired, 1},
			{serviceerror.SignInExpired, serviceerror.SignInExpired, 1},
			{serviceerror.Transient, serviceerror.SignInExpired, 1},
			{serviceerror.ConsentMissing, serviceerror.ConsentMissing, 2},
		} {
			a.fails = &serviceerror.Error{Op: "signing in", Class: tt.class, Status: 400, Code: "AADSTS0"}
			_, err := c.Token(t.Context(), s.id)
			if err == nil {
				t.Fatal("it signs in")
			}
			told := serviceerror.Class("")
			if p := mustRecord(t, s).Auth.Problem; p != nil {
				told = p.Class
			}
			if n := s.count(t, history.SignInLost); told != tt.told || n != tt.lost {
				t.Errorf("try %d, %s: told of %q, %d times lost; want %q, %d", i+1, tt.class, told, n, tt.told, tt.lost)
			}
		}
		s.check(t)
	})
}

// A target learns that it is its connection which can't sign in, whatever the reason, and
// with what Entra has said.
func TestARefusedActorIsNotTheTarget(t *testing.T) {
	for name, answer := range map[string]func(c *connection.Actors, a *answering){
		"its credential is gone":  func(_ *connection.Actors, a *answering) { a.read = serviceerror.ErrNotFound },
		"what is kept is nothing": func(_ *connection.Actors, a *answering) { a.value = new(secret.New("{}")) },
		"secrets only":            func(c *connection.Actors, _ *answering) { c.SignIns = nil },
		"refused": func(_ *connection.Actors, a *answering) {
			a.fails = &serviceerror.Error{Op: "signing in", Class: serviceerror.SignInExpired, Status: 400, Code: "AADSTS70043"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				s.signedIn(t)
				c, a := s.answering()
				answer(c, a)
				_, err := c.Token(t.Context(), s.id)
				if serviceerror.ClassOf(err) != serviceerror.ActorRefused {
					t.Errorf("got %v", err)
				}
				if e, ok := err.(*serviceerror.Error); ok && a.fails != nil && (e.Status != 400 || e.Code != "AADSTS70043") {
					t.Errorf("status %d, code %q", e.Status, e.Code)
				}
				if a.fails == nil && a.refreshes > 0 {
					t.Error("it was tried with nothing")
				}
				s.check(t)
			})
		})
	}
}

// A process that finds other credentials each time that its own are refused gives up in the end.
func TestSigningInEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		given := s.signedIn(t)
		a, m := s.slowly()
		was := []string{s.account}
		var again func()
		again = func() {
			for _, account := range was {
				s.w.Withdraw(account)
			}
			account, refresh := s.w.AddPerson()
			was = append(was, account)
			next := given
			next.SignIn = &connection.SignIn{RefreshToken: refresh, Account: account, Token: rotation.Token{Value: secret.New("new"), Opaque: true}}
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &next}); err != nil {
				t.Errorf("reconnecting: %v", err)
			}
			m.before = again
		}
		m.before = again
		if _, err := a.Token(t.Context(), s.id); serviceerror.ClassOf(err) != serviceerror.ActorRefused || m.calls != 3 {
			t.Errorf("after %d tries: %v", m.calls, err)
		}
	})
}

// A certificate is kept with its end and as what it is, and is sent with its chain where
// that was asked for.
func TestWhatIsKeptOfACertificate(t *testing.T) {
	for _, chain := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			in := s.actor()
			in.SendChain = chain
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
			c, a := s.answering()
			if _, err := c.Token(t.Context(), s.id); err != nil || len(a.chain) != 1 || a.chain[0] != chain {
				t.Errorf("sent with its chain: %v, want %t; %v", a.chain, chain, err)
			}
			rec := mustRecord(t, s)
			v, err := s.w.VaultPort().Get(t.Context(), rec.AuthName(), rec.Auth.VaultVersion)
			want := time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC)
			if err != nil || v.ContentType != "application/x-pem-file" || !v.ExpiresAt.Equal(want) {
				t.Errorf("kept as %q until %s, %v", v.ContentType, v.ExpiresAt, err)
			}
			s.check(t)
		})
	}
}
