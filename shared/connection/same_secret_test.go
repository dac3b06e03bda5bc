package connection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// Who else has a client secret is judged by what is known of it: by the key ids where both
// have one, and by how the values begin where one has none.
func TestWhichClientSecretsAreTheSame(t *testing.T) {
	for name, tt := range map[string]struct {
		same, first, second bool // the same client secret; the one and the other give its key id
	}{
		"the same, by key ids":      {true, true, true},
		"the same, by the value":    {true, false, false},
		"the same, one by its id":   {true, true, false},
		"the same, other by its id": {true, false, true},
		"others, by key ids":        {false, true, true},
		"others, one by its id":     {false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				in := s.input()
				in.Rotate, in.Schedule = false, schedule.Schedule{}
				if !tt.first {
					in.ClientSecretKeyID = ""
				}
				if _, err := service(s.w).Create(t.Context(), in); err != nil {
					t.Fatal(err)
				}
				in = s.input()
				in.Name = "second"
				if !tt.same {
					in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
					s.w.Name(in.ClientSecretKeyID)
				}
				if !tt.second {
					in.ClientSecretKeyID = ""
				}
				_, err := service(s.w).Create(t.Context(), in)
				if refused := kindOf(err) == connection.Conflict; refused != tt.same {
					t.Errorf("got %v", err)
				}
				s.sweep(t, 3*time.Hour)
				s.check(t)
			})
		})
	}
}

// A client secret that a rotating connection has replaced still works for as long as its
// grace period lasts. Whoever is given it then would lose it (promise P1).
func TestAClientSecretInItsGracePeriodGivenToAnother(t *testing.T) {
	for _, named := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newSubject(t)
			settled(t, s)
			rec := mustRecord(t, s)
			old, _ := s.w.Published(rec.VaultName)
			if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
				t.Fatal(err)
			}
			s.sweep(t, time.Hour)
			if now := mustRecord(t, s); len(now.Replaced()) != 1 || now.Replaced()[0].KeyID != rec.Current.KeyID {
				t.Fatalf("retiring %+v", now.Replaced())
			}
			in := s.input()
			in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
			in.ClientSecret, in.ClientSecretKeyID = old.Value, ""
			if named {
				in.ClientSecretKeyID = rec.Current.KeyID
			}
			if _, err := service(s.w).Create(t.Context(), in); kindOf(err) != connection.Conflict {
				t.Errorf("with its key id %t: %v, want a conflict", named, err)
			}
			// Another one of the application is nobody's.
			in.ClientSecret, in.ClientSecretKeyID = s.w.AddForeign(s.app.ClientID)
			if !named {
				in.ClientSecretKeyID = ""
			}
			if _, err := service(s.w).Create(t.Context(), in); err != nil {
				t.Errorf("one of its own: %v", err)
			}
			s.sweep(t, 3*24*time.Hour)
			s.check(t)
		})
	}
}

// A connection that is being deleted is in nobody's way any more.
func TestWhatIsBeingDeletedIsNotInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.input()
		in.Rotate, in.Schedule = false, schedule.Schedule{}
		if err := s.make(t, in); err != nil {
			t.Fatal(err)
		}
		s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d"})
		again := s.input()
		again.Name = "second"
		if _, err := service(s.w).Create(t.Context(), again); err != nil {
			t.Errorf("rotating what it publishes: %v", err)
		}
		s.sweep(t, 3*time.Hour)
		s.check(t)
	})
}

// One whose client secret can't be read may have the same: nobody may remove it.
func TestAClientSecretThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		target, _, _ := s.w.AddApplication()
		s.w.Own(target.ClientID, s.app.ClientID, true)
		in := s.input()
		in.Name, in.Target, in.ClientSecretKeyID = "authenticating", connection.Target{ClientID: target.ClientID}, ""
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		c := service(s.w)
		c.Vault = unreadableVault{c.Vault}
		if rec, err := c.Create(t.Context(), s.input()); kindOf(err) != connection.Unavailable || exists(s.w, rec.ID) {
			t.Errorf("got %v; it is there: %t", err, exists(s.w, rec.ID))
		}
		s.sweep(t, 3*time.Hour)
		s.check(t)
	})
}

// unreadableVault shows no value.
type unreadableVault struct{ connection.Vault }

func (unreadableVault) Get(context.Context, string, string) (rotation.VaultSecret, error) {
	return rotation.VaultSecret{}, &serviceerror.Error{Op: "reading a secret", Class: serviceerror.Transient, Status: 503}
}

// The other way round: one that publishes comes while one that rotates is being created.
func TestTheSameSecretGivenTwiceAtOnceToTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		var publishes error
		rotating := service(s.w)
		rotating.Records = justBefore{rotating.Records, func() {
			in := s.input()
			in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
			_, publishes = service(s.w).Create(t.Context(), in)
		}}
		if _, err := rotating.Create(t.Context(), s.input()); err == nil && publishes == nil {
			t.Error("both were created")
		}
		s.sweep(t, time.Hour)
		s.check(t)
	})
}

