package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/secret"

	"rekey/shared/connection"
)

// another is one more client secret of the subject's application.
func (s *subject) another() secret.Value {
	secret, _ := s.w.AddForeign(s.app.ClientID)
	time.Sleep(10 * time.Second) // until it authenticates
	return secret
}

// givenTwice makes a connection that rotates nothing, and gives it new credentials twice
// within a minute, without key ids, so that it has nothing to remove. It returns the last.
func givenTwice(t *testing.T, s *subject) (last secret.Value) {
	t.Helper()
	unrotated(t, s)
	for range 2 {
		last = s.another()
		s.giveAnother(t, s.app, last)
		if v, _ := s.w.Published(s.recordOf(t, s.id).VaultName); v.Value != last {
			t.Fatal("the new credentials were not taken over")
		}
	}
	return last
}

// second creates a second connection that publishes a client secret and rotates nothing.
func (s *subject) second(t *testing.T, secret secret.Value) error {
	t.Helper()
	_, err := service(s.w).Create(t.Context(), s.publishing("second", secret, ""))
	return err
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

// Neither removes anything, so that neither is in the other's way.
func TestTwoThatRotateNothingShareAnApplicationRightAfterNewCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		givenTwice(t, s)
		if err := s.second(t, s.another()); err != nil {
			t.Errorf("refused: %v", err)
		}
		s.check(t)
	})
}
