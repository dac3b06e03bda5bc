package rotationtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// R6: what a person wrote over the published secret is replaced before anything is
// removed, even with a copy of the key id's tag.
func TestOverwrittenByHand(t *testing.T) {
	for _, tags := range []map[string]string{nil, {vaulttag.KeyID: "current"}} {
		t.Run(fmt.Sprint(tags), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.sweep(2 * hour)
				rec := s.record()
				if tags != nil {
					tags[vaulttag.KeyID] = rec.Current.KeyID
				}
				if _, err := s.w.VaultPort().Put(t.Context(),
					rotation.VaultSecret{Name: rec.VaultName, Value: secret.New("by hand"), Enabled: true, Tags: tags}); err != nil {
					t.Fatal(err)
				}
				var again, removed time.Time
				s.h.put = func(v rotation.VaultSecret) error {
					if isPublished(v) {
						again = time.Now()
					}
					return nil
				}
				s.h.removing = func(string) error {
					if v, _ := s.w.Published(rec.VaultName); v.Tags[vaulttag.KeyID] != rec.Current.KeyID || v.Tags[vaulttag.Connection] != s.id {
						t.Errorf("removing while %v is published", v.Tags)
					}
					removed = time.Now()
					return nil
				}
				s.sweep(3 * day)
				s.rotated(rotation.OnSchedule)
				if len(s.events(history.Republished)) != 1 || removed.Sub(again) < time.Minute {
					t.Errorf("published again at %s, removed at %s: another look comes a minute later", again, removed)
				}
				s.live(2)
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

// R5: an attempt that got as far as being published is not given up before current is
// published again.
func TestCurrentIsPublishedBeforeAnAttemptIsGivenUp(t *testing.T) {
	for _, kind := range []rotation.RequestKind{rotation.AskAbandon, rotation.AskRebind, rotation.AskDelete} {
		t.Run(string(kind), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.reach(rotation.Publishing)
				ended := false
				s.h.commit = func(rec rotation.Record) {
					if rec.Run == nil && !ended {
						ended = true
						if v, _ := s.w.Published(rec.VaultName); v.Tags[vaulttag.KeyID] != s.keyID {
							t.Errorf("the attempt is given up while %s is published", v.Tags[vaulttag.KeyID])
						}
					}
				}
				if kind == rotation.AskRebind {
					s.rebind()
				} else {
					s.ask(rotation.Request{Kind: kind})
				}
				s.sweep(s.settling(rotation.Publishing))
				if !ended {
					t.Error("the attempt was not given up")
				}
			})
		})
	}
}

// R6: the gate is three fresh tokens with what is published, a minute after it came.
func TestGateBeforeRemoval(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		var published time.Time
		tokens, reads := 0, 0
		s.h.put = func(v rotation.VaultSecret) error {
			if isPublished(v) {
				published, tokens, reads = time.Now(), 0, 0
			}
			return nil
		}
		s.h.got = func(v *rotation.VaultSecret) {
			if isPublished(*v) && v.Tags[vaulttag.KeyID] != s.keyID {
				reads++
			}
		}
		s.h.token = func(v secret.Value) error {
			if v != s.secret {
				tokens++
			}
			return nil
		}
		removed := false
		s.h.removing = func(string) error {
			removed = true
			if age := time.Since(published); age < time.Minute || tokens != 1 || reads != 1 {
				t.Errorf("removed %s after publishing, after %d reads of what is published and %d tokens with it", age, reads, tokens)
			}
			return nil
		}
		s.sweep(hour)
		if !removed {
			t.Error("nothing was removed")
		}
		s.rotated(rotation.OnEmergency)
	})
}

// R6: whatever a record says, the published credential is not removed.
func TestGateKeepsWhatIsPublished(t *testing.T) {
	for name, queue := range map[string]func(*rotation.Record){
		"as retiring": func(rec *rotation.Record) {
			rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, Target: rec.Target,
				KeyID: rec.Current.KeyID, VaultVersion: rec.Current.VaultVersion}}
		},
		"as abandoned": func(rec *rotation.Record) {
			rec.Removals = []rotation.Removal{{Kind: rotation.RemoveOrphan, Published: true, Target: rec.Target,
				Marker: "x", KeyID: rec.Current.KeyID}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(queue)
				s.h.removing = func(keyID string) error { t.Errorf("%s is removed, which is published", keyID); return nil }
				s.sweep(30 * time.Minute)
				s.live(2)
			})
		})
	}
}

// R6: refusals count in a row. The published credential that works again is not lost.
func TestRefusalsInARow(t *testing.T) {
	for name, answer := range map[string]error{
		"then the removal goes well": nil,
		"then the removal does not":  &serviceerror.Error{Op: "removing a password", Class: serviceerror.Transient, Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				refused := 0
				s.h.token = func(v secret.Value) error {
					rec := s.record()
					if v == s.secret || rec.Phase != rotation.Idle || refused == 9 {
						return nil
					}
					if rec.Current.Refusals < 9 {
						refused = rec.Current.Refusals + 1
					}
					return &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
				}
				s.h.removing = func(string) error { return answer }
				s.sweep(20 * time.Minute)
				if refused != 9 {
					t.Fatalf("%d refusals", refused)
				}
				if c := s.record().Current; c.Refusals != 0 || !c.RefusedSince.IsZero() {
					t.Errorf("it works, but %d refusals since %s stand against it", c.Refusals, c.RefusedSince)
				}
				s.h = hooks{}
				s.sweep(2 * hour)
				s.rotated(rotation.OnEmergency)
				s.live(2)
			})
		})
	}
}

