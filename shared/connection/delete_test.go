package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// Deleting works as far as the request's time goes, and leaves to the timer only what has
// to wait: the name is free and the current credential is revoked when it is answered.
func TestADeletionBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		was, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
		if err != nil || was.Phase != rotation.Idle {
			t.Fatalf("it was in the phase %s, %v", was.Phase, err)
		}
		if rec, there := s.w.Record(s.id); there && (rec.Phase != rotation.Deleting || rec.Current != nil) {
			t.Errorf("phase %s, current %+v", rec.Phase, rec.Current)
		}
		s.live(t, 1)
		s.sweep(t, time.Hour)
		s.check(t)
	})
}

// Two callers delete a connection at once, one of them with what it has published. Where the
// API tells this caller that what was published is removed, that is true.
func TestADeletionThatSaysItRevokesDoes(t *testing.T) {
	for _, op := range []string{"store.notes", "store.commit"} {
		t.Run("before "+op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				settled(t, s)
				s.rotateBy(t, 10*time.Minute) // something old waits, so that the deletion takes a while
				was := s.record(t)
				s.w.Before(op, func() {
					if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"}); err != nil {
						t.Fatal(err)
					}
				})
				_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true, By: "tester"})
				s.sweep(t, 24*time.Hour)
				if err == nil && s.w.IsLive(was.Current.KeyID) {
					t.Error("the caller was told that the published client secret is removed, and it stays")
				}
			})
		})
	}
}

// A connection that rotates no more still removes what it has issued if it is deleted with
// that. That is refused where another one signs in with the application by now; without it
// the connection can be deleted.
func TestRevokingNeedsTheApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Rotate: new(false)}); err != nil {
			t.Fatal(err)
		}
		rec := s.record(t)
		published, _ := s.w.Published(rec.VaultName)
		if err := s.second(t, published.Value); err != nil {
			t.Fatal(err)
		}
		before := len(s.w.Reserved())
		_, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
		refusal(t, err, connection.Conflict, "authenticates with this application")
		if after := s.w.Reserved(); len(after) != before {
			t.Errorf("a refused deletion has left %v", after)
		}
		if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 3*time.Hour)
		if exists(s.w, s.id) || !s.w.IsLive(rec.Current.KeyID) {
			t.Errorf("the first is there: %t; its client secret lives: %t", exists(s.w, s.id), s.w.IsLive(rec.Current.KeyID))
		}
		s.check(t)
	})
}

// Of a connection that is being deleted the name is free at once. The application is not:
// what was issued for it is still being removed.
func TestADeletionKeepsItsApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Break(3, rotationtest.CrashAfter) // the request, the lease, and the beginning
		service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{Revoke: true})
		s.w.Break(0, rotationtest.NoFault)
		s.w.Restart()
		if rec := s.record(t); rec.Phase != rotation.Deleting {
			t.Fatalf("phase %s", rec.Phase)
		}
		time.Sleep(time.Hour) // no pass is at it, and nothing is new any more
		in := s.input()
		in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
		_, err := service(s.w).Create(t.Context(), in)
		refusal(t, err, connection.Conflict, "is being deleted")
		s.claims(t, rotation.Exclusive, s.app)
		s.check(t)
	})
}

// A connection that others rotate through is not deleted. What it authenticates with is no
// client secret, so that those of its application may be rotated.
func TestAConnectionWithTargetsIsNotDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withTarget(t, s)
		_, err := service(s.w).Delete(t.Context(), s.parent, connection.DeleteOptions{Revoke: true})
		refusal(t, err, connection.Invalid, "1 target,")

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
		refusal(t, err, connection.Conflict, "")

		own := s.input()
		own.Name, own.Rotate, own.ClientSecretKeyID = "third", false, ""
		_, err = service(s.w).Create(t.Context(), own)
		refusal(t, err, connection.Conflict, "nothing may authenticate")

		refused := service(s.w)
		refused.Refused = map[string]string{other.ClientID: "Rekey's own identity"}
		in.Target.ClientID, in.Name = other.ClientID, "fourth"
		_, err = refused.Create(t.Context(), in)
		refusal(t, err, connection.Invalid, "Rekey's own identity")
		s.check(t)
	})
}

// What keeps others from an application are claims. The marks of credentials
// that were given look like no creation that is under way.
func TestAConnectionThatWasDeletedCanBeCreatedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		last := givenTwice(t, s)
		if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"}); err != nil {
			t.Fatalf("deleting: %v", err)
		}
		if err := s.second(t, last); err != nil {
			t.Errorf("refused: %v", err)
		}
		s.sweep(t, time.Hour)
		s.check(t)
	})
}
