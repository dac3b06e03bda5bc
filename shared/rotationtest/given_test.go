package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
)

// P2: a key id that was found for a given secret is that one's. What has been given since
// is another: the key id is not removed on its behalf, and it is left to a person.
func TestAKeyIDOfAnotherSecret(t *testing.T) {
	for name, of := range map[string]func(current string) string{
		"of what is published": func(current string) string { return current },
		"of what was":          func(string) string { return "before" },
		"of nobody knows what": func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.Current.KeyID, rec.Current.Origin = "", rotation.OriginGiven })
				current := s.record().Current.VaultVersion
				s.ask(rotation.Request{Kind: rotation.AskEmergency, KeyID: s.keyID, KeyIDOf: of(current)})
				s.sweep(30 * time.Minute)
				rec := s.record()
				if rec.LastRun == nil || rec.LastRun.Outcome != "success" || rec.Current.Origin != rotation.OriginIssued {
					t.Fatalf("last run %+v", rec.LastRun)
				}
				known := of(current) == current
				if s.w.IsLive(s.keyID) == known || len(rec.ByHand) == 1 == known {
					t.Errorf("it lives: %t, by hand %+v", s.w.IsLive(s.keyID), rec.ByHand)
				}
			})
		})
	}
}
