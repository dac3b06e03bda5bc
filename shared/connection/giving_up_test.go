package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// targetKeptOut makes a target that was rotated once and is kept out at its next slot,
// while the application that acts for it signs in as ever.
func targetKeptOut(t *testing.T, s *subject) {
	t.Helper()
	withTarget(t, s)
	s.toSlot(t)
	s.refuse(keptOut)
}

// orphans counts what was issued for the subject's application and works, but is not
// what is published.
func (s *subject) orphans(t *testing.T) (n int) {
	t.Helper()
	published := s.published(t).KeyID
	for _, c := range s.w.Secrets(s.app.ClientID) {
		if c.Issued && c.Works(time.Now()) && c.KeyID != published {
			n++
		}
	}
	return n
}

// While Entra keeps a target out, Rekey does not give up what it has issued to issue again:
// it could not remove what it gave up, because Entra refuses what is published as well. A
// person is told.
func TestATargetThatIsKeptOutGetsOneNewSecretAndNoOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		targetKeptOut(t, s)
		slot := time.Now()
		s.sweep(t, 4*time.Hour)
		if n := s.issued(slot); n > 1 {
			t.Errorf("after 4 hours %d client secrets were issued, %d of which work and are not published", n, s.orphans(t))
		}
		if len(s.attentionOf(t, s.id)) == 0 {
			t.Errorf("nothing is told")
		}
	})
}

// However long Entra keeps a target out, its record does not outgrow the row, so that it can
// be deleted. The row of this test takes an eighth of a table's, so that some hours do.
func TestATargetThatWasKeptOutForDaysIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		targetKeptOut(t, s)
		s.w.Store.MaxProperty = 4 << 10
		slot := time.Now()
		for time.Since(slot) < 8*time.Hour && len(s.w.Violations()) == 0 {
			s.sweep(t, 30*time.Minute)
		}
		t.Logf("after %s: %d client secrets issued, %d of them orphans", time.Since(slot), s.issued(slot), s.orphans(t))
		for _, broken := range s.w.Violations() {
			t.Errorf("after %s: broken promise: %s", time.Since(slot), broken)
		}
		if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"}); err != nil {
			t.Errorf("deleting: %v", err)
		}
		s.refuse(nil)
		s.sweep(t, time.Hour)
		if exists(s.w, s.id) {
			t.Errorf("an hour after it was deleted and its application is let in again the connection is there")
		}
	})
}

// Attempts that come to nothing back off, although each of them issues a client secret: the
// back-off does not start again with it. A person is told within two hours.
func TestATargetThatNeverSignsInBacksOffAndIsTold(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, tt := range map[string]struct {
		refusal *serviceerror.Error
		most    int // client secrets in a day and a half
	}{
		"kept out": {keptOut, 1},
		// Three attempts a run, and runs an hour, two, four ... apart.
		"its secrets never get known": {unknown, 24},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				withParent(t, s)
				s.refuse(tt.refusal)
				begun := time.Now()
				err := s.addTarget(t)
				if !exists(s.w, s.id) || s.id == s.parent {
					t.Fatalf("the target was not created: %v", err)
				}
				var told time.Duration
				for time.Since(begun) < 36*time.Hour {
					s.sweep(t, 30*time.Minute)
					if told == 0 && exists(s.w, s.id) && len(s.attentionOf(t, s.id)) > 0 {
						told = time.Since(begun)
					}
				}
				t.Logf("issued %d, alive %d, first told after %s: %v", s.issued(begun), s.w.Live(s.app.ClientID)-2, told, s.attentionOf(t, s.id))
				if n := s.issued(begun); n > tt.most {
					t.Errorf("%d client secrets were issued in 36 hours, want %d at most", n, tt.most)
				}
				if told == 0 {
					t.Fatalf("nothing is told in 36 hours")
				}
				if told > 2*time.Hour {
					t.Errorf("it is told after %s only", told)
				}
			})
		})
	}
}
