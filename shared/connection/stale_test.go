package connection_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// notAllowed is what a vault answers to whom it lets write and read, but not change.
var notAllowed = &serviceerror.Error{Op: "disabling a version", Class: serviceerror.VaultRefused, Status: 403, Code: "Forbidden"}

// shortRow is how long a list may become here: a quarter of what a table takes, so that a list
// without a bound gets there four times as fast.
const shortRow = 8 << 10

// A record knows a few of the versions that are to be disabled; the others are
// found in the vault.
func TestAConnectionRotatesForEverAlthoughTheVaultDisablesNothing(t *testing.T) {
	rotationtest.PlainOnly(t)
	const rotations = 100
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.AtEnd, s.w.Store.MaxProperty = true, shortRow
		settled(t, s)
		s.w.Refuse("vault.disable", notAllowed)
		begun := s.w.Directory.Issued
		for range rotations {
			one := service(s.w)
			one.Budget = 2 * time.Minute // until the old secret is removed
			_, err := one.Rotate(t.Context(), s.id, connection.RotateOptions{Emergency: true, By: "tester"})
			if err != nil || len(s.w.Violations()) > 0 {
				break
			}
		}
		done := s.w.Directory.Issued - begun
		if broken := s.w.Violations(); len(broken) > 0 || done < rotations {
			t.Errorf("%d of %d rotations: %q", done, rotations, broken)
		}
	})
}

// A person has to know that values which are done with can still be read.
func TestAVaultThatDisablesNothingIsShownAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.w.Refuse("vault.disable", notAllowed)
		before := s.noticesOf(t, s.id)
		s.rotateBy(t, 6*time.Hour)
		words, told := s.attentionOf(t, s.id), s.noticesOf(t, s.id)-before
		if s.readableStaged(t, s.id) == 0 {
			t.Fatal("everything is disabled")
		}
		if len(words) == 0 || told != 1 {
			t.Errorf("attention %q, %d notices", words, told)
		}
		s.check(t)
	})
}

// What a change leaves on the record for a while is one time, however many
// changes there are.
func TestManyCredentialChangesInAFewMinutesDoNotOutgrowTheRecord(t *testing.T) {
	const changes = 60
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		s.w.Store.MaxProperty = shortRow
		withParent(t, s)
		begun := time.Now()
		made, wrong := 0, error(nil)
		for i := range changes {
			is := []certificate.Input{given, renewed}[i%2]
			_, err := service(s.w).Update(t.Context(), s.parent, connection.Change{By: "tester", Credentials: &connection.Credentials{
				Method: connection.Certificate, TenantID: s.acting.TenantID, ClientID: s.acting.ClientID, Certificate: is,
			}})
			switch e, ok := errors.AsType[*connection.Error](err); {
			case err == nil:
				made++
			case ok && e.Kind == connection.Conflict && e.RetryAfter > 0: // asked to come back later
			case wrong == nil:
				wrong = err
			}
		}
		if took := time.Since(begun); took > rotation.StaleAge {
			t.Errorf("the changes took %s, so that the first are over", took)
		}
		if broken := s.w.Violations(); len(broken) > 0 || wrong != nil {
			t.Errorf("after %d changes: %q; refused with: %v", made, broken, wrong)
		}
	})
}
