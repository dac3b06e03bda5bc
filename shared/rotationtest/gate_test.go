package rotationtest_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"
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

// R6 where there is no current credential yet: before what an attempt has issued is
// removed, it is taken out of the published secret, and nothing else is. What is not
// published, or not any more, is removed at once.
func TestTakenOutOfTheVaultBeforeItIsRemoved(t *testing.T) {
	const other = "99999999-9999-4999-8999-999999999999"
	for name, tt := range map[string]struct {
		foreign  bool   // published by a person, not by Rekey
		keyID    string // of what is published; "ours": the one that is to be removed; empty: nothing is
		disabled bool
		takeover bool // over what a deleted connection had left
		dead     bool // which does not work any more
		enabled  bool // what is published at the end
	}{
		"published":                {keyID: "ours"},
		"disabled already":         {keyID: "ours", disabled: true},
		"nothing":                  {},
		"another one of ours":      {keyID: other, enabled: true},
		"a foreign one, with tags": {foreign: true, keyID: "ours", enabled: true},
		"over another's":           {keyID: "ours", takeover: true, enabled: true},
		"over one that is dead":    {keyID: "ours", takeover: true, dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.OutsideBreak(true) // what is published here never worked
				s.delegate(t)
				s.edit(func(rec *rotation.Record) { rec.Policy.Enabled, rec.NextSlot = false, time.Time{} })
				marker := rotation.MarkerPrefix(rotationtest.Deployment, s.id) + "AAAAAAAAAA"
				keyID := s.w.AddMarked(s.app.ClientID, marker)
				s.w.Name(keyID)
				rec := s.record()
				publish := func(value string, tags map[string]string) string {
					version, err := s.w.VaultPort().Put(t.Context(),
						rotation.VaultSecret{Name: rec.VaultName, Value: secret.New(value), Enabled: true, Tags: tags})
					if err != nil {
						t.Fatal(err)
					}
					return version
				}
				takeover, left := "", s.secret.Reveal()
				if tt.takeover {
					if tt.dead {
						left = "dead"
					}
					takeover = publish(left, map[string]string{vaulttag.Tenant: s.app.TenantID, vaulttag.Client: s.app.ClientID})
				}
				if tt.keyID == "ours" {
					tt.keyID = keyID
				}
				if tt.keyID != "" {
					tags := map[string]string{vaulttag.KeyID: tt.keyID}
					if !tt.foreign {
						tags = rotation.Tags(rotationtest.Deployment, &rec, rotation.Credential{Target: s.app, KeyID: tt.keyID, Marker: marker})
					}
					version := publish("ours", tags)
					if tt.disabled {
						if err := s.w.VaultPort().Disable(t.Context(), rec.VaultName, version); err != nil {
							t.Fatal(err)
						}
					}
				}
				s.h.removing = func(string) error {
					if v, ok := s.w.Published(rec.VaultName); ok && (v.Enabled != tt.enabled || tt.takeover && !tt.dead && v.Value.Reveal() != left) {
						t.Errorf("it is removed while %v is published, enabled %t", v.Tags, v.Enabled)
					}
					return nil
				}
				s.edit(func(rec *rotation.Record) {
					rec.Takeover = takeover
					rec.Removals = []rotation.Removal{{Kind: rotation.RemoveOrphan, Published: true, Target: s.app, Marker: marker, KeyID: keyID}}
				})
				s.sweep(hour)
				if s.w.IsLive(keyID) || len(s.record().Removals) != 0 {
					t.Errorf("it lives: %t; abandoned %+v", s.w.IsLive(keyID), s.record().Removals)
				}
			})
		})
	}
}

// R6: what is published again after a person wrote over it is what is current: the
// record names that version.
func TestTheRecordNamesWhatWasRepublished(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		name := s.record().VaultName
		if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: name, Value: secret.New("by hand"), Enabled: true}); err != nil {
			t.Fatal(err)
		}
		s.sweep(3 * day)
		s.rotated(rotation.OnSchedule)
		v, _ := s.w.Published(name)
		if got := s.record().Current.VaultVersion; len(s.events(history.Republished)) != 1 || got != v.Version {
			t.Errorf("published again %d times; the record names %s, published is %s", len(s.events(history.Republished)), got, v.Version)
		}
	})
}

// Something else than current is published, and Entra refuses current: the pass does not
// publish it again, since it has no proof that it works (rule R4). It rotates instead.
func TestCurrentThatIsRefusedIsNotPublishedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.sweep(2 * hour)
		rec := s.record()
		byHand := rotation.VaultSecret{Name: rec.VaultName, Value: secret.New("by hand"), Enabled: true}
		if _, err := s.w.VaultPort().Put(t.Context(), byHand); err != nil {
			t.Fatal(err)
		}
		s.w.OutsideBreak(true)
		s.w.RemoveByHand(rec.Current.KeyID)
		s.h.putting = func(v rotation.VaultSecret) error {
			if isPublished(v) && v.Tags[vaulttag.KeyID] == rec.Current.KeyID {
				t.Error("what Entra refuses is published again")
			}
			return nil
		}
		s.sweep(3 * day)
		if len(s.events(history.Lost)) != 1 || s.published() == rec.Current.KeyID {
			t.Errorf("lost: %v, published: %s", s.events(history.Lost), s.published())
		}
	})
}

// What bears the key id of an orphan, or nothing of ours, is published by hand: the pass
// removes the orphan only after it has published current again (rule R6).
func TestAnOrphanIsNotRemovedBeforeCurrentIsPublished(t *testing.T) {
	for name, foreign := range map[string]bool{"the orphan is published": false, "something foreign is published": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.w.Directory.Propagation = 0
				rec := s.record()
				value, keyID := s.w.AddForeign(s.app.ClientID)
				s.w.Name(keyID)
				tags := rotation.Tags(rotationtest.Deployment, &rec, rotation.Credential{Target: s.app, KeyID: keyID})
				if foreign {
					tags = map[string]string{vaulttag.KeyID: "another"}
				}
				if _, err := s.w.VaultPort().Put(t.Context(),
					rotation.VaultSecret{Name: rec.VaultName, Value: value, Enabled: true, Tags: tags}); err != nil {
					t.Fatal(err)
				}
				s.w.OutsideBreak(true)
				s.edit(func(rec *rotation.Record) {
					rec.Removals = append(rec.Removals, rotation.Removal{Kind: rotation.RemoveOrphan, Target: s.app, Marker: "m", KeyID: keyID,
						Since: time.Now()})
				})
				s.h.removing = func(string) error {
					if v, _ := s.w.Published(rec.VaultName); v.Tags[vaulttag.KeyID] != s.keyID {
						t.Errorf("removing while %v is published", v.Tags)
					}
					return nil
				}
				s.sweep(30 * time.Minute)
				if s.w.IsLive(keyID) || s.published() != s.keyID {
					t.Errorf("the orphan is alive: %v, published is %s", s.w.IsLive(keyID), s.published())
				}
			})
		})
	}
}
