package connection_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/expected"
	"rekey/shared/rotation"
)

// notAllowed is what a vault answers whom it lets write and read, but not change.
var notAllowed = &serviceerror.Error{Op: "disabling a version", Class: serviceerror.VaultRefused, Status: 403, Code: "Forbidden"}

// shortRow is how long a list may become here: a quarter of what a table takes, so that a list
// without a bound gets there four times as fast.
const shortRow = 8 << 10

// Sequence 12. Today each rotation leaves a staged version on the record, until that is
// too large to be written, in a table with the 339th; then nothing can be done for the
// connection any more.
func TestAConnectionRotatesForEverAlthoughTheVaultDisablesNothing(t *testing.T) {
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
		expected.Failure(t, 12, "the list of versions to disable outgrows the record", func(t expected.TB) {
			if broken := s.w.Violations(); len(broken) > 0 || done < rotations {
				t.Errorf("%d of %d rotations: %q", done, rotations, broken)
			}
		})
	})
}

// Sequence 12. Today that nothing can be disabled is a line in the log.
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
		expected.Failure(t, 12, "the connection looks well while its staged versions stay readable", func(t expected.TB) {
			if len(words) == 0 || told != 1 {
				t.Errorf("attention %q, %d notices", words, told)
			}
		})
		s.check(t)
	})
}

// Sequence 12. Today each change leaves two entries on the record for ten minutes, and
// once it is too large to be written, in a table after the 190th, the caller is told to
// give Rekey a role.
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
		if took := time.Since(begun); took > rotation.Replaced {
			t.Errorf("the changes took %s, so that the first are over", took)
		}
		expected.Failure(t, 12, "the list of versions to disable outgrows the record", func(t expected.TB) {
			if broken := s.w.Violations(); len(broken) > 0 || wrong != nil {
				t.Errorf("after %d changes: %q; refused with: %v", made, broken, wrong)
			}
		})
	})
}