// R6: a person removes the published credential by hand. Removals are postponed; ten
// refusals over a quarter of an hour raise the alarm, and the old credential, which
// still works, issues a new one.
func TestPublishedCredentialLost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		time.Sleep(47 * hour)
		dead, _ := s.w.Published(s.record().VaultName)
		var refusals []time.Time
		var started time.Time
		s.h.token = func(v secret.Value) error {
			if v == dead.Value && started.IsZero() {
				refusals = append(refusals, time.Now())
			}
			return nil
		}
		s.h.add = func(add func() (rotation.Issued, error)) (rotation.Issued, error) { started = time.Now(); return add() }
		s.h.removing = func(string) error {
			if started.IsZero() {
				t.Error("the credential that still works was removed")
			}
			return nil
		}
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(4 * hour)
		s.rotated(rotation.OnLoss)
		s.live(2)
		if len(refusals) < 10 || started.Sub(refusals[0]) < 15*time.Minute || started.Sub(refusals[0]) > 20*time.Minute {
			t.Errorf("recovery began after %d refusals, %s after the first", len(refusals), started.Sub(refusals[0]))
		}
		if n := len(s.events(history.Lost)); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
		if !strings.Contains(s.w.Log.String(), "the published credential is lost") {
			t.Error("the alarm is not in the log")
		}
	})
}

// R6, R7: nothing works any more. The record says so, it is tried ever more
// slowly, and after a day what is to be removed is left to a person.
func TestNothingWorks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.w.RemoveByHand(s.keyID)
		s.sweep(47*hour + 25*time.Minute)
		rec := s.record()
		if rec.Phase != rotation.Idle || rec.Error == nil || rec.Error.Class != serviceerror.CredentialLost ||
			!strings.Contains(rec.Error.Message, "reconnect") {
			t.Fatalf("phase %s, error %+v", rec.Phase, rec.Error)
		}
		s.sweep(23 * hour)
		if len(s.record().Removals) != 1 {
			t.Error("it was left to a person before a day was over")
		}
		s.sweep(2 * hour)
		rec = s.record()
		if len(rec.Replaced()) != 0 || len(rec.ByHand) != 1 || rec.ByHand[0].KeyID != s.keyID || len(s.events(history.ByHand)) != 1 {
			t.Errorf("retiring %v, by hand %v, events %v", rec.Replaced(), rec.ByHand, s.events(history.ByHand))
		}
		if n := len(s.events(history.Failed)); n < 4 || n > 6 {
			t.Errorf("%d runs failed in 25 hours; hours double from one", n)
		}
		if len(rec.Orphans()) != 0 || s.w.Directory.Issued != 1 {
			t.Errorf("abandoned %d, issued %d: nothing was asked for", len(rec.Orphans()), s.w.Directory.Issued)
		}
	})
}

// R7: as long as any known credential works, nothing is left to a person, however long
// the published one is refused.
func TestLostButNotHopeless(t *testing.T) {
	long(t)
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(s.record().Current.KeyID)
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = true })
		s.sweep(4 * day)
		if rec := s.record(); len(rec.ByHand) != 0 || len(rec.Replaced()) != 1 || rec.Error.Class != serviceerror.PolicyForbidden {
			t.Errorf("by hand %v, retiring %v, error %+v", rec.ByHand, rec.Replaced(), rec.Error)
		}
		s.w.Change(s.app.ClientID, func(a *rotationtest.AppSettings) { a.Forbidden = false })
		s.h.put = func(v rotation.VaultSecret) error { s.w.OutsideBreak(!isPublished(v)); return nil }
		s.sweep(2 * day)
		s.rotated(rotation.OnLoss)
		s.live(2)
	})
}

// R7: "no such credential" is no proof that it is gone.
func TestMissingOnlyStartsTheReads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		var asked time.Time
		s.h.removing = func(string) error {
			asked = time.Now()
			return &serviceerror.Error{Op: "removing a password", Class: serviceerror.CredentialMissing, Status: 400}
		}
		s.ask(rotation.Request{Kind: rotation.AskEmergency})
		for range 20 {
			if len(s.events(history.Revoked)) == 0 {
				s.sweep(time.Second)
			}
		}
		s.h.removing = nil
		s.sweep(hour)
		s.rotated(rotation.OnEmergency)
		s.live(2)
		if n := len(s.events(history.Revoked)); n != 2 {
			t.Errorf("%d removals, want a second one, since it still showed", n)
		}
		if gone := s.events(history.Gone); len(gone) != 1 || gone[0].At.Sub(asked) < 9*time.Minute {
			t.Errorf("gone: %v, asked at %s", gone, asked)
		}
	})
}
