package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/claim"
	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

func (f frozen) Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	f.meanwhile()
	return f.Records.Create(context.WithoutCancel(ctx), rec, events...)
}

// What two connections of one application can and cannot do (rule R11): of the first by what
// it does or has to do, of the second by what is asked for. An exclusive claim excludes all
// others; shared ones do not exclude each other; certificates claim nothing.
func TestWhatTwoConnectionsOfOneApplicationCanDo(t *testing.T) {
	const nothing = rotation.ClaimKind("")
	update := func(t *testing.T, s *subject, c connection.Change) {
		t.Helper()
		if _, err := service(s.w).Update(t.Context(), s.id, c); err != nil {
			t.Fatal(err)
		}
	}
	firsts := map[string]struct {
		has  rotation.ClaimKind
		make func(t *testing.T, s *subject)
	}{
		"none": {nothing, func(*testing.T, *subject) {}},
		"signs in with a certificate": {nothing, func(t *testing.T, s *subject) {
			s.w.AddCertificate(s.app.ClientID, stored(given))
			if err := s.make(t, connection.Input{Name: "certificate", Credentials: connection.Credentials{
				Method: connection.Certificate, TenantID: s.app.TenantID, ClientID: s.app.ClientID, Certificate: given,
			}}); err != nil {
				t.Fatal(err)
			}
		}},
		"publishes":              {rotation.Shared, unrotated},
		"signs in with a secret": {rotation.Shared, func(t *testing.T, s *subject) { s.signsInWithSecret(t) }},
		"rotated before": {rotation.Shared, func(t *testing.T, s *subject) {
			settled(t, s)
			update(t, s, connection.Change{Rotate: new(false)})
		}},
		"goes over to it": {rotation.Shared, func(t *testing.T, s *subject) {
			here := s.own("over")
			elsewhere, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			in := s.publishing("billing", secret, keyID)
			in.TenantID, in.ClientID = elsewhere.TenantID, elsewhere.ClientID
			if err := s.make(t, in); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			s.rebindTo(t, s.app, here.ClientSecret, here.ClientSecretKeyID)
		}},
		"rotates": {rotation.Exclusive, settled},
		"rotated before and has something to remove": {rotation.Exclusive, func(t *testing.T, s *subject) {
			settled(t, s)
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			update(t, s, connection.Change{Rotate: new(false)})
		}},
		"is rotated by hand": {rotation.Exclusive, func(t *testing.T, s *subject) {
			unrotated(t, s)
			if rec, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil || rec.Run == nil {
				t.Fatalf("run %+v, %v", rec.Run, err)
			}
		}},
		"has left it and removes what it had": {rotation.Exclusive, func(t *testing.T, s *subject) {
			settled(t, s)
			app, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			s.rebindTo(t, app, secret, keyID)
			s.sweep(t, time.Hour)
			if rec := mustRecord(t, s); !rec.Target.Same(app) || len(rec.Replaced()) != 1 {
				t.Fatalf("of %s, to be removed %v", rec.Target.ClientID, rec.Removals)
			}
		}},
		"a target rotates it": {rotation.Exclusive, func(t *testing.T, s *subject) { withTarget(t, s) }},
		"is being deleted": {rotation.Exclusive, func(t *testing.T, s *subject) {
			settled(t, s)
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			if _, err := s.briefly().Delete(t.Context(), s.id, connection.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
	}
	create := func(t *testing.T, s *subject, in connection.Input) error {
		_, err := service(s.w).Create(t.Context(), in)
		return err
	}
	// changed is the second connection, which publishes first.
	changed := func(t *testing.T, s *subject) (id string, err error) {
		rec, err := service(s.w).Create(t.Context(), s.own("second"))
		s.sweep(t, time.Minute)
		return rec.ID, err
	}
	asks := map[string]struct {
		needs rotation.ClaimKind
		ask   func(t *testing.T, s *subject) error
	}{
		"publish": {rotation.Shared, func(t *testing.T, s *subject) error { return create(t, s, s.own("second")) }},
		"sign in with a secret": {rotation.Shared, func(t *testing.T, s *subject) error {
			target, _, _ := s.w.AddApplication()
			s.w.Own(target.ClientID, s.app.ClientID, true)
			return create(t, s, rotating(s.publishing("second", s.another(), ""), target))
		}},
		"go over to it": {rotation.Shared, func(t *testing.T, s *subject) error {
			elsewhere, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			in := s.publishing("second", secret, keyID)
			in.TenantID, in.ClientID = elsewhere.TenantID, elsewhere.ClientID
			rec, err := service(s.w).Create(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			s.sweep(t, 2*time.Minute)
			next := s.own("").Credentials
			_, err = service(s.w).Update(t.Context(), rec.ID, connection.Change{Credentials: &next})
			return err
		}},
		"rotate": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			in := s.own("second")
			in.Rotate, in.Schedule = true, monthly
			return create(t, s, in)
		}},
		"turn rotation on": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Update(t.Context(), id, connection.Change{Rotate: new(true), Schedule: &monthly})
			}
			return err
		}},
		"rotate by hand": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Rotate(t.Context(), id, connection.RotateOptions{})
			}
			return err
		}},
		"rotate in an emergency": {rotation.Exclusive, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Rotate(t.Context(), id, connection.RotateOptions{Emergency: true})
			}
			return err
		}},
		"delete": {rotation.Shared, func(t *testing.T, s *subject) error {
			id, err := changed(t, s)
			if err == nil {
				_, err = service(s.w).Delete(t.Context(), id, connection.DeleteOptions{Revoke: true}) // nothing of it was issued
			}
			return err
		}},
	}
	for first, f := range firsts {
		for second, a := range asks {
			t.Run(first+", "+second, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					f.make(t, s)
					err := a.ask(t, s)
					refused := f.has == rotation.Exclusive || f.has == rotation.Shared && a.needs == rotation.Exclusive
					if refused != (kindOf(err) == connection.Conflict) || !refused && err != nil {
						t.Errorf("got %v; want it refused: %t", err, refused)
					}
					s.sweep(t, 3*day)
					s.check(t)
				})
			})
		}
	}
}

