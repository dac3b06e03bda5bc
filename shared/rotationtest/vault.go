package rotationtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// TestVault checks that a [rotator.Vault] keeps its contract. The adapter for Key
// Vault and the fake that stands in for it both have to pass, or what is tested
// with the fake says nothing about production.
//
// newVault returns an empty vault that deletes at once. Its clock should go on by
// a second or more with each write: only then does the age of versions show, and
// their order get checked.
func TestVault(t *testing.T, newVault func(t *testing.T) rotator.Vault) {
	tests := []struct {
		name string
		run  func(vaultTest)
	}{
		{"put and get", vaultTest.putAndGet},
		{"attributes survive", vaultTest.attributesSurvive},
		{"names ignore case", vaultTest.namesIgnoreCase},
		{"list", vaultTest.list},
		{"disabled versions are refused", vaultTest.disabledVersions},
		{"a version may be born disabled", vaultTest.bornDisabled},
		{"what is not there", vaultTest.notThere},
		{"delete", vaultTest.deleteSecret},
		{"names", vaultTest.names},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(vaultTest{t, newVault(t)}) })
	}
}

// vaultTest is one test of a fresh vault.
type vaultTest struct {
	*testing.T
	vault rotator.Vault
}

// unknownVersion has the form of a version, and is none.
const unknownVersion = "0123456789abcdef0123456789abcdef"

func enabledSecret(name, value string) rotation.VaultSecret {
	return rotation.VaultSecret{Name: name, Value: secret.New(value), Enabled: true}
}

func (t vaultTest) put(s rotation.VaultSecret) (version string) {
	t.Helper()
	version, err := t.vault.Put(t.Context(), s)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if version == "" {
		t.Fatal("Put returned no version")
	}
	return version
}

// wantGet checks that a Get of version answers with the version want and value.
func (t vaultTest) wantGet(name, version, want, value string) rotation.VaultSecret {
	t.Helper()
	got, err := t.vault.Get(t.Context(), name, version)
	if err != nil {
		t.Fatalf("Get(%q): %v", version, err)
	}
	if got.Version != want || got.Value.Reveal() != value {
		t.Errorf("Get(%q) = version %q with value %q, want %q with %q", version, got.Version, got.Value.Reveal(), want, value)
	}
	return got
}

// wantSame compares what a version says about itself; values and times of creation
// are checked where they matter.
func (t vaultTest) wantSame(what string, got, want rotation.VaultSecret) {
	t.Helper()
	if got.Name != want.Name || got.Version != want.Version || got.ContentType != want.ContentType ||
		got.Enabled != want.Enabled || !got.ExpiresAt.Equal(want.ExpiresAt) || !maps.Equal(got.Tags, want.Tags) {
		t.Errorf("%s = %+v, want %+v", what, got, want)
	}
}

// wantPlace requires that a failure says which secret it is about.
func (t vaultTest) wantPlace(what string, err error, name, version string) {
	t.Helper()
	e, ok := errors.AsType[*serviceerror.Error](err)
	if !ok || e.Place.Vault == "" || e.Place.Name != name || e.Place.Version != version {
		t.Errorf("%s: %+v, want it to be about %s %s", what, err, name, version)
	}
}

