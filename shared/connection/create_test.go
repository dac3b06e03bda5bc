package connection_test

import (
	"maps"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/secret"
)

// A caller that the API has told that a connection exists may throw its copy of the client
// secret away. The API must not say so of one whose secret did not reach the vault, however
// little time the request had left by then.
func TestNothingIsPromisedThatIsNotInTheVault(t *testing.T) {
	for name, slow := range map[string]func(*rotationtest.World){
		"refused after a slow sign-in": func(w *rotationtest.World) {
			w.Latency = 0 // so that what comes after the sign-in is asked for although the caller's time is over
			w.Before("graph.token", func() { time.Sleep(26 * time.Second) })
			w.Refuse("vault.put", full)
		},
		"no answer": func(w *rotationtest.World) { w.Slow("vault.put", time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				slow(s.w)
				rec, err := service(s.w).Create(t.Context(), s.input())
				s.w.Refuse("vault.put", nil)
				s.w.Slow("vault.put", 0)
				if err != nil {
					return
				}
				s.sweep(t, time.Hour)
				if !exists(s.w, rec.ID) {
					t.Errorf("the caller was told that the connection is there (phase %s), and it is gone", rec.Phase)
				}
			})
		})
	}
}

// What Rekey itself depends on is neither taken over nor gone over to.
func TestWhatRekeyDependsOnIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		own, secret, keyID := s.w.AddApplication()
		s.w.Name(keyID)
		refused := service(s.w)
		refused.Refused = map[string]string{own.ClientID: "Rekey's own identity"}
		credentials := connection.Credentials{TenantID: own.TenantID, ClientID: own.ClientID, ClientSecret: secret, ClientSecretKeyID: keyID}
		in := s.input()
		in.Name, in.Credentials = "second", credentials
		_, err := refused.Create(t.Context(), in)
		refusal(t, err, connection.Invalid, "Rekey's own identity")
		_, err = refused.Update(t.Context(), s.id, connection.Change{Credentials: &credentials})
		refusal(t, err, connection.Invalid, "Rekey's own identity")
		if n := len(s.w.Records()); n != 1 || !s.w.IsLive(keyID) || s.w.Live(own.ClientID) != 1 {
			t.Errorf("%d records; Rekey's own client secret lives: %t, among %d", n, s.w.IsLive(keyID), s.w.Live(own.ClientID))
		}
		s.check(t)
	})
}

// A creation that ends before there is a record leaves no reservation behind.
func TestRefusedCreationGivesBack(t *testing.T) {
	t.Run("the connection is deleted meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			withParent(t, s)
			s.w.Before("store.reserve "+s.parent, func() {
				if _, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{Revoke: true}); err != nil {
					t.Error(err)
				}
			})
			_, err := service(s.w).CreateTarget(t.Context(), s.parent, connection.TargetInput{
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
	t.Run("Key Vault refuses Rekey", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			before := s.w.Reserved()
			for _, op := range []string{"vault.state", "vault.put", "vault.get", "vault.list"} {
				s.w.Refuse(op, full)
			}
			refusal(t, s.make(t, s.actor()), connection.Unavailable, "Key Vault refuses Rekey. Give Rekey's identity the role")
			if after, all := s.w.Reserved(), s.w.Records(); !maps.Equal(before, after) || len(all) != 0 {
				t.Errorf("left are %v and %v", after, all)
			}
		})
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

// A name that a caller has just reserved is that caller's, although there is no record yet:
// the API tells the next one so before it asks Entra about the credentials. Ten minutes later
// the process that reserved the name counts as dead.
func TestAReservedNameIsItsCallersForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.Before("store.create", runtime.Goexit)
		dies(func() { service(s.w).Create(t.Context(), s.input()) })
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
