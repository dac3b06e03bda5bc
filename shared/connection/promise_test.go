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
)

// slowDirectory answers late.
type slowDirectory struct {
	connection.Directory
	by time.Duration
}

func (d slowDirectory) Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error) {
	time.Sleep(d.by)
	return d.Directory.Token(ctx, app, secret)
}

// fullVault takes nothing.
type fullVault struct{ connection.Vault }

func (fullVault) Put(context.Context, rotation.VaultSecret) (string, error) {
	return "", &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403, Code: "Forbidden"}
}

// hangingVault takes nothing and says nothing.
type hangingVault struct{ connection.Vault }

func (hangingVault) Put(ctx context.Context, _ rotation.VaultSecret) (string, error) {
	<-ctx.Done()
	return "", &serviceerror.Error{Op: "writing a secret", Class: serviceerror.Transient, UnknownOutcome: true}
}

// A caller that the API has told that a connection exists may throw its copy of the client
// secret away. The API must not say so of one whose secret did not reach the vault, however
// little time the request had left by then.
func TestNothingIsPromisedThatIsNotInTheVault(t *testing.T) {
	for name, slow := range map[string]func(*connection.Service){
		"refused after a slow sign-in": func(s *connection.Service) {
			s.Directory, s.Vault = slowDirectory{s.Directory, 26 * time.Second}, fullVault{s.Vault}
		},
		"no answer": func(s *connection.Service) { s.Vault = hangingVault{s.Vault} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				c := service(s.w)
				slow(c)
				rec, err := c.Create(t.Context(), s.input())
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

// unrecovering brings no soft-deleted secret back.
type unrecovering struct{ connection.Vault }

func (unrecovering) Recover(ctx context.Context, _ string) error {
	<-ctx.Done()
	return &serviceerror.Error{Op: "recovering a secret", Class: serviceerror.Transient, UnknownOutcome: true}
}

// The same of a target whose vault secret a deleted one has left soft-deleted: only the
// request that creates it recovers that. Where this fails, either the caller is told, or
// a later pass does it.
func TestATargetIsNotLeftWithoutItsSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.softDeleted(t)
		c := service(s.w)
		c.Vault = unrecovering{c.Vault}
		second, err := c.CreateTarget(t.Context(), s.parent, in)
		s.sweep(t, 24*time.Hour)
		if rec, there := s.w.Record(second.ID); err == nil && (!there || rec.Current == nil) {
			t.Errorf("the caller was told that the target is there; a day later it has published nothing: %+v", rec.Error)
		}
	})
}

// softDeleted leaves the vault secret of a target that was deleted, and says how to add
// that target again.
func (s *subject) softDeleted(t *testing.T) connection.TargetInput {
	t.Helper()
	withParent(t, s)
	in := connection.TargetInput{
		Target: connection.Target{ObjectID: s.app.ObjectID}, Rotate: true,
		Schedule: schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}, By: "tester", VaultSecretName: "billing",
	}
	first, err := service(s.w).CreateTarget(t.Context(), s.parent, in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service(s.w).Delete(t.Context(), first.ID, connection.DeleteOptions{Revoke: true}); err != nil {
		t.Fatal(err)
	}
	s.sweep(t, 3*time.Hour)
	return in
}
