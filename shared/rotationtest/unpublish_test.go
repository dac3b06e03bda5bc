package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

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

// R6: a published credential that has ended counts as refused, as one that was removed
// does; an application that can't be found says nothing about it.
func TestWhatCountsAsARefusal(t *testing.T) {
	for class, counts := range map[serviceerror.Class]bool{
		serviceerror.CredentialRefused: true, serviceerror.CredentialExpired: true,
		serviceerror.ApplicationMissing: false, serviceerror.Transient: false,
	} {
		t.Run(string(class), func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.ask(rotation.Request{Kind: rotation.AskEmergency})
				refused := false
				s.h.token = func(v secret.Value) error {
					if v == s.secret || s.record().Phase != rotation.Idle {
						return nil
					}
					refused = true
					return &serviceerror.Error{Op: "signing in", Class: class, Status: 401}
				}
				s.sweep(5 * time.Minute)
				if c := s.record().Current; !refused || c.Refusals > 0 != counts || c.RefusedSince.IsZero() == counts {
					t.Errorf("asked: %t; %d refusals since %s stand against it", refused, c.Refusals, c.RefusedSince)
				}
				s.h = hooks{}
				s.sweep(2 * hour)
				s.rotated(rotation.OnEmergency)
			})
		})
	}
}
