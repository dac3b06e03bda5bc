package notice

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey/shared/secret"

	"rekey/shared/rotation"
)

// secretPrefix marks the secret of a symmetric signature (Standard Webhooks 1.0.0,
// "Signature scheme"). The standard asks for 24 to 64 random bytes.
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
)

// Keys sign notices as Standard Webhooks 1.0.0 has it
// (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md). There is
// more than one while a secret is being replaced: each signs, and the receiver is
// content with one that it knows. The zero Keys cannot sign.
type Keys struct {
	list []secret.Value // the decoded bytes
}

// ParseKeys reads one or more secrets of the form whsec_ and the base64 of 24 to 64
// bytes, separated by spaces or commas. The error names a secret by its place only.
func ParseKeys(given secret.Value) (Keys, error) {
	var k Keys
	separator := func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' || r == '\r' }
	for i, text := range strings.FieldsFunc(given.Reveal(), separator) {
		encoded, ok := strings.CutPrefix(text, secretPrefix)
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(raw) < minSecret || len(raw) > maxSecret {
			return Keys{}, fmt.Errorf("secret %d: must be %s and the base64 of %d to %d random bytes", i+1, secretPrefix, minSecret, maxSecret)
		}
		k.list = append(k.list, secret.New(string(raw)))
	}
	if len(k.list) == 0 {
		return Keys{}, errors.New("there is no secret")
	}
	return k, nil
}

// Sign returns the value of the header webhook-signature: for each key "v1," and the
// base64 of the HMAC-SHA256 of "<id>.<timestamp>.<body>", separated by spaces. The
// timestamp, in seconds, is that of the header webhook-timestamp.
func (k Keys) Sign(id string, at time.Time, body []byte) string {
	signed := make([]string, len(k.list))
	for i, key := range k.list {
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + ".")) // never fails
		mac.Write(body)
		signed[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signed, " ")
}

// Keyring says what notices are signed with now. Its errors are safe to print.
type Keyring interface {
	Keys(ctx context.Context) (Keys, error)
}

// Keys makes k a [Keyring] that is always the same.
func (k Keys) Keys(context.Context) (Keys, error) { return k, nil }

// Vault reads secrets; see [rotator.Vault].
type Vault interface {
	Get(ctx context.Context, name, version string) (rotation.VaultSecret, error)
}

// fresh is how long what was read from the vault is good for: a replaced secret signs
// after that time at the latest, without a restart.
const fresh = 5 * time.Minute

// VaultKeys is a [Keyring] that reads the secrets, in the form that [ParseKeys] takes,
// from the latest version of a secret in Key Vault. If the vault fails, those that were
// read before go on.
type VaultKeys struct {
	Vault Vault
	Name  string
	Now   func() time.Time // nil: time.Now

	mu   sync.Mutex
	keys Keys
	read time.Time
}

// Keys implements [Keyring].
func (v *VaultKeys) Keys(ctx context.Context) (Keys, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := clock(v.Now)
	if len(v.keys.list) > 0 && now.Sub(v.read) < fresh {
		return v.keys, nil
	}
	secret, err := v.Vault.Get(ctx, v.Name, "")
	if err == nil {
		var keys Keys
		if keys, err = ParseKeys(secret.Value); err == nil {
			v.keys, v.read = keys, now
			return keys, nil
		}
	}
	if len(v.keys.list) > 0 {
		return v.keys, nil
	}
	return Keys{}, fmt.Errorf("reading the webhook's secret %s in Key Vault: %w", v.Name, err)
}

// clock returns the time of a clock that may be nil.
func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}
