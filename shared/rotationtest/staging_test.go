package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// The value of a new credential exists in one invocation only, until it is stored: storing
// it may outlast the request that asked for the rotation, though not the lease.
func TestANewValueIsStoredAfterTheEndOfItsRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.w.Slow("graph.addPassword", 8*time.Second)
		rec, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(12 * time.Second)})
		if err != nil || rec.Phase != rotation.Verifying || rec.Run.StagedVersion == "" {
			t.Errorf("%s, run %+v, error %+v, %v", rec.Phase, rec.Run, rec.Error, err)
		}
		if list := rec.Orphans(); len(list) != 0 {
			t.Errorf("the value was lost: %+v", list)
		}
		s.w.Slow("graph.addPassword", 0)
		s.sweep(20 * time.Minute)
		s.rotated(rotation.OnRequest)
	})
}

// A vault that refuses new versions must not make Rekey issue one credential after the
// other, whose values it can't keep.
func TestAVaultThatRefusesIsNotIssuedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Refuse("vault.put", &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403})
		s.ask(rotation.Request{Kind: rotation.AskRotate})
		s.sweep(day)
		s.w.Refuse("vault.put", nil)
		issued := 0
		for _, p := range s.w.Secrets(s.app.ClientID) {
			if p.Issued {
				issued++
			}
		}
		if issued > 1 {
			t.Errorf("%d were issued", issued)
		}
		s.sweep(2 * day)
		s.rotated(rotation.OnRequest)
	})
}
