package rotationtest_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

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
	tags[rotation.TagMarker] = marker
	version, err := s.w.VaultPort().Put(s.t.Context(), rotation.VaultSecret{Name: rec.StagedName(), Value: secret.New("staged"), Enabled: true, Tags: tags})
	if err != nil {
		s.t.Fatal(err)
	}
	return version
}

// enabled says which staged versions can be read, by their markers.
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
			markers[v.Tags[rotation.TagMarker]]++
		}
	}
	return markers
}

// R4: a staged version that can't be disabled is not forgotten. It is tried again, ever
// more slowly, until it is disabled.
func TestAStagedVersionIsDisabledInTheEnd(t *testing.T) {
	down := &serviceerror.Error{Op: "disabling a version", Class: serviceerror.Transient, Status: 503}
	for name, tt := range map[string]struct {
		spent func(version string) rotation.Spent
		vault stubborn
	}{
		"known, not disabled":            {func(v string) rotation.Spent { return rotation.Spent{VaultVersion: v} }, stubborn{disable: down}},
		"known by its marker":            {func(string) rotation.Spent { return rotation.Spent{Marker: "spent"} }, stubborn{disable: down}},
		"known by its marker, no answer": {func(string) rotation.Spent { return rotation.Spent{Marker: "spent"} }, stubborn{list: down}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *subject) {
				s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
				version := s.stage("spent")
				s.stage("another")
				s.edit(func(rec *rotation.Record) { rec.Spent = append(rec.Spent, tt.spent(version)) })
				tries := 0
				s.bound(2000)
				tt.vault.tries = &tries
				for end := time.Now().Add(day); time.Now().Before(end); time.Sleep(time.Minute) {
					r := s.rotator()
					tt.vault.Vault = r.Vault
					r.Vault = tt.vault
					r.Sweep(t.Context())
				}
				if tries < 24 || tries > 150 || len(s.record().Spent) != 1 || s.enabled()["spent"] != 1 {
					t.Errorf("tried %d times in a day; spent %+v, enabled %v", tries, s.record().Spent, s.enabled())
				}
				s.sweep(hour)
				if got := s.enabled(); len(s.record().Spent) != 0 || got["spent"] != 0 || got["another"] != 1 {
					t.Errorf("spent %+v, enabled %v", s.record().Spent, got)
				}
			})
		})
	}
}

// R4: a version that is not there any more is as good as disabled.
func TestAStagedVersionThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
		s.stage("another")
		s.edit(func(rec *rotation.Record) {
			rec.Spent = append(rec.Spent, rotation.Spent{VaultVersion: "00000000000000000000000000000000"})
		})
		s.sweep(5 * time.Minute)
		if rec := s.record(); len(rec.Spent) != 0 || s.enabled()["another"] != 1 {
			t.Errorf("spent %+v, enabled %v", rec.Spent, s.enabled())
		}
	})
}

// P2: what somebody else has put under the staged name stays as it is, whatever marker it
// bears.
func TestAForeignStagedVersion(t *testing.T) {
	inBubble(t, func(t *testing.T, s *subject) {
		s.edit(func(rec *rotation.Record) { rec.Policy.Enabled = false })
		s.stage("spent")
		rec := s.record()
		if _, err := s.w.VaultPort().Put(t.Context(), rotation.VaultSecret{
			Name: rec.StagedName(), Value: secret.New("by hand"), Enabled: true, Tags: map[string]string{rotation.TagMarker: "spent"},
		}); err != nil {
			t.Fatal(err)
		}
		s.edit(func(rec *rotation.Record) { rec.Spent = append(rec.Spent, rotation.Spent{Marker: "spent"}) })
		s.sweep(hour)
		if got := s.enabled(); got["spent"] != 1 || len(s.record().Spent) != 0 {
			t.Errorf("enabled %v, spent %+v", got, s.record().Spent)
		}
	})
}
