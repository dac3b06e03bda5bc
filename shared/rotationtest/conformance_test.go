package rotationtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"
)

// The fakes pass the suites that the real adapters pass.

func TestMemoryStoreConformance(t *testing.T) {
	rotationtest.TestStore(t, func(t *testing.T) rotationtest.Store { return quick(t).StorePort() })
}

func TestMemoryVault(t *testing.T) {
	rotationtest.TestVault(t, func(t *testing.T) rotator.Vault { return quick(t).VaultPort() })
}

func TestMemoryDirectory(t *testing.T) {
	rotationtest.TestDirectory(t, func(t *testing.T) rotationtest.DirectorySubject {
		w := quick(t)
		app, secret, keyID := w.AddApplication()
		change := func(f func(*rotationtest.AppSettings)) { w.Change(app.ClientID, f) }
		return rotationtest.DirectorySubject{
			Authority: w.DirectoryPort(), Directory: w.DirectoryPort(), Now: time.Now,
			App: app, Secret: secret, KeyID: keyID,
			Expire: func() { w.Expire(keyID) },
			AdmitPersonal: func() {
				change(func(s *rotationtest.AppSettings) { s.Audience = "AzureADandPersonalMicrosoftAccount" })
			},
			LimitLifetime:   func(d time.Duration) { change(func(s *rotationtest.AppSettings) { s.Longest = d }) },
			ForbidPasswords: func() { change(func(s *rotationtest.AppSettings) { s.Forbidden = true }) },
			DenyWrites:      func() { change(func(s *rotationtest.AppSettings) { s.Denied = true }) },
			Delete:          func() { change(func(s *rotationtest.AppSettings) { s.Deleted = true }) },
		}
	})
}

func quick(t *testing.T) *rotationtest.World {
	w := rotationtest.NewWorld(t)
	w.Latency = 0
	return w
}

// TestWorldNotices shows that the checks of the simulation can fail.
func TestWorldNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		app, given, keyID := w.AddApplication()
		rec := rotation.Record{Schema: 1, ID: "5a3d2b1c-0000-4000-8000-000000000001", VaultName: "v",
			Phase: rotation.Idle, Target: app, Current: &rotation.Credential{KeyID: keyID}}
		if _, err := w.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		put := func(value string) {
			_, err := w.VaultPort().Put(t.Context(), rotation.VaultSecret{Name: "v", Value: secret.New(value), Enabled: true,
				Tags: map[string]string{vaulttag.Connection: rec.ID, vaulttag.Client: app.ClientID, vaulttag.KeyID: keyID}})
			if err != nil {
				t.Fatal(err)
			}
		}
		put(given.Reveal())
		if v := w.Violations(); len(v) != 0 {
			t.Fatalf("all is well, but: %v", v)
		}
		put("no such secret")
		if v := w.Violations(); len(v) != 1 {
			t.Errorf("a dead secret was published, and the checks say %v", v)
		}
		token, err := w.DirectoryPort().Token(t.Context(), app, given)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.DirectoryPort().RemovePassword(t.Context(), token, app, keyID); err != nil {
			t.Fatal(err)
		}
		if v := w.Violations(); len(v) < 2 {
			t.Errorf("a foreign credential was removed, and the checks say %v", v)
		}
		w.Log.Write([]byte(given.Reveal()))
		before := len(w.Violations())
		w.CheckLeaks()
		if v := w.Violations(); len(v) != before+1 {
			t.Errorf("a value was logged, and the checks say %v", v)
		}
	})
}

func TestMemoryNoticesConformance(t *testing.T) {
	rotationtest.TestNotices(t, func(t *testing.T) rotationtest.NoticeStore { return quick(t).NoticePort() })
}

func TestMemoryPendingConformance(t *testing.T) {
	rotationtest.TestPending(t, func(*testing.T) rotationtest.PendingStore { return &rotationtest.MemoryPending{} })
}
