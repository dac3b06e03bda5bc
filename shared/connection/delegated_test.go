package connection_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// make creates a connection.
func (s *subject) make(t *testing.T, in connection.Input) error {
	rec, err := service(s.w).Create(t.Context(), in)
	s.made(rec.ID)
	return err
}

// made remembers the id of what was created, whatever came of it.
func (s *subject) made(id string) {
	s.id = id
	for _, there := range s.w.Records() {
		if id == "" && there != s.parent {
			s.id = there
		}
	}
}

// withParent makes a certificate connection that rotates nothing yet.
func withParent(t *testing.T, s *subject) {
	t.Helper()
	if err := s.make(t, s.actor()); err != nil {
		t.Fatalf("creating the connection: %v", err)
	}
	s.parent = s.id
}

func (s *subject) addTarget(t *testing.T) error {
	rec, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
		Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true,
		Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "tester",
	})
	s.made(rec.ID)
	return err
}

func withTarget(t *testing.T, s *subject) {
	t.Helper()
	withParent(t, s)
	if err := s.addTarget(t); err != nil {
		t.Fatalf("adding the target: %v", err)
	}
	s.sweep(t, 30*time.Minute)
	s.w.CheckEnd(s.id)
	s.check(t)
}

// rotatedTo fails unless that many client secrets of the application are alive, two
// of which were there before.
func (s *subject) live(t *testing.T, want int) {
	t.Helper()
	if got := s.w.Live(s.app.ClientID); got != want {
		t.Errorf("live client secrets: %d, want %d", got, want)
	}
}

// madeOrGone is the end of creating something that issues: all of it, or nothing.
func madeOrGone(again func(t *testing.T, s *subject) error) func(*testing.T, *subject, bool) {
	return func(t *testing.T, s *subject, clean bool) {
		if !exists(s.w, s.id) {
			if clean {
				t.Error("nothing was created")
			}
			s.w.CheckGone(s.id, s.secret)
			s.live(t, 2)
			if err := again(t, s); err != nil {
				t.Errorf("creating again: %v", err)
			}
			s.sweep(t, time.Hour)
		}
		s.w.CheckEnd(s.id)
		s.live(t, 3)
	}
}