// Of two that claim one application at the same moment, at least one is refused, and both
// may try again.
func TestTwoClaimsAtOnce(t *testing.T) {
	for name, rotates := range map[string][2]bool{
		"both rotate": {true, true}, "one rotates": {true, false}, "the other rotates": {false, true},
	} {
		for _, op := range []string{"store.claim", "store.claims", "store.create"} {
			t.Run(name+", before "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					var in [2]connection.Input
					for i := range in {
						if in[i] = s.own([]string{"first", "second"}[i]); rotates[i] {
							in[i].Rotate, in[i].Schedule = true, monthly
						}
					}
					var inner error
					calls := 0
					var between func()
					between = func() { // the first look is before anything is claimed
						if calls++; op == "store.claims" && calls == 1 {
							s.w.Before(op, between)
							return
						}
						_, inner = service(s.w).Create(t.Context(), in[1])
					}
					s.w.Before(op, between)
					_, outer := service(s.w).Create(t.Context(), in[0])
					if inner == nil && outer == nil {
						t.Error("both were created")
					}
					for _, err := range []error{inner, outer} {
						if err != nil && kindOf(err) != connection.Conflict {
							t.Errorf("refused with %v", err)
						}
					}
					s.sweep(t, time.Hour)
					s.check(t)
				})
			})
		}
	}
}

// frozen is a process that stands still for a while before it writes its new record.
type frozen struct {
	connection.Records
	meanwhile func()
}

// A process that stood still for so long that its claims were void writes a record that
// another connection is in the way of. A pass finds that out first, and undoes the creation.
func TestACreationThatComesTooLateIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		late := service(s.w)
		late.Records = frozen{late.Records, func() {
			time.Sleep(claim.VoidAfter + time.Minute)
			in := s.own("second")
			in.Rotate, in.Schedule = true, monthly
			if err := s.make(t, in); err != nil {
				t.Fatalf("after the claims are void: %v", err)
			}
		}}
		if rec, err := late.Create(t.Context(), s.input()); err == nil {
			t.Errorf("it was created: %+v", rec)
		}
		s.sweep(t, time.Hour)
		if left := s.w.Records(); len(left) != 1 || left[0] != s.id || !s.w.IsLive(s.keyID) {
			t.Errorf("records %v, want the second one's; what was given lives: %t", left, s.w.IsLive(s.keyID))
		}
		s.check(t)
	})
}

