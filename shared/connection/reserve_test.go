package connection_test

import (
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"
)

// A change that is refused gives back what it reserved, whether that is found out before
// anything is written or when it is.
func TestRefusedChangeGivesBack(t *testing.T) {
	for name, update := range map[string]func(t *testing.T, s *subject) error{
		"its credentials are wrong": func(t *testing.T, s *subject) error {
			c := s.input().Credentials
			c.ClientSecret = secret.New("wrong")
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Credentials: &c})
			return err
		},
		"another caller was faster": func(t *testing.T, s *subject) error {
			rec := s.record(t)
			s.w.Before("store.commit", func() {
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: new("theirs")}); err != nil {
					t.Error(err)
				}
			})
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Version: new(rec.Revision)})
			return err
		},
		"it goes over to an application whose secret is in use": func(t *testing.T, s *subject) error {
			app, secret, keyID := s.w.AddApplication()
			s.w.Name(keyID)
			in := s.input()
			in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
			in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
			second, err := service(s.w).Create(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			_, err = service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &in.Credentials})
			if _, err := service(s.w).Delete(t.Context(), second.ID, connection.DeleteOptions{Revoke: true}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				before := s.w.Reserved()
				if err := update(t, s); err == nil {
					t.Fatal("it was not refused")
				}
				if after := s.w.Reserved(); !maps.Equal(before, after) {
					t.Errorf("reserved are %v, want %v", after, before)
				}
				s.check(t)
			})
		})
	}
}

// What a change makes superfluous is given back, and the history says nothing of it.
func TestAChangeGivesBackWhatItReplaces(t *testing.T) {
	t.Run("a name", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			before := len(s.w.Reserved())
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
				t.Fatal(err)
			}
			s.holds(t, rotation.NameReservation("", "invoices", s.id))
			if n := len(s.w.Reserved()); n != before {
				t.Errorf("reserved are %v, want %d", s.w.Reserved(), before)
			}
		})
	})
	t.Run("who acts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			before := s.signsInWithSecret(t)
			other, secret, _ := s.w.AddApplication()
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
				TenantID: other.TenantID, ClientID: other.ClientID, ClientSecret: secret,
			}}); err != nil {
				t.Fatal(err)
			}
			for app, want := range map[rotation.Application]int{before: 0, other: 1} {
				if rows, err := s.w.StorePort().ClaimsOf(t.Context(), app.Key()); err != nil || len(rows) != want {
					t.Errorf("claims on %s: %v, %v; want %d", app.ClientID, rows, err, want)
				}
			}
			if rec := s.record(t); !rec.Actor.Same(other) {
				t.Errorf("it authenticates as %s", rec.Actor.ClientID)
			}
			s.check(t)
		})
	})
}

// A name is free once nothing needs it: when a deletion begins, however long that takes,
// and when a connection has another one and died before it gave the old one up.
func TestANameThatNothingNeedsIsFree(t *testing.T) {
	second := func(t *testing.T, s *subject) error {
		app, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		in := s.input()
		in.Credentials = connection.Credentials{TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
		_, err := service(s.w).Create(t.Context(), in)
		return err
	}
	for name, leave := range map[string]func(t *testing.T, s *subject){
		"its connection is being deleted": func(t *testing.T, s *subject) {
			s.w.Break(2, rotationtest.CrashAfter) // the request, and the lease with the beginning
			service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
			if rec := s.record(t); rec.Phase != rotation.Deleting {
				t.Fatalf("phase %s", rec.Phase)
			}
		},
		"its connection is called otherwise": func(t *testing.T, s *subject) {
			s.w.Break(2, rotationtest.CrashAfter) // the new name is reserved, and written
			service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")})
			if rec := s.record(t); rec.Name != "invoices" {
				t.Fatalf("the name is %q", rec.Name)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				leave(t, s)
				s.w.Break(0, rotationtest.NoFault)
				s.w.Restart()
				held := rotation.NameReservation("", "billing", "")
				if got, err := s.w.StorePort().Find(t.Context(), held.Kind, held.Value); err != nil || got.Owner != s.id {
					t.Fatalf("the name was given up already: %v, %v", got, err)
				}
				if err := second(t, s); err != nil {
					t.Errorf("creating another one of that name: %v", err)
				}
				s.check(t)
			})
		})
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

// A refused change does not release what another one has made the connection's meanwhile,
// not even for a moment, nor anything if it is unknown whether one has.
func TestNothingHeldIsReleased(t *testing.T) {
	for _, readable := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			s.w.Before("store.reserve "+rotation.NameReservation("", "invoices", "").Value, func() {
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), By: "tester"}); err != nil {
					t.Error(err)
				}
				s.w.Calls()
				if !readable {
					s.w.Refuse("store.load", errLost)
				}
			})
			wrong := s.input().Credentials
			wrong.ClientSecret = secret.New("wrong")
			_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Credentials: &wrong, By: "tester"})
			refusal(t, err, connection.Invalid, "")
			s.w.Refuse("store.load", nil)
			if n := s.w.Calls()["store.release"]; n != 0 {
				t.Errorf("%d reservations were released", n)
			}
			s.holds(t, rotation.NameReservation("", "invoices", s.id))
			s.check(t)
		})
	}
}

