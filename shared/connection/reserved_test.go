package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// whenReleased does something, once, right before a reservation is released.
type whenReleased struct {
	connection.Reservations
	do func()
}

func (r *whenReleased) Release(ctx context.Context, res reservation.Row) error {
	if do := r.do; do != nil {
		r.do = nil
		do()
	}
	return r.Reservations.Release(ctx, res)
}

// A connection is renamed, and renamed back at the same time. Whatever its name is in the
// end is its own.
func TestRenamedBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		c := service(s.w)
		c.Reservations = &whenReleased{c.Reservations, func() {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("billing")}); err != nil {
				t.Fatal(err)
			}
		}}
		if _, err := c.Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
			t.Fatal(err)
		}
		rec := mustRecord(t, s)
		s.holds(t, rotation.NameReservation("", rec.Name, s.id))
	})
}

// A connection that rotates nothing and was refused to begin with it does not keep its
// application from the others.
func TestARefusedChangeKeepsNoApplication(t *testing.T) {
	plan := schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}
	for name, refused := range map[string]func(t *testing.T, s *subject) error{
		"new credentials": func(t *testing.T, s *subject) error {
			c := service(s.w)
			c.Vault = fullVault{c.Vault}
			secret, keyID := s.w.AddForeign(s.app.ClientID)
			_, err := c.Update(t.Context(), s.id, connection.Change{Rotate: new(true), Schedule: &plan, Credentials: &connection.Credentials{
				TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
			}})
			return err
		},
		"turning on": func(t *testing.T, s *subject) error {
			rec := mustRecord(t, s)
			s.w.Before("store.claims", func() {
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: new("changed")}); err != nil {
					t.Fatal(err)
				}
			})
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(true), Schedule: &plan, Version: new(rec.Revision)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				in := s.input()
				in.Rotate, in.Schedule = false, schedule.Schedule{}
				if err := s.make(t, in); err != nil {
					t.Fatal(err)
				}
				if err := refused(t, s); err == nil {
					t.Fatal("it was not refused")
				}
				s.sweep(t, 24*time.Hour)
				if err := s.second(t, s.another()); err != nil {
					t.Errorf("a day later another connection, which rotates nothing: %v", err)
				}
			})
		})
	}
}

// whenStored does something, once, right after a new version was stored.
type whenStored struct {
	connection.Vault
	do func()
}

func (v *whenStored) Put(ctx context.Context, secret rotation.VaultSecret) (string, error) {
	version, err := v.Vault.Put(ctx, secret)
	if do := v.do; do != nil {
		v.do = nil
		do()
	}
	return version, err
}

// A connection goes over to another application, and its caller gives it back the first
// one at the moment when it has arrived. Whichever it rotates is its own (rule R11).
func TestGivenBackWhileGoingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		back, backKey := s.w.AddForeign(s.app.ClientID)
		s.w.Name(backKey)
		c := service(s.w)
		c.Vault = &whenStored{c.Vault, func() {
			s.sweep(t, 2*time.Minute)
			if rec := mustRecord(t, s); !rec.Target.Same(app) {
				t.Fatalf("it has not gone over: phase %s", rec.Phase)
			}
		}}
		_, err := c.Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: s.app.TenantID, ClientID: s.app.ClientID, ClientSecret: back, ClientSecretKeyID: backKey,
		}})
		s.sweep(t, 2*time.Hour)
		rec := mustRecord(t, s)
		if err != nil && rec.Target.Same(s.app) {
			t.Fatalf("it was refused and done: %v", err)
		}
		s.claims(t, rotation.Exclusive, rec.Target)
	})
}

// The same of a rotation by hand that was refused while the connection was going over to
// another application.
func TestARefusedRotationKeepsNoApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
			t.Fatal(err)
		}
		app, secret, keyID := s.w.AddApplication()
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		s.rebindTo(t, app, secret, keyID)
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"}); err == nil {
			t.Fatal("it was not refused")
		}
		s.sweep(t, 24*time.Hour)
		in = s.input()
		in.Name, in.Rotate, in.Schedule = "third", false, schedule.Schedule{}
		in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID}
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(app.ClientID)
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Errorf("a day later another connection, with a client secret of its own: %v", err)
		}
	})
}