// A connection's own targets may have the application that it signs in with, whichever
// comes first.
func TestATargetMayHaveTheApplicationOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.signsInWithSecret(t)
		s.w.Own(s.app.ClientID, s.app.ClientID, true)
		if _, err := service(s.w).CreateTarget(t.Context(), s.id, connection.TargetInput{
			Target: connection.Target{ClientID: s.app.ClientID}, Rotate: true, Schedule: monthly,
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: s.another(),
		}}); err != nil {
			t.Errorf("reconnecting with the same application: %v", err)
		}
		err := s.second(t, s.another())
		refusal(t, err, connection.Conflict, "nothing may authenticate")
		s.sweep(t, 40*day)
		s.check(t)
	})
}

// A connection whose rotation was turned off does not keep its application from others
// that rotate nothing.
func TestTurnedOffIsNotInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		if _, err := s.create(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 6*time.Minute)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)}); err != nil {
			t.Fatal(err)
		}
		if rec := mustRecord(t, s); len(rec.Replaced())+len(rec.Orphans()) > 0 {
			t.Fatalf("retiring %v", rec.Replaced())
		}
		if err := s.second(t, s.another()); err != nil {
			t.Errorf("publishing another client secret: %v", err)
		}
		s.sweep(t, time.Hour)
		s.check(t)
	})
}

// givenTwice makes a connection that rotates nothing, and gives it new credentials twice
// within a minute, without key ids, so that it has nothing to remove. It returns the last.
func givenTwice(t *testing.T, s *subject) (last secret.Value) {
	t.Helper()
	unrotated(t, s)
	for range 2 {
		last = s.another()
		s.giveAnother(t, s.app, last)
		if v, _ := s.w.Published(s.recordOf(t, s.id).VaultName); v.Value != last {
			t.Fatal("the new credentials were not taken over")
		}
	}
	return last
}

// Neither removes anything, so that neither is in the other's way.
func TestTwoThatRotateNothingShareAnApplicationRightAfterNewCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		givenTwice(t, s)
		if err := s.second(t, s.another()); err != nil {
			t.Errorf("refused: %v", err)
		}
		s.check(t)
	})
}

// Two connections are created at once: one that rotates an application by taking its client
// secret over, and one that was given the same client secret to publish. One of them has
// to see the other, or the second publishes what the first removes (promise P1).
func TestTheSameSecretGivenTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		var rotates error
		publishing := service(s.w)
		publishing.Records = justBefore{publishing.Records, func() {
			_, rotates = service(s.w).Create(t.Context(), s.input())
		}}
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		_, publishes := publishing.Create(t.Context(), in)
		if rotates == nil && publishes == nil {
			t.Error("both were created")
		}
		s.sweep(t, time.Hour)
		s.check(t)
	})
}

// The same the other way round, and not at once: what a rotating connection has published
// is given to a second one, which would publish it until the first removes it.
func TestTheSecretOfARotatingConnectionGivenToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		rec, _ := s.w.Record(s.id)
		published, _ := s.w.Published(rec.VaultName)
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.ClientSecret, in.ClientSecretKeyID = published.Value, rec.Current.KeyID
		if _, err := service(s.w).Create(t.Context(), in); err == nil {
			t.Error("it was taken")
		}
		s.sweep(t, 40*24*time.Hour)
		s.check(t)
	})
}

// New credentials that turn rotation on bring the same conflict along.
func TestNewCredentialsThatAnotherHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Rotate, in.Schedule = false, schedule.Schedule{}
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		in.Name = "second"
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		s.w.Name(in.ClientSecretKeyID)
		second, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = service(s.w).Update(t.Context(), second.ID, connection.Change{
			Rotate: new(true), Schedule: &schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, Credentials: new(s.input().Credentials),
		})
		if kindOf(err) != connection.Conflict {
			t.Errorf("got %v", err)
		}
		s.sweep(t, 3*time.Hour)
		s.check(t)
	})
}

