package connection_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
)

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
