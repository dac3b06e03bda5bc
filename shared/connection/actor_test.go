package connection_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// A sign-in that Entra has not answered is no lost one. One that is lost for another reason
// than before says so.
func TestASignInIsLostByARefusalOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signedIn(t)
		for i, tt := range []struct {
			class, told serviceerror.Class
			lost        int
		}{
			{serviceerror.Transient, "", 0},
			{serviceerror.SignInExpired, serviceerror.SignInExpired, 1},
			{serviceerror.SignInExpired, serviceerror.SignInExpired, 1},
			{serviceerror.Transient, serviceerror.SignInExpired, 1},
			{serviceerror.ConsentMissing, serviceerror.ConsentMissing, 2},
			{serviceerror.VaultRefused, serviceerror.VaultRefused, 3}, // what to sign in with can't be read
			{serviceerror.VaultRefused, serviceerror.VaultRefused, 3},
		} {
			op := "graph.refresh"
			if tt.class == serviceerror.VaultRefused {
				op = "vault.get"
			}
			s.w.Refuse(op, &serviceerror.Error{Op: "signing in", Class: tt.class, Status: 400, Code: "AADSTS0"})
			_, err := actors(s.w).Token(t.Context(), s.id)
			if err == nil {
				t.Fatal("it signs in")
			}
			told := serviceerror.Class("")
			if p := s.record(t).Auth.Problem; p != nil {
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
	expired := &serviceerror.Error{Op: "signing in", Class: serviceerror.SignInExpired, Status: 400, Code: "AADSTS70043"}
	for name, prepare := range map[string]func(t *testing.T, s *subject, a *connection.Actors){
		"its credential is gone": func(_ *testing.T, s *subject, _ *connection.Actors) {
			s.w.Refuse("vault.get", serviceerror.ErrNotFound)
		},
		"what is kept is nothing": func(t *testing.T, s *subject, _ *connection.Actors) { s.keepNothing(t) },
		"secrets only":            func(_ *testing.T, _ *subject, a *connection.Actors) { a.SignIns = nil },
		"refused":                 func(_ *testing.T, s *subject, _ *connection.Actors) { s.w.Refuse("graph.refresh", expired) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				s.signedIn(t)
				a := actors(s.w)
				prepare(t, s, a)
				s.w.Calls()
				_, err := a.Token(t.Context(), s.id)
				e, ok := errors.AsType[*serviceerror.Error](err)
				if !ok || e.Class != serviceerror.ActorRefused {
					t.Fatalf("got %v", err)
				}
				tries, refused := s.w.Calls()["graph.refresh"], name == "refused"
				if refused && (e.Status != 400 || e.Code != "AADSTS70043") {
					t.Errorf("status %d, code %q", e.Status, e.Code)
				}
				if !refused && tries > 0 {
					t.Error("it was tried with nothing")
				}
				s.check(t)
			})
		})
	}
}

// keepNothing leaves nothing to sign in with in the version that the connection uses.
func (s *subject) keepNothing(t *testing.T) {
	t.Helper()
	rec, err := s.w.StorePort().Load(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	version, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.AuthName(), Value: secret.New("{}"), Enabled: true,
		ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	rec.Auth.VaultVersion = version
	rec.Version++
	if _, err := s.w.StorePort().Commit(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
}

// A process that finds other credentials each time that its own are refused gives up in the end.
func TestSigningInEndsAfterThreeRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		given := s.signedIn(t)
		was, tries := []string{s.account}, 0
		var again func()
		again = func() {
			if tries++; tries > 10 {
				return // it would go on for ever
			}
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
			s.w.Before("graph.refresh", again)
		}
		s.w.Before("graph.refresh", again)
		if _, err := actors(s.w).Token(t.Context(), s.id); serviceerror.ClassOf(err) != serviceerror.ActorRefused || tries != 3 {
			t.Errorf("after %d tries: %v", tries, err)
		}
	})
}

