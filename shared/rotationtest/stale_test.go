package rotationtest_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// stubborn is a vault that disables nothing, or lists nothing.
type stubborn struct {
	rotator.Vault
	disable, list error
	tries         *int
}

func (v stubborn) Disable(ctx context.Context, name, version string) error {
	if *v.tries++; v.disable != nil {
		return v.disable
	}
	return v.Vault.Disable(ctx, name, version)
}

func (v stubborn) List(ctx context.Context, name string) ([]rotation.VaultSecret, error) {
	if v.list != nil {
		*v.tries++
		return nil, v.list
	}
	return v.Vault.List(ctx, name)
}

// stage puts a version under the staged name.
func (s *subject) stage(marker string) (version string) {
	s.t.Helper()
	rec := s.record()
	tags := maps.Clone(rotation.Tags(rotationtest.Deployment, &rec, *rec.Current))
	tags[vaulttag.Marker] = marker
	version, err := s.w.VaultPort().Put(s.t.Context(),
		rotation.VaultSecret{Name: rec.StagedName(), Value: secret.New("staged"), Enabled: true, Tags: tags})
	if err != nil {
		s.t.Fatal(err)
	}
	return version
}

// enabled counts which staged versions can be read, by their markers.
func (s *subject) enabled() map[string]int {
	s.t.Helper()
	rec := s.record()
	versions, err := s.w.VaultPort().List(s.t.Context(), rec.StagedName())
	if err != nil {
		s.t.Fatal(err)
	}
	markers := map[string]int{}
	for _, v := range versions {
		if v.Enabled {
			markers[v.Tags[vaulttag.Marker]]++
		}
	}
	return markers
}

// R4: a stale version that can't be disabled is not forgotten. It is tried again, ever more
// slowly, until it is disabled; after an hour the connection says so, once.
func TestAStaleVersionIsDisabledInTheEnd(t *testing.T) {
	rotationtest.PlainOnly(t)
	down := &serviceerror.Error{Op: "disabling a version", Class: serviceerror.Transient, Status: 503}
	known := func(v string) rotation.Stale { return rotation.Stale{Versions: []string{v}} }
	found := func(string) rotation.Stale { return rotation.Stale{LookAt: time.Now()} }
	for name, tt := range map[string]struct {
		stale func(version string) rotation.Stale
		vault stubborn
	}{
		"known, not disabled":    {known, stubborn{disable: down}},
		"found, not disabled":    {found, stubborn{disable: down}},
		"to be found, no answer": {found, stubborn{list: down}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
				version := s.stage("stale")
				time.Sleep(rotation.StaleAge)
				s.edit(func(rec *rotation.Record) { rec.Stale = tt.stale(version) })
				tries := 0
				s.bound(2000)
				tt.vault.tries = &tries
				for end := time.Now().Add(day); time.Now().Before(end); time.Sleep(time.Minute) {
					r := s.rotator()
					tt.vault.Vault = r.Vault
					r.Vault = tt.vault
					r.Sweep(t.Context())
				}
				rec := s.record()
				if tries < 24 || tries > 150 || !rec.Stale.Pending() || s.enabled()["stale"] != 1 {
					t.Errorf("tried %d times in a day; stale %+v, enabled %v", tries, rec.Stale, s.enabled())
				}
				if rec.Stale.Problem != serviceerror.Transient || rec.Told != "not-disabled" {
					t.Errorf("told %q of the problem %q", rec.Told, rec.Stale.Problem)
				}
				s.sweep(hour)
				if rec := s.record(); rec.Stale.Pending() || rec.Stale.Problem != "" || rec.Told != "" || s.enabled()["stale"] != 0 {
					t.Errorf("stale %+v, told %q, enabled %v", rec.Stale, rec.Told, s.enabled())
				}
			})
		})
	}
}

// R4: what nothing knows of is disabled when it is old enough: what is younger may be about
// to be used.
func TestAYoungVersionIsLookedAtAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
		s.stage("old")
		time.Sleep(rotation.StaleAge)
		s.stage("young")
		s.edit(func(rec *rotation.Record) { rec.Stale.LookAt = time.Now() })
		s.sweep(5 * time.Minute)
		if got := s.enabled(); got["old"] != 0 || got["young"] != 1 || !s.record().Stale.Pending() {
			t.Errorf("enabled %v, stale %+v", got, s.record().Stale)
		}
		s.sweep(rotation.StaleAge)
		if got := s.enabled(); got["young"] != 0 || s.record().Stale.Pending() {
			t.Errorf("enabled %v, stale %+v", got, s.record().Stale)
		}
	})
}

// R4: a version that is not there any more is as good as disabled.
func TestAStagedVersionThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
		s.stage("another")
		s.edit(func(rec *rotation.Record) { rec.Stale.Add(time.Now(), "00000000000000000000000000000000") })
		s.sweep(5 * time.Minute)
		if rec := s.record(); rec.Stale.Pending() || s.enabled()["another"] != 1 {
			t.Errorf("stale %+v, enabled %v", rec.Stale, s.enabled())
		}
	})
}

// P2: what an operator has put under the staged name stays as it is, whatever marker it
// bears.
func TestAForeignStagedVersion(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
		s.stage("stale")
		rec := s.record()
		if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{
			Name: rec.StagedName(), Value: secret.New("by hand"), Enabled: true, Tags: map[string]string{vaulttag.Marker: "stale"},
		}); err != nil {
			t.Fatal(err)
		}
		s.edit(func(rec *rotation.Record) { rec.Stale.Look(time.Now()) })
		s.sweep(hour)
		if got := s.enabled(); got["stale"] != 1 || s.record().Stale.Pending() {
			t.Errorf("enabled %v, stale %+v", got, s.record().Stale)
		}
	})
}
