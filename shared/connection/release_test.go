package connection_test

import (
	"context"
	"maps"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// beforeCommit does something right before the first commit.
type beforeCommit struct {
	connection.Records
	do func()
}

func (b *beforeCommit) Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error) {
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return b.Records.Commit(ctx, rec, events...)
}

// beforeReserving does something right before the first reservation of a kind.
type beforeReserving struct {
	connection.Reservations
	kind reservation.Kind
	do   func()
}

func (b *beforeReserving) Reserve(
	ctx context.Context, res reservation.Row, reclaim func(context.Context, reservation.Row) (bool, error),
) error {
	if do := b.do; do != nil && res.Kind == b.kind {
		b.do = nil
		do()
	}
	return b.Reservations.Reserve(ctx, res, reclaim)
}

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
			rec := mustRecord(t, s)
			slow := service(s.w)
			slow.Records = &beforeCommit{slow.Records, func() {
				if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: new("theirs")}); err != nil {
					t.Error(err)
				}
			}}
			_, err := slow.Update(t.Context(), s.id, connection.Change{Name: new("invoices"), Version: new(rec.Revision)})
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
			if rec := mustRecord(t, s); !rec.Actor.Same(other) {
				t.Errorf("it authenticates as %s", rec.Actor.ClientID)
			}
			s.check(t)
		})
	})
}

// A name is free once nothing needs it: when a deletion begins, however long that takes,
// and when a connection has another one and died before it gave the old one up.
func TestANameThatNothingNeeds(t *testing.T) {
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
			if rec := mustRecord(t, s); rec.Phase != rotation.Deleting {
				t.Fatalf("phase %s", rec.Phase)
			}
		},
		"its connection is called otherwise": func(t *testing.T, s *subject) {
			s.w.Break(2, rotationtest.CrashAfter) // the new name is reserved, and written
			service(s.w).Update(t.Context(), s.id, connection.Change{Name: new("invoices")})
			if rec := mustRecord(t, s); rec.Name != "invoices" {
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

// A name that a caller has just reserved is that caller's, although there is no record yet:
// the API tells the next one so before it asks Entra about the credentials. Ten minutes later
// the process that reserved the name counts as dead.
func TestANameThatIsAboutToBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		slow := service(s.w)
		slow.Records = justBefore{slow.Records, runtime.Goexit}
		dies(func() { slow.Create(t.Context(), s.input()) })
		app, given, keyID := s.w.AddApplication()
		in := s.input()
		in.Credentials = connection.Credentials{
			TenantID: app.TenantID, ClientID: app.ClientID, ClientSecret: secret.New("wrong"), ClientSecretKeyID: keyID,
		}
		_, err := service(s.w).Create(t.Context(), in)
		refusal(t, err, connection.Invalid, "already exists")
		if left := s.w.Records(); len(left) != 0 {
			t.Errorf("records %v", left)
		}
		time.Sleep(11 * time.Minute)
		in.ClientSecret = given
		if err := s.make(t, in); err != nil {
			t.Fatalf("after its creator has died: %v", err)
		}
		s.holds(t, rotation.NameReservation("", "billing", s.id))
		s.check(t)
	})
}

// A creation that ends before there is a record leaves no reservation behind.
func TestRefusedCreationGivesBack(t *testing.T) {
	t.Run("the connection is deleted meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			withParent(t, s)
			slow := service(s.w)
			slow.Reservations = &beforeReserving{slow.Reservations, reservation.Target, func() {
				if _, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{Revoke: true}); err != nil {
					t.Error(err)
				}
			}}
			_, err := slow.CreateTarget(t.Context(), s.parent, connection.TargetInput{
				Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"},
			})
			refusal(t, err, connection.NotFound, "")
			s.sweep(t, time.Hour)
			if left := s.w.Reserved(); len(left) != 0 || len(s.w.Records()) != 0 {
				t.Errorf("reserved are %v, records %v", left, s.w.Records())
			}
			s.live(t, 2)
			s.check(t)
		})
	})
	t.Run("a reservation fails", func(t *testing.T) {
		for _, f := range []rotationtest.Fault{rotationtest.NotApplied, rotationtest.Applied} {
			for n := 1; n <= 5; n++ {
				synctest.Test(t, func(t *testing.T) {
					s := newSubject(t)
					s.w.Break(n, f)
					_, err := service(s.w).Create(t.Context(), s.input())
					if err == nil {
						t.Fatalf("write %d %s: it was created", n, f)
					}
					if left := s.w.Reserved(); len(left) != 0 {
						t.Errorf("write %d %s: reserved are %v", n, f, left)
					}
				})
			}
		}
	})
	t.Run("its client secret is another's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			unrotated(t, s)
			before := s.w.Reserved()
			in := s.input()
			in.Name = "second"
			_, err := service(s.w).Create(t.Context(), in)
			refusal(t, err, connection.Conflict, "authenticates with this application")
			if after := s.w.Reserved(); !maps.Equal(before, after) {
				t.Errorf("reserved are %v, want %v", after, before)
			}
		})
	})
}