// A sign-in that is refused because there is another one by now is no trouble: Rekey tries
// the other one, and tells nothing.
func TestAReconnectDuringARefusalIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		c := s.signedIn(t)
		s.w.Before("graph.refresh", func() {
			s.reconnect(t, c)
			s.w.Withdraw(s.account)
			s.w.Calls()
		})
		if _, err := actors(s.w).Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
		again := s.w.Calls()["graph.refresh"]
		if rec := s.record(t); rec.Auth.Problem != nil || rec.Told != "" || again != 1 {
			t.Errorf("problem %+v, told %q, after %d more tries", rec.Auth.Problem, rec.Told, again)
		}
		if n := s.count(t, history.SignInLost); n != 0 {
			t.Errorf("%d times lost in the history", n)
		}
		s.check(t)
	})
}

// The same where what was there before is disabled by the time that it is read.
func TestAReconnectDuringAReadIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		c := s.signedIn(t)
		s.w.Before("vault.get", func() {
			s.reconnect(t, c)
			s.sweep(t, time.Hour)
		})
		if _, err := actors(s.w).Token(t.Context(), s.id); err != nil {
			t.Errorf("signing in: %v", err)
		}
		if n := s.enabled(t); n != 1 {
			t.Errorf("%d versions can be read, want one", n)
		}
		s.check(t)
	})
}

// A target learns whether it is worth while to wait for the connection that rotates it.
func TestATargetLearnsWhetherItsConnectionComesBack(t *testing.T) {
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
func TestALostSignInAndItsReturnAreToldOnce(t *testing.T) {
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

// A connection that can't sign in stops the rotations of its targets, and says why. They go
// on as soon as its sign-in is mended.
func TestALostSignInStopsItsTargetsUntilItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		s.w.Withdraw(s.acting.ClientID)
		rec, _ := s.w.Record(s.id)
		time.Sleep(time.Until(rec.NextSlot))
		s.sweep(t, time.Hour)
		rec, _ = s.w.Record(s.id)
		if rec.Error == nil || rec.Error.Class != serviceerror.ActorRefused || rec.Phase != rotation.Idle {
			t.Fatalf("phase %s, error %+v", rec.Phase, rec.Error)
		}
		parent, _ := s.w.Record(s.parent)
		if parent.Auth.Problem == nil || parent.Auth.Problem.Class != serviceerror.CertificateRefused {
			t.Errorf("the connection does not say that it can't sign in: %+v", parent.Auth.Problem)
		}
		s.w.AddCertificate(s.acting.ClientID, stored(renewed))
		_, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		if err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 20*time.Minute)
		rec, _ = s.w.Record(s.id)
		if rec.Error != nil || rec.LastRun.Outcome != "success" {
			t.Errorf("after reconnecting: error %+v, last run %+v", rec.Error, rec.LastRun)
		}
		if parent, _ = s.w.Record(s.parent); parent.Auth.Problem != nil {
			t.Errorf("the connection still has the problem %+v", parent.Auth.Problem)
		}
		s.sweep(t, 3*24*time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// chains tells with what certificates were sent.
type chains struct {
	connection.SignIns
	sent []bool
}

func (c *chains) Certificate(ctx context.Context, app rotation.Application, pem secret.Value, chain bool) (rotation.Token, error) {
	c.sent = append(c.sent, chain)
	return c.SignIns.Certificate(ctx, app, pem, chain)
}

// A certificate is kept with its end and as what it is, and is sent with its chain where
// that was asked for.
func TestACertificateIsKeptWithItsEndAndSentWithItsChain(t *testing.T) {
	for _, chain := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			in := s.actor()
			in.SendChain = chain
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
			a := actors(s.w)
			c := &chains{SignIns: a.SignIns}
			a.SignIns = c
			if _, err := a.Token(t.Context(), s.id); err != nil || !slices.Equal(c.sent, []bool{chain}) {
				t.Errorf("sent with its chain: %v, want %t; %v", c.sent, chain, err)
			}
			rec := s.record(t)
			v, err := s.w.VaultPort().Get(t.Context(), rec.AuthName(), rec.Auth.VaultVersion)
			want := time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC)
			if err != nil || v.ContentType != "application/x-pem-file" || !v.ExpiresAt.Equal(want) {
				t.Errorf("kept as %q until %s, %v", v.ContentType, v.ExpiresAt, err)
			}
			s.check(t)
		})
	}
}
