package connection_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
)

// Rekey leaves a client secret alone that it did not issue, although it bears Rekey's marker:
// also where Rekey gave up an attempt with that marker whose own key id is known (promise P2).
func TestAMarkerIsNoProofWhereTheKeyIDIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		settled(t, s)
		s.stopIn(t, rotation.Verifying)
		rec, _ := s.w.Record(s.id)
		foreign := s.w.AddMarked(s.app.ClientID, rec.Run.Marker)
		time.Sleep(6 * time.Minute)
		if _, err := service(s.w).Abandon(t.Context(), s.id, "tester"); err != nil {
			t.Fatal(err)
		}
		own := rec.Run.KeyID
		s.sweep(t, 3*time.Hour)
		if s.w.IsLive(own) {
			t.Error("what was given up is alive")
		}
		if !s.w.IsLive(foreign) {
			t.Errorf("the record named %s, and another one was removed", own)
		}
		rec, _ = s.w.Record(s.id)
		if !slices.ContainsFunc(rec.ByHand, func(h rotation.ByHand) bool { return h.KeyID == foreign }) || s.count(t, history.ByHand) != 1 {
			t.Errorf("the other one is not reported, or not once: %+v", rec.ByHand)
		}
		s.w.CheckEnd(s.id)
		s.check(t)
	})
}