func (t vaultTest) wantNotFound(what string, err error) {
	t.Helper()
	if !errors.Is(err, serviceerror.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
	if serviceerror.UnknownOutcome(err) {
		t.Errorf("%s: outcome unknown, though nothing was there", what)
	}
}

// wantClass checks a definite refusal.
func (t vaultTest) wantClass(what string, err error, class serviceerror.Class) {
	t.Helper()
	if err == nil || serviceerror.ClassOf(err) != class {
		t.Errorf("%s: %v, want class %q", what, err, class)
	}
	if serviceerror.UnknownOutcome(err) {
		t.Errorf("%s: outcome unknown, want a definite refusal", what)
	}
}

func (t vaultTest) putAndGet() {
	first := t.put(enabledSecret("app", "one"))
	t.wantGet("app", "", first, "one")
	second := t.put(enabledSecret("app", "two"))
	if first == second {
		t.Fatalf("both versions are %q", first)
	}
	t.wantGet("app", first, first, "one")
	t.wantGet("app", second, second, "two")
	t.wantGet("app", "", second, "two")
	other := t.put(enabledSecret("other", "three"))
	t.wantGet("app", "", second, "two")
	t.wantGet("other", "", other, "three")
	// A repeated Put is one more version of the same, which callers rely on.
	again := t.put(enabledSecret("app", "two"))
	if again == second {
		t.Error("a repeated Put made no version of its own")
	}
}

func (t vaultTest) attributesSurvive() {
	want := rotation.VaultSecret{
		Name:        "app",
		Value:       secret.New("va\"l\nü~.e"),
		ContentType: "text/plain",
		Enabled:     true,
		ExpiresAt:   time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC),
		Tags:        map[string]string{"marker": "rekey/default/x/0123456789", "key id": "0b1e", "empty": ""},
	}
	want.Version = t.put(want)
	got := t.wantGet("app", "", want.Version, want.Value.Reveal())
	if got.CreatedAt.IsZero() || got.CreatedAt.Nanosecond() != 0 {
		t.Errorf("CreatedAt = %v, want whole seconds", got.CreatedAt)
	}
	t.wantSame("Get", got, want)
	listed, err := t.vault.List(t.Context(), "app")
	if err != nil || len(listed) != 1 {
		t.Fatalf("List = %d versions, %v", len(listed), err)
	}
	t.wantSame("List", listed[0], want)
	// The next version has nothing from the one before it.
	bare := t.put(enabledSecret("app", "bare"))
	got = t.wantGet("app", "", bare, "bare")
	if len(got.Tags) != 0 || !got.ExpiresAt.IsZero() || got.ContentType != "" || !got.Enabled {
		t.Errorf("a version inherited attributes: %+v", got)
	}
	// The past is no obstacle: only Enabled decides who may read.
	past := want
	past.ExpiresAt = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	t.wantGet("app", "", t.put(past), want.Value.Reveal())
}

func (t vaultTest) namesIgnoreCase() {
	first := t.put(enabledSecret("App-One", "one"))
	t.wantGet("app-one", "", first, "one")
	second := t.put(enabledSecret("APP-ONE", "two"))
	t.wantGet("App-One", "", second, "two")
	if all, err := t.vault.List(t.Context(), "app-oNe"); err != nil || len(all) != 2 {
		t.Errorf("List = %d versions, %v; want 2", len(all), err)
	}
}

