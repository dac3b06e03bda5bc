package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// A connection that rotates the client secrets of its own application through a target is
// not in its own way: its certificate can be replaced.
func TestReconnectWhereAnOwnTargetRotatesTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		s.w.Own(s.acting.ClientID, s.acting.ClientID, true)
		_, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
			Target: connection.Target{ClientID: s.acting.ClientID}, Rotate: true,
			Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"}, By: "tester",
		})
		if err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 30*time.Minute)
		_, err = service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		if err != nil {
			t.Errorf("a new certificate of the same application: %v", err)
		}
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
