package connection_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotationtest"
)

// kept is how long history is kept.
const kept = 400 * 24 * time.Hour

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

// TestHistoryIsPruned lets three years pass: what is older than 400 days goes.
func TestHistoryIsPruned(t *testing.T) {
	rotationtest.PlainOnly(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		for range 37 {
			rec, _ := s.w.Record(s.id)
			time.Sleep(time.Until(rec.NextSlot))
			s.sweep(t, 20*time.Minute)
		}
		oldest := time.Now()
		for cursor := ""; ; {
			events, next, err := service(s.w).History(t.Context(), s.id, cursor, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.At.Before(oldest) {
					oldest = e.At
				}
			}
			if cursor = next; next == "" {
				break
			}
		}
		if age := time.Since(oldest); age > 401*24*time.Hour || age < 365*24*time.Hour {
			t.Errorf("the oldest event is %d days old", int(age.Hours()/24))
		}
		s.check(t)
	})
}

// The timer prunes, whether anything rotates or not.
func TestTheHistoryOfAConnectionThatNeverRotatesIsPruned(t *testing.T) {
	rotationtest.PlainOnly(t)
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
	rotationtest.PlainOnly(t)
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

// Each warning that a certificate ends is a notice for a person, with what to do about it.
func TestToldOfACertificatesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		rec, _ := s.w.Record(s.id)
		s.sweepEvery(t, 6*time.Hour, time.Until(rec.Auth.ExpiresAt))
		events, _, err := service(s.w).History(t.Context(), s.id, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		var days []int
		for _, e := range events { // the newest first
			if e.Kind != history.Expiring {
				continue
			}
			days = append(days, int((rec.Auth.ExpiresAt.Sub(e.At)+12*time.Hour)/(24*time.Hour)))
			if !e.Notice || !strings.Contains(e.Message, "reconnect") {
				t.Errorf("a warning that is no notice, or does not say what to do: %+v", e)
			}
		}
		if want := []int{1, 3, 7, 14, 30}; !slices.Equal(days, want) {
			t.Errorf("told %v days before the end, want %v", days, want)
		}
		s.check(t)
	})
}
