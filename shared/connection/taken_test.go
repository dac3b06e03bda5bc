package connection_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// A connection that goes over to an application whose connection is being deleted is told to
// wait, like a new connection for it.
func TestGoingOverToWhatIsBeingDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		if _, err := s.briefly().Delete(t.Context(), s.id, connection.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if rec := mustRecord(t, s); rec.Phase != rotation.Deleting {
			t.Fatalf("phase %s", rec.Phase)
		}
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		in := s.input()
		in.Name, in.Credentials = "second", connection.Credentials{
			TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
		}
		rec, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		c := s.input().Credentials
		c.ClientSecret, c.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		_, err = service(s.w).Update(t.Context(), rec.ID, connection.Change{Credentials: &c})
		e, _ := errors.AsType[*connection.Error](err)
		if e == nil || e.Kind != connection.Conflict || e.RetryAfter == 0 {
			t.Errorf("got %+v, want a conflict that says to try again", e)
		}
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

// A connection that went over to another application still removes what it had of the
// first. The API tells a caller who wants to rotate that one so, and does not tell
// it to use the connection or delete it.
func TestWhatWaitsForItsRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		s.sweep(t, time.Hour)
		in := s.input()
		in.Name = "second"
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		_, err := service(s.w).Create(t.Context(), in)
		e, _ := errors.AsType[*connection.Error](err)
		if e == nil || e.Kind != connection.Conflict || e.RetryAfter == 0 {
			t.Errorf("got %+v, want a conflict that says until when", e)
		}
	})
}