var delegated = []scenario{
	{
		name:  "creation with a certificate",
		setup: func(_ *testing.T, s *subject) { s.input0 = s.actor() },
		act:   func(t *testing.T, s *subject) { s.make(t, s.input0) },
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if !exists(s.w, s.id) {
				if clean {
					t.Error("nothing was created")
				}
				s.w.CheckGone(s.id, s.secret)
				if err := s.make(t, s.input0); err != nil {
					t.Errorf("creating again: %v", err)
				}
				s.sweep(t, time.Hour)
			}
			s.w.CheckEnd(s.id)
			s.live(t, 2)
		},
	},
	{
		name:  "creation with a certificate and a target of its own",
		setup: func(_ *testing.T, s *subject) { s.input0 = rotating(s.actor(), s.app) },
		act:   func(t *testing.T, s *subject) { s.make(t, s.input0) },
		quiet: time.Hour,
		end:   madeOrGone(func(t *testing.T, s *subject) error { return s.make(t, s.input0) }),
	},
	{
		name:  "creation by OAuth with a target of its own",
		setup: func(_ *testing.T, s *subject) { s.input0 = rotating(s.person(), s.app) },
		act:   func(t *testing.T, s *subject) { s.make(t, s.input0) },
		quiet: time.Hour,
		end:   madeOrGone(func(t *testing.T, s *subject) error { return s.make(t, s.input0) }),
	},
	{
		name:  "a target is added",
		setup: withParent,
		act:   func(t *testing.T, s *subject) { s.addTarget(t) },
		quiet: time.Hour,
		end:   madeOrGone(func(t *testing.T, s *subject) error { return s.addTarget(t) }),
	},
	{
		name:  "scheduled rotation of a target",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			rec, _ := s.w.Record(s.id)
			time.Sleep(time.Until(rec.NextSlot))
			s.sweep(t, 20*time.Minute)
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			s.live(t, 3)
			if rec, _ := s.w.Record(s.id); rec.LastRun.Trigger != rotation.OnSchedule || rec.LastRun.Outcome != "success" {
				t.Errorf("last run: %+v", rec.LastRun)
			}
		},
	},
	{
		name:  "emergency of a target",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"})
		},
		quiet: time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			s.live(t, 3)
		},
	},
	{
		name:  "a target is deleted and revoked",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"})
			s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d", Revoke: true}) // the caller asks again
			s.sweep(t, time.Minute)
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			if exists(s.w, s.id) {
				t.Error("the target is still there")
			}
			s.live(t, 2)
			if _, ok := s.w.Published("rekey-" + s.id); ok {
				t.Error("the vault secret is still there")
			}
			// Nothing is left that would keep the connection.
			if _, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{}); err != nil {
				t.Errorf("deleting the connection: %v", err)
			}
		},
	},
	{
		name:  "a certificate is replaced",
		setup: withTarget,
		act: func(t *testing.T, s *subject) {
			service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
				Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
			}})
		},
		quiet: 2 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.parent)
			s.w.CheckEnd(s.id)
			s.live(t, 3)
			if rec, _ := s.w.Record(s.parent); clean && rec.Auth.Generation != 2 {
				t.Errorf("generation %d, want 2", rec.Auth.Generation)
			}
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Errorf("rotating: %v", err)
			}
		},
	},
	{
		name: "a refresh token is renewed",
		setup: func(t *testing.T, s *subject) {
			if err := s.make(t, s.person()); err != nil {
				t.Fatal(err)
			}
			rec, _ := s.w.Record(s.id)
			time.Sleep(time.Until(rec.Auth.RenewAt))
		},
		act:   func(t *testing.T, s *subject) { s.sweep(t, time.Minute) },
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			rec, _ := s.w.Record(s.id)
			if left := time.Until(rec.Auth.RenewAt); left < 20*24*time.Hour || rec.Auth.Problem != nil {
				t.Errorf("renewed again in %s; problem %v", left, rec.Auth.Problem)
			}
			if clean {
				s.w.CheckEnd(s.id) // after a crash the old version stays enabled until the next renewal
			}
		},
	},
	{
		name:  "the client secret is replaced by one of another application",
		setup: settled,
		act: func(t *testing.T, s *subject) {
			other, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			s.other = other
			service(s.w).Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
				TenantID: other.TenantID, ClientID: other.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
			}})
		},
		quiet: 3 * 24 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			moved := rec.Target.Same(s.other)
			if clean && !moved {
				t.Error("the connection is still of the old application")
			}
			if moved { // one ours, of the new one; of the old one the foreign secret is left
				s.live(t, 1)
				if n := s.w.Live(s.other.ClientID); n != 1 {
					t.Errorf("live client secrets of the new application: %d, want 1", n)
				}
			}
		},
	},
	{
		name: "rotation is turned on for a secret given without its key id",
		setup: func(t *testing.T, s *subject) {
			in := s.input()
			in.Rotate, in.ClientSecretKeyID = false, ""
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
		},
		act: func(t *testing.T, s *subject) {
			service(s.w).Update(t.Context(), s.id, connection.Change{
				Rotate: new(true), Schedule: &schedule.Schedule{Interval: 7, Hours: 4, Zone: "UTC"}, By: "tester",
			})
		},
		quiet: 2 * time.Hour,
		end: func(t *testing.T, s *subject, clean bool) {
			s.w.CheckEnd(s.id)
			rec, _ := s.w.Record(s.id)
			if clean && (!rec.Policy.Enabled || rec.Current.Origin != rotation.OriginIssued || rec.NextSlot.Before(time.Now())) {
				t.Errorf("enabled %v, current %+v, next slot %s", rec.Policy.Enabled, rec.Current, rec.NextSlot)
			}
			s.live(t, 2)
		},
	},
}

