package notice_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/notice"
	"rekey/shared/rotation"
)

// The secret and what it signs, of the reference implementation
// (github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_test.go,
// TestWebhookSign).
const (
	referenceSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	referenceID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	referenceTime      = 1614265330
	referenceBody      = `{"test": 2432232314}`
	referenceSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func mustParse(t *testing.T, given string) notice.Keys {
	t.Helper()
	keys, err := notice.ParseKeys(secret.New(given))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestReferenceSignature(t *testing.T) {
	got := mustParse(t, referenceSecret).Sign(referenceID, time.Unix(referenceTime, 999), []byte(referenceBody))
	if got != referenceSignature {
		t.Errorf("got %s, want %s", got, referenceSignature)
	}
}

// While a secret is being replaced both sign, in whatever way they are listed.
func TestSeveralSecrets(t *testing.T) {
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 64)))
	alone := mustParse(t, other).Sign(referenceID, time.Unix(referenceTime, 0), []byte(referenceBody))
	for _, list := range []string{other + " " + referenceSecret, other + "," + referenceSecret + "\n", " " + other + " , " + referenceSecret} {
		got := mustParse(t, list).Sign(referenceID, time.Unix(referenceTime, 0), []byte(referenceBody))
		if got != alone+" "+referenceSignature {
			t.Errorf("got %s", got)
		}
	}
}

func TestParseKeysRefuses(t *testing.T) {
	encode := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n))) }
	for name, test := range map[string]struct{ secret, says string }{
		"nothing":        {" ,\n", "no secret"},
		"no prefix":      {encode(32), "secret 1"},
		"too short":      {"whsec_" + encode(23), "24 to 64"},
		"too long":       {"whsec_" + encode(65), "24 to 64"},
		"no base64":      {referenceSecret + " whsec_hunter2~hunter2~hunter2~hunter2", "secret 2"},
		"asymmetric key": {"whsk_" + encode(32), "whsec_"},
	} {
		keys, err := notice.ParseKeys(secret.New(test.secret))
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if got := keys.Sign("a", time.Unix(0, 0), nil); got != "" {
			t.Errorf("%s: signs with %s", name, got)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	keys := mustParse(t, referenceSecret)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(referenceSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, keys); strings.Contains(text, string(raw)) ||
			strings.Contains(text, fmt.Sprintf("%x", raw)) || strings.Contains(text, referenceSecret) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// vault is one secret of a vault that counts how often it is read.
type vault struct {
	value string
	err   error
	reads int
}

func (v *vault) Get(_ context.Context, name, version string) (rotation.VaultSecret, error) {
	v.reads++
	if name != "webhook" || version != "" {
		return rotation.VaultSecret{}, serviceerror.ErrNotFound
	}
	return rotation.VaultSecret{Value: secret.New(v.value)}, v.err
}

// A secret that was replaced in the vault signs without a restart, and a vault that
// fails meanwhile stops nothing.
func TestVaultKeys(t *testing.T) {
	now := time.Unix(referenceTime, 0)
	v := &vault{value: referenceSecret}
	ring := &notice.VaultKeys{Vault: v, Name: "webhook", Now: func() time.Time { return now }}
	signature := func() string {
		t.Helper()
		keys, err := ring.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return keys.Sign(referenceID, time.Unix(referenceTime, 0), []byte(referenceBody))
	}
	for range 3 {
		if got := signature(); got != referenceSignature || v.reads != 1 {
			t.Errorf("signed %s after %d reads", got, v.reads)
		}
	}
	v.err = &serviceerror.Error{Op: "reading a secret", Class: serviceerror.Transient}
	now = now.Add(5 * time.Minute)
	if got := signature(); got != referenceSignature || v.reads != 2 {
		t.Errorf("signed %s after %d reads", got, v.reads)
	}
	v.err, v.value = nil, "not a secret"
	if got := signature(); got != referenceSignature {
		t.Errorf("signed %s", got)
	}
	v.value = "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + " " + referenceSecret
	if got := signature(); !strings.HasSuffix(got, " "+referenceSignature) || strings.Count(got, "v1,") != 2 {
		t.Errorf("signed %s", got)
	}
}

func TestVaultKeysWithoutAny(t *testing.T) {
	denied := &serviceerror.Error{Op: "reading a secret", Class: serviceerror.VaultRefused, Status: 403}
	for name, test := range map[string]struct {
		vault *vault
		want  error
	}{
		"refused":      {&vault{err: denied}, denied},
		"not a secret": {&vault{value: "hunter2"}, nil},
	} {
		ring := &notice.VaultKeys{Vault: test.vault, Name: "webhook"}
		_, err := ring.Keys(t.Context())
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), "webhook") ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
