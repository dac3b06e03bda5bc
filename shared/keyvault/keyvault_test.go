package keyvault_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/vault"
	"rekey/shared/keyvault"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// clock goes on by a second with each look at it.
type clock struct{ seconds atomic.Int64 }

func (c *clock) Now() time.Time { return time.Unix(1_800_000_000+c.seconds.Add(1), 0) }

// credential gives the token "token", or fails.
type credential struct {
	err    error
	tokens atomic.Int64
	asked  atomic.Pointer[policy.TokenRequestOptions]
}

func (c *credential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.tokens.Add(1)
	c.asked.Store(&options)
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

// stack is the adapter over the emulator, with the real client in between.
type stack struct {
	*keyvault.Vault
	emulator *vault.Vault
	cred     *credential
	server   *httptest.Server
}

func start(t *testing.T, cfg vault.Config) stack {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = new(clock).Now
	}
	if cfg.Accept == nil {
		cfg.Accept = func(token string) bool { return token == "token" }
	}
	s := stack{emulator: vault.New(cfg), cred: &credential{}}
	s.server = httptest.NewTLSServer(s.emulator)
	t.Cleanup(s.server.Close)
	s.Vault = open(t, s.server, s.cred)
	return s
}

// open makes an adapter for whatever server answers.
func open(t *testing.T, server *httptest.Server, cred azcore.TokenCredential) *keyvault.Vault {
	t.Helper()
	v, err := keyvault.New(keyvault.Config{
		URL:          server.URL + "/",
		Credential:   cred,
		Emulated:     true,
		Transport:    server.Client(),
		RetryDelay:   time.Microsecond,
		PollInterval: time.Microsecond,
		Now:          func() time.Time { return time.Date(2126, 11, 22, 12, 0, 0, 0, time.UTC) }, // the SDK has its own
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func given(name, value string, tags map[string]string) rotation.VaultSecret {
	return rotation.VaultSecret{Name: name, Value: secret.New(value), Enabled: true, Tags: tags}
}

func put(t *testing.T, v rotator.Vault, s rotation.VaultSecret) string {
	t.Helper()
	version, err := v.Put(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestConformance(t *testing.T) {
	rotationtest.TestVault(t, func(t *testing.T) rotator.Vault { return start(t, vault.Config{}) })
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "name.vault.azure.net", "http://127.0.0.1", "https://", "https://a/b", "https://a?b", "https://u:p@a",
		"https://a b"} {
		if _, err := keyvault.New(keyvault.Config{URL: url, Credential: &credential{}}); err == nil {
			t.Errorf("New accepted the URL %q", url)
		}
	}
	if _, err := keyvault.New(keyvault.Config{URL: "https://a.vault.azure.net"}); err == nil {
		t.Error("New accepted no credential")
	}
}

func TestOneChallengePerClient(t *testing.T) {
	s := start(t, vault.Config{Authority: "https://login.example.test/the-tenant"})
	put(t, s, given("app", "one", nil))
	put(t, s, given("app", "two", nil))
	if _, err := s.Get(t.Context(), "app", ""); err != nil {
		t.Fatal(err)
	}
	if n := s.emulator.Challenges(); n != 1 {
		t.Errorf("%d challenges for three calls, want 1", n)
	}
	if n := s.cred.tokens.Load(); n != 1 {
		t.Errorf("%d tokens for three calls, want 1", n)
	}
	asked := s.cred.asked.Load()
	if asked.TenantID != "the-tenant" || len(asked.Scopes) != 1 || asked.Scopes[0] != "https://vault.azure.net/.default" {
		t.Errorf("token asked for tenant %q, scopes %q", asked.TenantID, asked.Scopes)
	}
	if n := s.emulator.Calls("vault.set"); n != 2 {
		t.Errorf("%d sets, want 2: a challenged request must not count", n)
	}
}

// Without Emulated the SDK compares the vault's domain with its challenge, and
// that is what keeps a token from a foreign host.
func TestForeignDomainGetsNoToken(t *testing.T) {
	s := start(t, vault.Config{})
	v, err := keyvault.New(keyvault.Config{URL: s.server.URL, Credential: s.cred, Transport: s.server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(t.Context(), "app", ""); err == nil {
		t.Error("Get succeeded")
	}
	if n := s.cred.tokens.Load(); n != 0 {
		t.Errorf("%d tokens given to a foreign domain", n)
	}
}

func TestSameSecond(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := start(t, vault.Config{Now: func() time.Time { return now }})
	tags := map[string]bool{}
	for _, marker := range []string{"a", "b", "c"} {
		put(t, s, given("app", "value", map[string]string{"marker": marker}))
	}
	all, err := s.List(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range all {
		tags[got.Tags["marker"]] = true
	}
	if len(all) != 3 || len(tags) != 3 {
		t.Errorf("List = %d versions with %d markers, want 3 with 3", len(all), len(tags))
	}
}

func TestDeleteWhileDeleting(t *testing.T) {
	s := start(t, vault.Config{DeleteDelay: time.Hour})
	put(t, s, given("app", "one", nil))
	for i := range 2 {
		if err := s.Delete(t.Context(), "app"); err != nil {
			t.Errorf("Delete %d: %v", i, err)
		}
	}
	_, err := s.Put(t.Context(), given("app", "two", nil))
	if serviceerror.ClassOf(err) != serviceerror.Transient || serviceerror.UnknownOutcome(err) {
		t.Errorf("Put while deleting: %v, want a transient refusal", err)
	}
}

// Nothing that cannot be right is sent, and what is refused is not repeated back.
func TestChecksBeforeSending(t *testing.T) {
	s := start(t, vault.Config{})
	long := strings.Repeat("x", 257)
	many := map[string]string{}
	for _, r := range "abcdefghijklmnop" {
		many[string(r)] = ""
	}
	odd := given("app", "value", nil)
	odd.ContentType = strings.Repeat("x", 256)
	for what, bad := range map[string]rotation.VaultSecret{
		"name":         given("app/../other", "value", nil),
		"no value":     given("app", "", nil),
		"long value":   given("app", strings.Repeat("x", 25*1024+1), nil),
		"content type": odd,
		"16 tags":      given("app", "value", many),
		"tag name":     given("app", "value", map[string]string{long: ""}),
		"tag value":    given("app", "value", map[string]string{"a": long}),
		"empty tag":    given("app", "value", map[string]string{"": "a"}),
	} {
		_, err := s.Put(t.Context(), bad)
		if serviceerror.ClassOf(err) != serviceerror.Invalid || serviceerror.UnknownOutcome(err) {
			t.Errorf("%s: %v, want a definite %q", what, err, serviceerror.Invalid)
		}
	}
	bad := "../../deletedsecrets"
	_, getErr := s.Get(t.Context(), "app", bad)
	_, listErr := s.List(t.Context(), bad)
	_, stateErr := s.State(t.Context(), bad)
	for _, err := range []error{getErr, listErr, stateErr, s.Disable(t.Context(), "app", ""), s.Disable(t.Context(), bad, "a"),
		s.Disable(t.Context(), "app", bad), s.Delete(t.Context(), bad), s.Recover(t.Context(), bad)} {
		if serviceerror.ClassOf(err) != serviceerror.Invalid || strings.Contains(err.Error(), "..") {
			t.Errorf("%v, want class %q without the input", err, serviceerror.Invalid)
		}
	}
	if n := s.emulator.Challenges(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	// The largest that is allowed is allowed.
	put(t, s, given("app", strings.Repeat("x", 25*1024), map[string]string{long[:256]: long[:256]}))
}

func TestRecover(t *testing.T) {
	ctx := t.Context()
	s := start(t, vault.Config{DeleteDelay: 3 * time.Second, RecoverDelay: 10 * time.Second})
	if err := s.Recover(ctx, "app"); !errors.Is(err, serviceerror.ErrNotFound) {
		t.Errorf("Recover of an unknown secret: %v, want ErrNotFound", err)
	}
	version := put(t, s, given("app", "one", map[string]string{"deployment": "default"}))
	if err := s.Recover(ctx, "app"); err != nil {
		t.Errorf("Recover of a live secret: %v", err)
	}
	if err := s.Delete(ctx, "app"); err != nil {
		t.Fatal(err)
	}
	for s.emulator.Calls("vault.getDeleted") < 100 {
		state, err := s.State(ctx, "app")
		if err != nil || state.Exists {
			t.Fatalf("State = %+v, %v", state, err)
		}
		if state.Deleted {
			if state.Tags["deployment"] != "default" || state.Version != version {
				t.Errorf("State = %+v, want the tags of %s", state, version)
			}
			_, err := s.Get(ctx, "app", version)
			if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.Detail != serviceerror.DetailSoftDeleted || e.Place.Version != version {
				t.Errorf("Get of a version that is soft-deleted: %v", err)
			}
			break
		}
	}
	if err := s.Recover(ctx, "app"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, "app", ""); err != nil || got.Version != version {
		t.Errorf("Get after Recover = %q, %v; want %q", got.Version, err, version)
	}
	if n := s.emulator.Calls("vault.recover"); n != 1 {
		t.Errorf("%d recoveries started, want 1", n)
	}
}

func TestRecoverWhileSomebodyElseDoes(t *testing.T) {
	calls := 0
	s := start(t, vault.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if op != "vault.recover" {
			return nil
		}
		if calls++; calls < 3 {
			return &fault.Effect{Apply: calls == 2, Status: http.StatusConflict, Code: "ObjectIsBeingRecovered"}
		}
		return nil
	}})
	put(t, s, given("app", "one", nil))
	if err := s.Delete(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if err := s.Recover(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if calls != 2 || s.emulator.Deleted("app") {
		t.Errorf("%d calls, deleted %v; want 2 and back", calls, s.emulator.Deleted("app"))
	}
}

func TestRecoverEndsWithContext(t *testing.T) {
	ctx, over := fault.Deadline(t.Context())
	recovered := false
	s := start(t, vault.Config{RecoverDelay: 1000 * time.Hour, Hook: func(op string, _ *http.Request) *fault.Effect {
		if recovered { // and looked at once more
			over()
		}
		recovered = recovered || op == "vault.recover"
		return nil
	}})
	put(t, s, given("app", "one", nil))
	if err := s.Delete(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if err := s.Recover(ctx, "app"); serviceerror.ClassOf(err) != serviceerror.Transient || err == nil {
		t.Errorf("Recover = %v, want a transient failure", err)
	}
	if n := s.emulator.Calls("vault.recover"); n != 1 {
		t.Errorf("%d recoveries started, want 1", n)
	}
}

func TestStateOfLiveSecrets(t *testing.T) {
	ctx := t.Context()
	s := start(t, vault.Config{})
	if state, err := s.State(ctx, "app"); err != nil || state.Exists || state.Deleted {
		t.Errorf("State of an unknown secret = %+v, %v", state, err)
	}
	s.emulator.Seed("app", "foreign", nil)
	if state, err := s.State(ctx, "app"); err != nil || !state.Exists || len(state.Tags) != 0 {
		t.Errorf("State of a foreign secret = %+v, %v", state, err)
	}
	version := put(t, s, given("app", "ours", map[string]string{"connection": "c"}))
	if err := s.Disable(ctx, "app", version); err != nil {
		t.Fatal(err)
	}
	if state, err := s.State(ctx, "app"); err != nil || !state.Exists || state.Version != version || state.Tags["connection"] != "c" {
		t.Errorf("State with a disabled latest version = %+v, %v", state, err)
	}
}