// A connection that can't sign in stops the rotations of its targets, and says why. They go
// on as soon as its sign-in is mended.
func TestLostSignIn(t *testing.T) {
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

// An application's certificate is warned of five times, and rotation does not end.
func TestCertificateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		s.sweepEvery(t, 6*time.Hour, 160*24*time.Hour)
		events, _, err := service(s.w).History(t.Context(), s.id, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range events {
			if e.Kind == history.Expiring {
				n++
			}
		}
		if n != 5 {
			t.Errorf("%d warnings, want 5", n)
		}
		s.check(t)
	})
}

// A connection that others rotate through is not deleted. What it authenticates with is no
// client secret, so that those of its application may be rotated.
func TestWhatOthersDependOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		wantError := func(doing string, err error, kind connection.Kind, says string) {
			t.Helper()
			e, ok := errors.AsType[*connection.Error](err)
			if !ok || e.Kind != kind || !strings.Contains(e.Message, says) {
				t.Errorf("%s: %v; want %s: %q", doing, err, kind, says)
			}
		}
		_, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{Revoke: true})
		wantError("deleting a connection with a target", err, connection.Invalid, "1 target,")

		other, _, _ := s.w.AddApplication()
		s.w.AddCertificate(other.ClientID, stored(renewed))
		s.w.Own(s.acting.ClientID, other.ClientID, true)
		in := rotating(connection.Input{Name: "beside", Credentials: connection.Credentials{
			Method: connection.Certificate, TenantID: other.TenantID, ClientID: other.ClientID, Certificate: renewed,
		}}, s.acting)
		if _, err = service(s.w).Create(t.Context(), in); err != nil {
			t.Errorf("rotating the application of a certificate: %v", err)
		}
		in.Name, in.Target.ClientID = "second", s.app.ClientID
		s.w.Own(s.app.ClientID, other.ClientID, true)
		_, err = service(s.w).Create(t.Context(), in)
		wantError("rotating what another rotates", err, connection.Conflict, "")

		own := s.input()
		own.Name, own.Rotate, own.ClientSecretKeyID = "third", false, ""
		_, err = service(s.w).Create(t.Context(), own)
		wantError("authenticating with what another rotates", err, connection.Conflict, "nothing may authenticate")

		refused := service(s.w)
		refused.Refused = map[string]string{other.ClientID: "Rekey's own identity"}
		in.Target.ClientID, in.Name = other.ClientID, "fourth"
		_, err = refused.Create(t.Context(), in)
		wantError("rotating what Rekey depends on", err, connection.Invalid, "Rekey's own identity")
		s.check(t)
	})
}

// Of two renewals at once, and of a renewal during a reconnect, the newest refresh token
// stays.
func TestNewestRefreshTokenSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.person()
		if err := s.make(t, in); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		two := make(chan error, 2)
		for i := range 2 {
			go func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				_, err := actors(s.w).Token(t.Context(), s.id)
				two <- err
			}()
		}
		if err := errors.Join(<-two, <-two); err != nil {
			t.Fatal(err)
		}
		s.inVault(t, s.w.Newest(s.account))

		time.Sleep(48 * time.Hour)
		refresh := secret.Value{}
		go func() { two <- actors(s.w).Renew(t.Context(), s.id) }()
		go func() {
			var account string
			account, refresh = s.w.AddPerson()
			in.SignIn = &connection.SignIn{RefreshToken: refresh, Account: account}
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials})
			two <- err
		}()
		if err := errors.Join(<-two, <-two); err != nil {
			t.Fatal(err)
		}
		rec, _ := s.w.Record(s.id)
		if rec.Auth.Generation != 2 {
			t.Errorf("generation %d", rec.Auth.Generation)
		}
		s.inVault(t, refresh)
		s.sweep(t, time.Hour)
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}

// inVault fails unless that refresh token is what the connection signs in with.
func (s *subject) inVault(t *testing.T, want secret.Value) {
	t.Helper()
	rec, _ := s.w.Record(s.id)
	v, err := s.w.VaultPort().Get(t.Context(), rec.AuthName(), rec.Auth.VaultVersion)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(v.Value.Reveal(), want.Reveal()) {
		t.Error("what is in the vault is not the newest refresh token")
	}
}

func actors(w *rotationtest.World) *connection.Actors { return service(w).Actors }
