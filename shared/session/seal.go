package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"

	"rekey/shared/secret"
)

// purpose is what something is sealed for. It is authenticated, so that nothing that was
// sealed for one purpose opens for another.
type purpose string

const (
	forSession purpose = "session"
	forSignIn  purpose = "sign-in"
)

// sealVersion changes when the content of what is sealed does.
const sealVersion = "1"

// maxSealed is more than a browser keeps in a cookie.
const maxSealed = 4096

// errSealed says that something does not open: it is forged, cut off, of another purpose or
// deployment, or sealed by a key that is not used any more. Which of these is not known.
var errSealed = errors.New("the cookie does not open")

// seal encodes v and seals it with the newest key: 96 random bits, the ciphertext and the tag
// of AES-256-GCM, in base64url.
func (m *Manager) seal(ctx context.Context, p purpose, v any) (string, error) {
	keys, err := m.Keys.current(ctx)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead(keys[0]).Seal(nil, nil, data, m.associated(p))), nil
}

// unseal opens what was sealed for that purpose into v. Its error is [errSealed], or that of
// keys that can't be read. What no known key opens may be sealed by a newer one, so that
// the vault is asked again.
func (m *Manager) unseal(ctx context.Context, p purpose, text string, v any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) == 0 || len(text) > maxSealed {
		return errSealed
	}
	for _, keys := range []func(context.Context) ([]secret.Value, error){m.Keys.current, m.Keys.again} {
		list, err := keys(ctx)
		if err != nil {
			return err
		}
		for _, key := range list {
			if data, err := aead(key).Open(nil, nil, raw, m.associated(p)); err == nil && json.Unmarshal(data, v) == nil {
				return nil
			}
		}
	}
	return errSealed
}

func (m *Manager) associated(p purpose) []byte {
	return []byte("rekey console " + sealVersion + " " + string(p) + " of " + m.Deployment)
}

// aead is AES-256-GCM, which puts a random nonce before what it seals. A key may seal 2^32
// times; at a thousand requests a minute that takes eight years.
func aead(key secret.Value) cipher.AEAD {
	block, err := aes.NewCipher([]byte(key.Reveal()))
	if err != nil {
		panic(err) // Keys has checked its length
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block has the size that it needs
	}
	return gcm
}
