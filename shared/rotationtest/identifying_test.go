package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
)

// R14: the pass identifies what was given, for the version that is current then, and removes
// what it has replaced. Where that is in doubt, a rotation by hand is refused, and an
// emergency leaves the old one to a person.
func TestAGivenSecretIsIdentifiedByThePass(t *testing.T) {
	for _, kind := range []rotation.RequestKind{rotation.AskRotate, rotation.AskEmergency} {
		for name, known := range map[string]bool{"beyond doubt": true, "in doubt": false} {
			t.Run(string(kind)+", "+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, s *subject) {
					s.edit(func(rec *rotation.Record) {
						rec.Policy.Enabled, rec.Policy.Grace = false, 0
						rec.Current.KeyID, rec.Current.Origin = "", rotation.OriginGiven
					})
					if !known {
						s.h.reading = func(st *rotation.ApplicationState) {
							for i := range st.Passwords {
								st.Passwords[i].Hint = ""
							}
						}
					}
					s.ask(rotation.Request{Kind: kind, ID: "r"})
					s.sweep(30 * time.Minute)
					rec := s.record()
					refused := !known && kind == rotation.AskRotate
					if rec.LastRun == nil || (rec.LastRun.Outcome == "failed") != refused || (rec.Current.Origin == rotation.OriginGiven) != refused {
						t.Fatalf("last run %+v, current %+v", rec.LastRun, rec.Current)
					}
					if s.w.IsLive(s.keyID) == known {
						t.Errorf("what was given lives: %t", s.w.IsLive(s.keyID))
					}
					if byHand := !known && !refused; (len(rec.ByHand) == 1) != byHand {
						t.Errorf("left to a person: %+v", rec.ByHand)
					}
				})
			})
		}
	}
}