// A name that a refused change gives back stays with whom it has come to since: with the
// same connection, where another change of it was written a moment later.
func TestANameThatIsGivenBackStaysWithWhomItHasComeTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Before("store.commit", func() {
			wrong := s.input().Credentials
			wrong.ClientSecret = secret.New("wrong")
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Credentials: &wrong}); err == nil {
				t.Error("wrong credentials were taken")
			}
		})
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
			t.Fatal(err)
		}
		s.holds(t, rotation.NameReservation("", "invoices", s.id))
		s.check(t)
	})
}

// A caller who sends the name along with every change, as it is, does not get it back by
// that: it may be another connection's since this one was renamed.
func TestANameThatIsSentAlongIsNotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Before("store.commit", func() {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
				t.Error(err)
			}
		})
		_, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("billing"), Description: new("changed")})
		t.Logf("the change that sent the name along: %v", err)
		rec := s.record(t)
		s.holds(t, rotation.NameReservation("", rec.Name, s.id))
	})
}

// A connection is renamed, and renamed back at the same time. Whatever its name is in the
// end is its own.
func TestARenamedConnectionHoldsItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Before("store.release", func() {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("billing")}); err != nil {
				t.Fatal(err)
			}
		})
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")}); err != nil {
			t.Fatal(err)
		}
		rec := s.record(t)
		s.holds(t, rotation.NameReservation("", rec.Name, s.id))
	})
}

// A name in the vault is taken over only if a connection of this deployment that is gone has
// left it, for the same application (promise P2).
func TestWhichVaultSecretsACreationTakesOver(t *testing.T) {
	const ours = rotationtest.Deployment
	for name, tt := range map[string]struct {
		tags func(s *subject) map[string]string
		free bool
	}{
		"left by a connection that is gone": {func(s *subject) map[string]string { return s.leftBy("gone", s.app.ClientID, ours) }, true},
		"of another deployment":             {func(s *subject) map[string]string { return s.leftBy("gone", s.app.ClientID, "another") }, false},
		"of another application":            {func(s *subject) map[string]string { return s.leftBy("gone", "another", ours) }, false},
		"of a connection that exists":       {func(s *subject) map[string]string { return s.leftBy(s.id, s.app.ClientID, ours) }, false},
		"of none":                           {func(*subject) map[string]string { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				unrotated(t, s)
				if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: "given", Value: s.secret, Enabled: true,
					ExpiresAt: time.Now().Add(time.Hour),
					Tags:      tt.tags(s)}); err != nil {
					t.Fatal(err)
				}
				in := s.own("second")
				in.VaultSecretName = "given"
				_, err := service(s.w).Create(t.Context(), in)
				e, _ := errors.AsType[*connection.Error](err)
				if taken := e != nil && e.Kind == connection.Taken; taken == tt.free || tt.free && err != nil {
					t.Errorf("got %v", err)
				}
				if v, _ := s.w.Published("given"); !tt.free && v.Value != s.secret {
					t.Error("it was written over")
				}
			})
		})
	}
}

// leftBy are the tags of what a connection has left.
func (s *subject) leftBy(id, clientID, deployment string) map[string]string {
	return map[string]string{
		vaulttag.Deployment: deployment, vaulttag.Connection: id, vaulttag.Tenant: s.app.TenantID, vaulttag.Client: clientID,
	}
}
