package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// storing tells how often something was stored.
type storing struct {
	connection.Vault
	stored *int
}

func (v storing) Put(ctx context.Context, secret rotation.VaultSecret) (string, error) {
	*v.stored++
	return v.Vault.Put(ctx, secret)
}

// A connection is not given, to authenticate with, what another one is about to remove.
func TestReconnectedWithWhatAnotherRotates(t *testing.T) {
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
		published, _ := s.w.Published(mustRecord(t, s).VaultName)
		_, err = service(s.w).Update(t.Context(), second.ID, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: published.Value,
		}})
		refusal(t, err, connection.Conflict, "rotates the client secrets")
		s.check(t)
	})
}

// The targets of a connection are told which application it authenticates as by now.
func TestTargetsAreToldWhoActs(t *testing.T) {
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
		if rec := mustRecord(t, s); !rec.Actor.Same(app) {
			t.Errorf("the target is acted for by %s, want %s", rec.Actor.ClientID, app.ClientID)
		}
		s.check(t)
	})
}

// New credentials that could not be announced are not stored: nothing would disable them.
func TestNothingIsStoredUnannounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		s.sweep(t, 2*time.Hour) // no look for stale versions is to come
		slow := service(s.w)
		actors := *slow.Actors
		actors.Records = &unsteady{Records: slow.Records, commit: func(int) (bool, error) { return false, errLost }}
		stored := 0
		slow.Actors, slow.Vault = &actors, storing{slow.Vault, &stored}
		_, err := slow.Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: renewed,
		}})
		refusal(t, err, connection.Unavailable, "outcome is unknown")
		if stored != 0 {
			t.Errorf("stored %d times", stored)
		}
		s.check(t)
	})
}
