package rotationtest_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// R5: without proof for half an hour the attempt ends, and current is untouched.
func TestNoProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var issued []time.Time
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) {
			issued = append(issued, time.Now())
			return add()
		}
		s.h.token = func(v secret.Value) error {
			if v != s.secret && len(issued) == 1 {
				return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
			}
			return nil
		}
		time.Sleep(hour)
		s.sweep(25 * time.Minute)
		s.phase(rotation.Verifying)
		s.sweep(hour)
		if len(issued) != 2 {
			t.Fatalf("%d attempts, want 2", len(issued))
		}
		if d := issued[1].Sub(issued[0]); d < 30*time.Minute || d > 35*time.Minute {
			t.Errorf("the second attempt came %s after the first, want half an hour", d)
		}
		s.rotated(rotation.OnSchedule)
		s.live(3)
	})
}

// R5: half an hour counts from when proof went missing. A timer that comes once an
// hour is no reason to throw good credentials away.
func TestTimerThatComesSeldom(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweepEvery(hour, 6*hour)
		s.rotated(rotation.OnSchedule)
		if s.w.Directory.Issued != 1 {
			t.Errorf("%d client secrets were issued, want 1", s.w.Directory.Issued)
		}
	})
}

// R4: an attempt whose staged version was tampered with ends; the next one succeeds.
func TestTamperedStagedVersion(t *testing.T) {
	for name, tamper := range map[string]func(s *subject){
		"disabled": func(s *subject) {
			rec := s.record()
			if err := s.w.VaultPort().Disable(s.t.Context(), rec.StagedName(), rec.Run.StagedVersion); err != nil {
				s.t.Error(err)
			}
		},
		"another key id": func(s *subject) {
			version := s.record().Run.StagedVersion
			s.h.got = func(v *rotation.VaultSecret) {
				if v.Version == version {
					v.Tags[vaulttag.KeyID] = "another"
				}
			}
		},
		"another connection": func(s *subject) {
			version := s.record().Run.StagedVersion
			s.h.got = func(v *rotation.VaultSecret) {
				if v.Version == version {
					v.Tags[vaulttag.Connection] = "another"
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				time.Sleep(hour)
				s.sweep(time.Second) // a pass ends before the credential is old enough
				s.phase(rotation.Verifying)
				first := s.record().Run.KeyID
				tamper(s)
				s.sweep(7 * time.Minute)
				if rec := s.record(); rec.Run == nil || rec.Run.KeyID == first {
					t.Errorf("the attempt goes on: %+v", rec.Run)
				}
				if got := s.published(); got != s.keyID {
					t.Errorf("published: %s, want what was there before", got)
				}
				s.sweep(hour)
				s.rotated(rotation.OnSchedule)
				s.live(3)
			})
		})
	}
}

// proofs remembers what the tokens with a new value came to, and when.
type proofs struct {
	worked []bool
	at     time.Time
}

// watch keeps the proofs of everything but the old value, and checks them when
// something is published: three in a row, the last just before.
func (s *subject) watch(refuse func(n int) bool) *proofs {
	p := &proofs{}
	s.h.token = func(v secret.Value) error {
		if v == s.secret {
			return nil
		}
		p.at = time.Now()
		if refuse != nil && refuse(len(p.worked)+1) {
			p.worked = append(p.worked, false)
			return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
		}
		p.worked = append(p.worked, true)
		return nil
	}
	s.h.putting = func(v rotation.VaultSecret) error {
		if !isPublished(v) {
			return nil
		}
		if n := len(p.worked); n < 3 || slices.Contains(p.worked[n-3:], false) {
			s.t.Errorf("published after %v", p.worked)
		}
		if ago := time.Since(p.at); ago > time.Second {
			s.t.Errorf("published %s after the last proof", ago)
		}
		return nil
	}
	return p
}

// R6: success flaps, so that three tokens in a row are a proof, not three in all.
func TestFlappingProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Directory.Propagation = 0
		p := s.watch(func(n int) bool { return n < 12 && n%3 == 0 })
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(5 * time.Minute)
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
		if len(p.worked) < 13 {
			t.Errorf("proofs: %v", p.worked)
		}
	})
}

// R6: what is old enough when it is proven is proven once more when it is published.
func TestProofIsFreshWhenPublished(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.w.Directory.Propagation = 0
		s.watch(nil)
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		s.sweep(time.Minute)
		s.h = hooks{}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}

// R6: the pass that publishes has made the whole proof itself.
func TestProofIsOfThePassThatPublishes(t *testing.T) {
	for _, budget := range []time.Duration{11 * time.Second, 16 * time.Second, 21 * time.Second} {
		t.Run(budget.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = 0
				p := s.watch(nil)
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				if _, err := s.rotator().Pass(t.Context(), s.id, rotator.PassOptions{Until: time.Now().Add(budget)}); err != nil {
					t.Fatal(err)
				}
				if s.record().Run == nil {
					return // it had time enough
				}
				p.worked = nil
				s.sweep(time.Minute)
				s.h = hooks{}
				s.sweep(hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}

// R12: a request that comes while a pass waits is seen at once, and what the pass has
// proven by then still counts.
func TestNudgeKeepsTheProof(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		tokens := 0
		s.h.token = func(v secret.Value) error {
			if v != s.secret {
				tokens++
			}
			return nil
		}
		published := 0
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) && published == 0 {
				published = tokens
			}
			return nil
		}
		r := s.rotator()
		var wg sync.WaitGroup
		wg.Go(func() { r.Pass(t.Context(), s.id, rotator.PassOptions{}) })
		for range 30 {
			time.Sleep(time.Second)
			r.Nudge(s.id)
		}
		wg.Wait()
		if refused := 2; published > 4+refused { // 3 in a row, one more to publish, and those before it has replicated
			t.Errorf("%d tokens until it was published", published)
		}
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
	})
}
