package connection_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/secret"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// holds fails unless the subject holds a reservation.
func (s *subject) holds(t *testing.T, res reservation.Row) {
	t.Helper()
	got, err := s.w.StorePort().Find(t.Context(), res.Kind, res.Value)
	if err != nil || got.Owner != s.id {
		t.Errorf("the reservation %s %q is held by %q (%v), want %q", res.Kind, res.Value, got.Owner, err, s.id)
	}
}

// claims fails unless the subject lists a claim and has its row.
func (s *subject) claims(t *testing.T, kind rotation.ClaimKind, app rotation.Application) {
	t.Helper()
	rec := mustRecord(t, s)
	rows, err := s.w.StorePort().ClaimsOf(t.Context(), app.Key())
	listed := func(row rotation.ClaimRow) bool { return row.Kind == kind && row.Owner == s.id && rec.Lists(row.Claim) }
	if err != nil || !slices.ContainsFunc(rows, listed) {
		t.Errorf("the record lists %v; the claims on %s are %v, %v; want a %s one", rec.Claimed, app.ClientID, rows, err, kind)
	}
}

// briefly is the service with so little time for a request that a rebind stays under way.
func (s *subject) briefly() *connection.Service {
	c := service(s.w)
	c.Budget = 3 * time.Second
	return c
}

// rebindTo gives the subject the client secret of another application, and leaves it in
// the phase rebinding.
func (s *subject) rebindTo(t *testing.T, app rotation.Application, secret secret.Value, keyID string) {
	t.Helper()
	rec, err := s.briefly().Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
		TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
	}})
	if err != nil || rec.Phase != rotation.Rebinding {
		t.Fatalf("rebinding: phase %s, %v", rec.Phase, err)
	}
}

// A change that is refused gives back what it reserved, but not what another one has
// made the connection's meanwhile.
func TestRefusedChangeKeepsTheName(t *testing.T) {
	t.Run("two at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			rec, _ := s.w.Record(s.id)
			done := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Version: new(rec.Revision)})
					done <- err
				}()
			}
			<-done
			<-done
			if rec, _ = s.w.Record(s.id); rec.Name != "invoices" {
				t.Fatalf("the name is %q", rec.Name)
			}
			s.holds(t, rotation.NameReservation("", "invoices", s.id))
		})
	})
	t.Run("lost answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			rec, _ := s.w.Record(s.id)
			s.w.Break(2, rotationtest.Applied) // the first reserves the name
			service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Version: new(rec.Revision)})
			s.w.Break(0, rotationtest.NoFault)
			if rec, _ = s.w.Record(s.id); rec.Name != "invoices" {
				t.Fatalf("the name is %q", rec.Name)
			}
			s.holds(t, rotation.NameReservation("", "invoices", s.id))
		})
	})
}

// Credentials that are given while others of the same application are being taken over: that
// this fails takes nothing from the rebind that is under way.
func TestRefusedChangeKeepsTheApplicationOfARebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		another, anotherKey := s.w.AddForeign(app.ClientID)
		again := service(s.w)
		again.Vault = fullVault{again.Vault}
		if _, err := again.Update(t.Context(), s.id, connection.Change{By: "tester", Credentials: &connection.Credentials{
			TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: another, ClientSecretKeyID: anotherKey,
		}}); err == nil {
			t.Fatal("a vault that takes nothing took it")
		}
		s.claims(t, rotation.Exclusive, app)
		s.sweep(t, time.Hour)
		if rec, _ := s.w.Record(s.id); !rec.Target.Same(app) {
			t.Fatalf("the connection is of %s", rec.Target.ClientID)
		}
		s.claims(t, rotation.Exclusive, app)
	})
}

// A rebind may take half an hour, and longer where the timer stands still. All that time
// no other connection gets the application that it goes over to (rule R11).
func TestARebindHoldsItsApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		s.rebindTo(t, app, secret, keyID)
		time.Sleep(11 * time.Minute) // reservations may be reclaimed after ten
		in := s.input()
		in.Name, in.Credentials = "second", connection.Credentials{
			TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID,
		}
		if _, err := service(s.w).Create(t.Context(), in); kindOf(err) != connection.Conflict {
			t.Errorf("a second connection for the application that the first is going over to: %v, want a conflict", err)
		}
		s.sweep(t, 2*time.Hour)
		s.check(t)
	})
}

// Rotation is not turned on while another application's secret is being taken over: what
// would be looked into is not what would be rotated. It is afterwards, and has the new one.
func TestRotationTurnedOnWhileRebinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		app := s.unrotatedGoesOver(t)
		on := connection.Change{Rotate: new(true), By: "tester"}
		if _, err := service(s.w).Update(t.Context(), s.id, on); kindOf(err) != connection.Conflict {
			t.Errorf("got %v, want a conflict", err)
		}
		s.sweep(t, 2*time.Hour)
		if _, err := service(s.w).Update(t.Context(), s.id, on); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 2*time.Hour)
		if rec := mustRecord(t, s); !rec.Policy.Enabled || !rec.Target.Same(app) {
			t.Fatalf("rotation is on: %v, of %s", rec.Policy.Enabled, rec.Target.ClientID)
		}
		s.claims(t, rotation.Exclusive, app)
		s.check(t)
	})
}

// unrotatedGoesOver turns rotation off and leaves the subject going over to another
// application.
func (s *subject) unrotatedGoesOver(t *testing.T) rotation.Application {
	t.Helper()
	if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false), By: "tester"}); err != nil {
		t.Fatal(err)
	}
	app, secret, keyID := s.w.AddApplication()
	s.w.Name(keyID)
	s.rebindTo(t, app, secret, keyID)
	return app
}