// What a connection that is being deleted has published is removed at the end, if that was
// asked for. Until then no other connection may be created with it.
func TestTheSecretOfAConnectionThatIsBeingRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.rotateBy(t, 10*time.Minute) // something old waits, so that the deletion takes a while
		rec := mustRecord(t, s)
		published, _ := s.w.Published(rec.VaultName)
		if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"}); err != nil {
			t.Fatal(err)
		}
		if !s.w.IsLive(rec.Current.KeyID) {
			t.Fatal("it is removed already")
		}
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.ClientSecret, in.ClientSecretKeyID = published.Value, rec.Current.KeyID
		second, err := service(s.w).Create(t.Context(), in)
		s.sweep(t, 24*time.Hour)
		if err == nil && !s.w.IsLive(rec.Current.KeyID) {
			t.Errorf("connection %s was created with a client secret that Rekey itself was about to remove", second.Name)
		}
		s.check(t)
	})
}

// A connection that is going over to a client secret has it as good as published: another
// one must not take that client secret over and remove it (promise P1).
func TestTheSecretThatAnotherIsGoingOverTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Rotate, in.Schedule, in.ClientSecretKeyID = false, schedule.Schedule{}, ""
		if err := s.make(t, in); err != nil {
			t.Fatal(err)
		}
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, "")
		in = s.input()
		in.Name = "second"
		in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
		_, err := service(s.w).Create(t.Context(), in)
		s.sweep(t, 3*time.Hour)
		rec := mustRecord(t, s)
		if err == nil && rec.Target.Same(app) && !s.w.IsLive(keyID) {
			t.Error("both were taken, and the one has removed what the other publishes")
		}
		s.check(t)
	})
}

// The same the other way round: what a rotating connection is going over to counts as its
// original, and is removed as soon as it has arrived.
func TestTheSecretThatARotatingConnectionIsGoingOverTo(t *testing.T) {
	for _, name := range []string{"of its application", "of another application"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				app, secret, keyID := s.w.AddApplication()
				if name == "of its application" {
					app = s.app
					secret, keyID = s.w.AddForeign(s.app.ClientID)
				}
				s.w.Name(keyID)
				s.rebindTo(t, app, secret, keyID)
				in := s.input()
				in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
				in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
				_, err := service(s.w).Create(t.Context(), in)
				s.sweep(t, 3*time.Hour)
				if err == nil && !s.w.IsLive(keyID) {
					t.Error("a connection was created with a client secret that another one was about to remove")
				}
				s.check(t)
			})
		})
	}
}

// speechless does not tell what one version holds.
type speechless struct {
	rotationtest.VaultPort
	name, version string
}

func (v speechless) Get(ctx context.Context, name, version string) (rotation.VaultSecret, error) {
	if name == v.name && version == v.version {
		return rotation.VaultSecret{}, &serviceerror.Error{Op: "reading a secret", Class: serviceerror.Throttled, Status: 429}
	}
	return v.VaultPort.Get(ctx, name, version)
}

// Whether a client secret is one that another connection is about to remove can't be found
// out right now: then it is not taken for another one.
func TestASecretThatCannotBeToldFromARetiringOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		before := mustRecord(t, s)
		old, _ := s.w.Published(before.VaultName)
		s.rotateBy(t, 10*time.Minute)
		c := service(s.w)
		c.Vault = speechless{s.w.VaultPort(), before.VaultName, before.Current.VaultVersion}
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.ClientSecret, in.ClientSecretKeyID = old.Value, ""
		_, err := c.Create(t.Context(), in)
		s.sweep(t, 3*24*time.Hour)
		if err == nil && !s.w.IsLive(before.Current.KeyID) {
			t.Error("a connection was created with a client secret that another one was about to remove")
		}
		s.check(t)
	})
}

// A connection that has gone over to another application still removes what it had issued
// for the first one, at the end of the grace period.
func TestTheSecretThatAConnectionHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		before := mustRecord(t, s)
		left, _ := s.w.Published(before.VaultName)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		s.sweep(t, time.Hour)
		if rec := mustRecord(t, s); !rec.Target.Same(app) || !s.w.IsLive(before.Current.KeyID) {
			t.Fatal("it has not gone over, or the old client secret is removed already")
		}
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.ClientSecret, in.ClientSecretKeyID = left.Value, before.Current.KeyID
		_, err := service(s.w).Create(t.Context(), in)
		s.sweep(t, 3*24*time.Hour)
		if err == nil && !s.w.IsLive(before.Current.KeyID) {
			t.Error("a connection was created with a client secret that another one was about to remove")
		}
		s.check(t)
	})
}
