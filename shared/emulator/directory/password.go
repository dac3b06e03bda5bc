package directory

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// password is a client secret. addedAt and removedAt are when Graph was asked to;
// zero means long ago, and never.
type password struct {
	keyID       string
	displayName string
	value       string
	startsAt    time.Time
	expiresAt   time.Time // zero: never
	usedAt      time.Time // the last sign-in with it
	shownHint   string    // of one without a value
	identifier  []byte    // customKeyIdentifier
	addedAt     time.Time
	removedAt   time.Time
}

func (d *Directory) newPassword(displayName string, starts, expires time.Time) *password {
	p := &password{
		keyID: newGUID(), displayName: displayName, value: newSecret(),
		startsAt: starts.UTC(), expiresAt: expires.UTC(),
	}
	d.config.issued(p.value)
	return p
}

func (p *password) removed() bool { return !p.removedAt.IsZero() }

// expired reports whether p has ended by now.
func (p *password) expired(now time.Time) bool {
	return !p.expiresAt.IsZero() && !p.expiresAt.After(now)
}

// hint is the first three characters, as Graph's documentation of
// passwordCredential has it.
func (p *password) hint() string {
	if p.value == "" {
		return p.shownHint
	}
	return p.value[:3]
}

// The alphabet of Entra's client secrets. They are 40 characters long, and most have
// "8Q~" after the third, by which secret scanners know them.
const secretAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789~._-"

const secretLength = 40

func newSecret() string {
	random := make([]byte, secretLength)
	rand.Read(random) // never fails, see crypto/rand
	for i, b := range random {
		random[i] = secretAlphabet[int(b)%len(secretAlphabet)]
	}
	copy(random[3:], "8Q~")
	return string(random)
}

// newGUID returns a random GUID (version 4) in lower case.
func newGUID() string {
	var b [16]byte
	rand.Read(b[:])
	return guidOf(b)
}

func guidOf(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// orNew draws an id where there is none.
func orNew(id string) string {
	if id == "" {
		return newGUID()
	}
	return id
}