// list makes more versions than Key Vault puts on a page (25).
func (t vaultTest) list() {
	const n = 60
	var made []string
	for i := range n {
		s := enabledSecret("app", fmt.Sprint("value ", i))
		s.Tags = map[string]string{"number": fmt.Sprint(i)}
		made = append(made, t.put(s))
	}
	t.put(enabledSecret("app-staged", "not listed"))
	all, err := t.vault.List(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != n {
		t.Fatalf("List = %d versions, want %d", len(all), n)
	}
	var listed []string
	distinct := true
	for i, s := range all {
		listed = append(listed, s.Version)
		if !s.Value.IsZero() {
			t.Errorf("version %d is listed with its value", i)
		}
		number := slices.Index(made, s.Version)
		if number < 0 || s.Tags["number"] != fmt.Sprint(number) {
			t.Errorf("version %q has tags %v", s.Version, s.Tags)
		}
		if i > 0 && s.CreatedAt.After(all[i-1].CreatedAt) {
			t.Errorf("version %d is newer than the one before it", i)
		}
		distinct = distinct && (i == 0 || s.CreatedAt.Before(all[i-1].CreatedAt))
	}
	slices.Reverse(made)
	if !distinct { // no order within a second
		slices.Sort(made)
		slices.Sort(listed)
	}
	if !slices.Equal(listed, made) {
		t.Errorf("versions listed:\n%q\nwant:\n%q", listed, made)
	}
}

func (t vaultTest) disabledVersions() {
	ctx := t.Context()
	s := enabledSecret("app", "one")
	s.Tags = map[string]string{"marker": "m"}
	s.ExpiresAt = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	first, second := t.put(s), t.put(enabledSecret("app", "two"))

	for range 2 { // disabling twice is disabling
		if err := t.vault.Disable(ctx, "app", first); err != nil {
			t.Fatalf("Disable: %v", err)
		}
	}
	_, err := t.vault.Get(ctx, "app", first)
	t.wantClass("Get of a disabled version", err, serviceerror.VaultDisabled)
	t.wantPlace("Get of a disabled version", err, "app", first)
	t.wantGet("app", "", second, "two")

	if err := t.vault.Disable(ctx, "app", second); err != nil {
		t.Fatalf("Disable: %v", err)
	}
	_, err = t.vault.Get(ctx, "app", "")
	t.wantClass("Get of a disabled latest version", err, serviceerror.VaultDisabled)

	// Disabling keeps what makes a version recognisable.
	all, err := t.vault.List(ctx, "app")
	if err != nil || len(all) != 2 {
		t.Fatalf("List = %d versions, %v", len(all), err)
	}
	for _, got := range all {
		if got.Enabled {
			t.Errorf("version %q is listed as enabled", got.Version)
		}
		if got.Version == first && (got.Tags["marker"] != "m" || !got.ExpiresAt.Equal(s.ExpiresAt)) {
			t.Errorf("disabling changed tags or expiry: %+v", got)
		}
	}
	third := t.put(enabledSecret("app", "three"))
	t.wantGet("app", "", third, "three")
}

// bornDisabled is how a rotation probes that it may write a name.
func (t vaultTest) bornDisabled() {
	probe := enabledSecret("app", "probe")
	probe.Enabled = false
	version := t.put(probe)
	_, err := t.vault.Get(t.Context(), "app", version)
	t.wantClass("Get of the probe", err, serviceerror.VaultDisabled)
	all, err := t.vault.List(t.Context(), "app")
	if err != nil || len(all) != 1 || all[0].Enabled || all[0].Version != version {
		t.Errorf("List = %+v, %v; want the disabled probe", all, err)
	}
}

func (t vaultTest) notThere() {
	ctx := t.Context()
	_, err := t.vault.Get(ctx, "app", "")
	t.wantNotFound("Get of an unknown secret", err)
	t.wantNotFound("Disable of an unknown secret", t.vault.Disable(ctx, "app", unknownVersion))
	if all, err := t.vault.List(ctx, "app"); err != nil || len(all) != 0 {
		t.Errorf("List of an unknown secret = %v, %v; want nothing", all, err)
	}
	if err := t.vault.Delete(ctx, "app"); err != nil {
		t.Errorf("Delete of an unknown secret: %v", err)
	}
	version := t.put(enabledSecret("app", "one"))
	_, err = t.vault.Get(ctx, "app", unknownVersion)
	t.wantNotFound("Get of an unknown version", err)
	t.wantNotFound("Disable of an unknown version", t.vault.Disable(ctx, "app", unknownVersion))
	t.wantGet("app", "", version, "one")
}

func (t vaultTest) deleteSecret() {
	ctx := t.Context()
	version := t.put(enabledSecret("app", "one"))
	kept := t.put(enabledSecret("app-staged", "kept"))
	for range 2 { // deleting what is gone is deleting
		if err := t.vault.Delete(ctx, "app"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
	}
	_, err := t.vault.Get(ctx, "app", "")
	t.wantNotFound("Get after Delete", err)
	_, err = t.vault.Get(ctx, "app", version)
	t.wantNotFound("Get of a version after Delete", err)
	t.wantClass("Get of a version after Delete", err, serviceerror.VaultMissing)
	t.wantPlace("Get of a version after Delete", err, "app", version)
	t.wantNotFound("Disable after Delete", t.vault.Disable(ctx, "app", version))
	if all, err := t.vault.List(ctx, "app"); err != nil || len(all) != 0 {
		t.Errorf("List after Delete = %v, %v; want nothing", all, err)
	}
	_, err = t.vault.Put(ctx, enabledSecret("app", "two"))
	t.wantClass("Put after Delete", err, serviceerror.VaultConflict)
	t.wantPlace("Put after Delete", err, "app", "")
	_, err = t.vault.Put(ctx, enabledSecret("APP", "two"))
	t.wantClass("Put after Delete, in capitals", err, serviceerror.VaultConflict)
	t.wantGet("app-staged", "", kept, "kept")
}

func (t vaultTest) names() {
	for _, name := range []string{"a", "0-9", strings.Repeat("n", 127)} {
		t.wantGet(name, "", t.put(enabledSecret(name, "value")), "value")
	}
	for _, name := range []string{"", "under_score", "a.b", "a/b", "a b", "ä", "..", strings.Repeat("n", 128)} {
		_, err := t.vault.Put(t.Context(), enabledSecret(name, "value"))
		t.wantClass(fmt.Sprintf("Put of the name %q", name), err, serviceerror.Invalid)
	}
}
