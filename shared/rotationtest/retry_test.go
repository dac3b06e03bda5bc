package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

func (s *subject) deny(denied bool) {
	s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Denied = denied })
}

// What was asked for and refused is tried again by itself, slowly, as what it was.
func TestRefusedRequestIsTriedAgain(t *testing.T) {
	for _, kind := range []rotation.RequestKind{rotation.AskRotate, rotation.AskEmergency} {
		t.Run(string(kind), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.NextSlot = time.Now().Add(20 * day) })
				s.deny(true)
				s.ask(rotation.Request{Kind: kind})
				s.sweep(30 * time.Minute)
				s.phase(rotation.Idle)
				first := s.record()
				if first.Error == nil || first.Error.Class != serviceerror.Permission || first.Settled(time.Now()) {
					t.Fatalf("error %+v, settled %v", first.Error, first.Settled(time.Now()))
				}
				s.sweep(6 * hour)
				if rec := s.record(); rec.Error.Count < 2 || rec.Error.Count > 4 {
					t.Errorf("tried %d times in 6 hours", rec.Error.Count)
				}
				s.deny(false)
				s.sweep(10 * hour)
				rec := s.record()
				want := rotation.OnRequest
				if kind == rotation.AskEmergency {
					want = rotation.OnEmergency
				}
				s.rotated(want)
				if waits := len(rec.Replaced()) == 1; waits != (kind == rotation.AskRotate) {
					t.Errorf("retiring %+v after %s", rec.Replaced(), kind)
				}
			})
		})
	}
}

// Asked again, it is tried at once; abandoned, it is not tried any more.
func TestRefusedRequestIsReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.NextSlot = time.Now().Add(20 * day) })
		s.deny(true)
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "one"})
		s.sweep(10 * time.Minute)
		s.ask(rotation.Request{Kind: rotation.AskRotate, ID: "two"})
		s.sweep(10 * time.Minute)
		if rec := s.record(); rec.LastRun == nil || rec.LastRun.ID != "two" {
			t.Errorf("last run %+v, want the second request's", rec.LastRun)
		}
		s.ask(rotation.Request{Kind: rotation.AskAbandon})
		s.sweep(10 * time.Minute)
		s.deny(false)
		s.sweep(2 * day)
		if rec := s.record(); rec.Request != nil || rec.LastRun.Outcome != "failed" {
			t.Errorf("request %+v, last run %+v", rec.Request, rec.LastRun)
		}
		s.live(2)
	})
}
