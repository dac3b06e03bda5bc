package connection_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
)

// kept is how long history is kept.
const kept = 400 * 24 * time.Hour

// tick plays the timer once an hour for d, whether anything is due or not.
func (s *subject) tick(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Hour) {
		service(s.w).Rotator.Sweep(t.Context())
	}
}

// pruned fails unless all that is left of a history is younger than history is kept.
func (s *subject) pruned(t *testing.T, id string) {
	t.Helper()
	old := 0
	for _, e := range s.historyOf(t, id) {
		if time.Since(e.At) > kept+48*time.Hour {
			old++
		}
	}
	if old > 0 {
		t.Errorf("%d events are older than history is kept", old)
	}
}

// The timer prunes, whether anything rotates or not.
func TestTheHistoryOfAConnectionThatNeverRotatesIsPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		unrotated(t, s)
		for _, says := range []string{"one", "another"} {
			if _, err := service(s.w).Update(t.Context(), s.id, connection.Change{Description: &says, By: "tester"}); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.historyOf(t, s.id)) < 3 {
			t.Fatal("there is no history that could be pruned")
		}
		s.tick(t, kept+10*24*time.Hour)
		s.pruned(t, s.id)
		s.check(t)
	})
}

// History that has no record any more is found by its days.
func TestTheHistoryOfADeletedConnectionIsPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		if _, err := service(s.w).Delete(t.Context(), s.id, connection.DeleteOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, 3*24*time.Hour)
		if exists(s.w, s.id) || len(s.historyOf(t, s.id)) == 0 {
			t.Fatal("the connection is there, or its history is not")
		}
		s.tick(t, kept+10*24*time.Hour)
		s.pruned(t, s.id)
		s.check(t)
	})
}