// alike gives the subject's application another client secret that begins as that one does.
func (s *subject) alike(secret secret.Value) (secret.Value, string) {
	for {
		other, keyID := s.w.AddForeign(s.app.ClientID)
		s.w.Name(keyID)
		if other.Reveal()[:3] == secret.Reveal()[:3] {
			return other, keyID
		}
	}
}

// Two that begin alike are two where their key ids say so, published or in its grace
// period; where one has no key id, or nothing is known of how it begins, they may be one.
func TestClientSecretsThatBeginAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		old, _ := s.w.Published(mustRecord(t, s).VaultName)
		if _, err := service(s.w).Rotate(t.Context(), s.id, connection.RotateOptions{}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		now, _ := s.w.Published(mustRecord(t, s).VaultName)
		give := func(name string, secret secret.Value, keyID string) error {
			in := s.input()
			in.Name, in.Rotate, in.Schedule = name, false, schedule.Schedule{}
			in.ClientSecret, in.ClientSecretKeyID = secret, keyID
			_, err := service(s.w).Create(t.Context(), in)
			return err
		}
		for name, v := range map[string]rotation.VaultSecret{"grace": old, "published": now} {
			secret, keyID := s.alike(v.Value)
			if err := give(name+"-unknown", secret, ""); kindOf(err) != connection.Conflict {
				t.Errorf("%s, without its key id: %v, want a conflict", name, err)
			}
			if err := give(name, secret, keyID); err != nil {
				t.Errorf("%s, with its key id: %v", name, err)
			}
		}
		rec, err := s.w.StorePort().Load(t.Context(), s.id)
		if err != nil {
			t.Fatal(err)
		}
		rec.Current.Hint = ""
		rec.Version++
		if _, err := s.w.StorePort().Commit(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if err := give("unknown", now.Value, ""); kindOf(err) != connection.Conflict {
			t.Errorf("where nothing is known: %v, want a conflict", err)
		}
		s.sweep(t, 3*24*time.Hour)
		s.check(t)
	})
}

// A connection that authenticates with a certificate has no client secret which another
// one could remove, so that its application may be rotated by the one that has.
func TestACertificateIsNotInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.AddCertificate(s.app.ClientID, stored(given))
		if err := s.make(t, connection.Input{Name: "certificate", Credentials: connection.Credentials{
			Method: connection.Certificate, TenantID: s.app.TenantID, ClientID: s.app.ClientID, Certificate: given,
		}}); err != nil {
			t.Fatal(err)
		}
		c := service(s.w)
		c.Vault = unreadableVault{c.Vault} // nobody has to look into it
		rec, err := c.Create(t.Context(), s.input())
		if err != nil {
			t.Fatal(err)
		}
		s.sweep(t, time.Hour)
		s.w.CheckEnd(rec.ID)
		s.check(t)
	})
}

// A connection that authenticates as another application by now is not in the way of the
// one from before, although it died before it could take that note back.
func TestANoteThatWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		before := s.acting
		next, _, _ := s.w.AddApplication()
		s.w.AddCertificate(next.ClientID, stored(renewed))
		s.w.Break(4, rotationtest.CrashAfter) // the note, the marker, the version, the change
		service(s.w).Update(t.Context(), s.id, connection.Change{Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: next.TenantID, ClientID: next.ClientID, Certificate: renewed,
		}})
		s.w.Break(0, rotationtest.NoFault)
		s.w.Restart()
		note := rotation.ActorNote(before, "")
		notes, err := s.w.StorePort().Notes(t.Context(), note.Kind, note.Value)
		if rec := mustRecord(t, s); !rec.Actor.Same(next) || len(notes) != 1 || err != nil {
			t.Fatalf("it authenticates as %s; notes %v, %v", rec.Actor.ClientID, notes, err)
		}
		s.sweep(t, time.Hour)
		other, _, _ := s.w.AddApplication()
		s.w.AddCertificate(other.ClientID, stored(given))
		s.w.Own(before.ClientID, other.ClientID, true)
		if _, err := service(s.w).Create(t.Context(), rotating(connection.Input{Name: "second", Credentials: connection.Credentials{
			Method: connection.Certificate, TenantID: other.TenantID, ClientID: other.ClientID, Certificate: given,
		}}, before)); err != nil {
			t.Errorf("rotating what nobody authenticates with: %v", err)
		}
		s.check(t)
	})
}

// What a connection that is deleted without revoking leaves works on, and is anybody's.
func TestWhatADeletionLeavesIsGivenToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		rec := mustRecord(t, s)
		published, _ := s.w.Published(rec.VaultName)
		s.request(t, rotation.Request{Kind: rotation.AskDelete, ID: "d"})
		in := s.input()
		in.Name, in.Rotate, in.Schedule = "second", false, schedule.Schedule{}
		in.ClientSecret, in.ClientSecretKeyID = published.Value, rec.Current.KeyID
		if _, err := service(s.w).Create(t.Context(), in); err != nil {
			t.Errorf("it was refused: %v", err)
		}
		s.sweep(t, 3*time.Hour)
		if exists(s.w, s.id) || !s.w.IsLive(rec.Current.KeyID) {
			t.Errorf("the first is there: %t; its client secret lives: %t", exists(s.w, s.id), s.w.IsLive(rec.Current.KeyID))
		}
		s.check(t)
	})
}
