package rotationtest_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"
)

// A deletion deletes no vault secret that has no version of the connection, whatever its
// name is (promise P2).
func TestADeletionLeavesVaultSecretsThatAreNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		rec := s.record()
		for _, name := range []string{rec.StagedName(), rec.AuthName()} {
			if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: name, Value: secret.New("foreign"), Enabled: true,
				Tags: map[string]string{vaulttag.Deployment: "another", vaulttag.Connection: s.id}}); err != nil {
				t.Fatal(err)
			}
		}
		s.ask(rotation.Request{Kind: rotation.AskDelete, Revoke: true})
		s.sweep(2 * day)
		if s.exists() {
			t.Fatalf("the connection is there: %+v", s.record().Error)
		}
		for _, name := range []string{rec.StagedName(), rec.AuthName()} {
			if v, ok := s.w.Published(name); !ok || v.Value.Reveal() != "foreign" {
				t.Errorf("%s is gone", name)
			}
		}
		if _, ok := s.w.Published(rec.VaultName); ok {
			t.Error("what was to be revoked is still published")
		}
	})
}

// Undoing a creation publishes again what a deleted connection had left under the name, and
// deletes the name if there was nothing (docs/promises.md, Deletion).
func TestUndoingACreationRestoresWhatWasThere(t *testing.T) {
	for name, takeover := range map[string]bool{"something was there": true, "nothing was there": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				rec := s.record()
				version := ""
				if takeover {
					left, _ := s.w.AddForeign(s.app.ClientID)
					var err error
					if version, err = s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName, Value: left, Enabled: true,
						Tags: map[string]string{vaulttag.Tenant: s.app.TenantID, vaulttag.Client: s.app.ClientID}}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				}
				if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: rec.VaultName, Value: s.secret, Enabled: true,
					Tags: rotation.Tags(rotationtest.Deployment, &rec, *rec.Current)}); err != nil {
					t.Fatal(err)
				}
				before, _ := s.w.VaultPort().Get(t.Context(), rec.VaultName, version)
				s.edit(func(rec *rotation.Record) { rec.Phase, rec.Undo, rec.Takeover = rotation.Deleting, true, version })
				s.sweep(2 * hour)
				if s.exists() {
					t.Fatalf("the connection is there: %+v", s.record().Error)
				}
				now, ok := s.w.Published(rec.VaultName)
				if ok != takeover || takeover && now.Value != before.Value {
					t.Errorf("published: %t, %v", ok, now.Tags)
				}
			})
		})
	}
}
