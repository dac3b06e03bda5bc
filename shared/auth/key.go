package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"rekey/shared/secret"
)

// An API key is keyPrefix and 32 random bytes in base64url without padding. The
// prefix tells people and secret scanners what they have found.
const (
	keyPrefix = "rk_"
	keyBytes  = 32
)

// Key is an API key as it is configured: by its hash. With 256 random bits behind
// it a plain SHA-256 is enough; there is nothing to guess that salt or stretching
// would protect.
type Key struct {
	Name string // who has the key; several keys may have the same name
	Role Role
	Hash [sha256.Size]byte // of the whole key as it is sent, with its prefix
}

// nameForm has no underscore, so that a key that was configured in place of its
// entry is not taken for a name.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.@-]{0,63}$`)

// ParseKey reads an entry of the form name:role:hash, where hash is the SHA-256 of
// the key in 64 hex digits. Its errors do not repeat the entry: it may be a key
// that the operator put in the wrong place.
func ParseKey(entry string) (Key, error) {
	parts := strings.Split(entry, ":")
	if len(parts) != 3 {
		return Key{}, errors.New("the form is name:role:sha256hex; make apikey prints an entry")
	}
	if !nameForm.MatchString(parts[0]) {
		return Key{}, errors.New("the name must have 1 to 64 letters, digits, dots, hyphens or @")
	}
	role, err := ParseRole(parts[1])
	if err != nil {
		return Key{}, err
	}
	hash, err := hex.DecodeString(parts[2])
	if err != nil || len(hash) != sha256.Size {
		return Key{}, errors.New("the hash must be the SHA-256 of the key in 64 hex digits; make apikey prints it")
	}
	return Key{Name: parts[0], Role: role, Hash: [sha256.Size]byte(hash)}, nil
}

// String returns the entry that [ParseKey] reads.
func (k Key) String() string {
	return fmt.Sprintf("%s:%s:%s", k.Name, k.Role, hex.EncodeToString(k.Hash[:]))
}

// NewKey makes an API key from 32 bytes of random, and the hash that is configured
// for it, in hex. The key exists nowhere else.
func NewKey(random io.Reader) (key secret.Value, hash string, err error) {
	var b [keyBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return secret.Value{}, "", fmt.Errorf("reading random bytes: %w", err)
	}
	s := keyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(s))
	return secret.New(s), hex.EncodeToString(sum[:]), nil
}

// HashKey returns the hash by which a key is configured; [UnknownKey] for what has not the
// form of a key.
func HashKey(key secret.Value) ([sha256.Size]byte, error) {
	s := key.Reveal()
	if len(s) != len(keyPrefix)+base64.RawURLEncoding.EncodedLen(keyBytes) {
		return [sha256.Size]byte{}, UnknownKey
	}
	return sha256.Sum256([]byte(s)), nil
}

// byKey looks for the key among all entries.
func (a *Authenticator) byKey(key secret.Value) (Caller, error) {
	sum, err := HashKey(key)
	if err != nil {
		return Caller{}, err
	}
	return a.ByHash(sum)
}

// ByHash returns the caller whose key has that hash, with the name and role that are
// configured for it now. It looks at all entries, always, and at each in constant time, so
// that the time taken says nothing about which is close.
func (a *Authenticator) ByHash(sum [sha256.Size]byte) (Caller, error) {
	if !a.configured() {
		return Caller{}, ErrUnconfigured
	}
	found := -1
	for i := range a.Keys {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], a.Keys[i].Hash[:]), i, found)
	}
	if found < 0 {
		return Caller{}, UnknownKey
	}
	k := a.Keys[found]
	return Caller{Name: k.Name, Role: k.Role, Kind: KindKey}, nil
}

// Login returns the caller who has an API key, if the key is of that name. It is for
// clients that know a sign-in with two values only; nothing else signs in by it. Its errors
// are those of [Authenticator.Authenticate].
func (a *Authenticator) Login(name string, key secret.Value) (Caller, error) {
	if !a.configured() {
		return Caller{}, ErrUnconfigured
	}
	caller, err := a.byKey(key)
	switch {
	case err != nil:
		return Caller{}, err
	case caller.Name != name:
		return Caller{}, OtherName
	}
	return caller, nil
}
