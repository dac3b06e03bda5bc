package directory

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Credentials are credentials that are listed and open nothing, since what they consist
// of is not there: what a scan of a tenant reads, in any number.
type Credentials struct {
	Secrets []Secret
	Keys    []Key
}

// Secret is a client secret, or the password of a [Key], without its value.
type Secret struct {
	KeyID       string // empty: it is drawn
	DisplayName string
	Hint        string // empty: null, as that of a client secret of before 2020
	Identifier  []byte // customKeyIdentifier
	StartsAt    time.Time
	EndsAt      time.Time // zero: null, it never ends
	UsedAt      time.Time // the last sign-in with it; zero: none is reported
}

// Key is a certificate as Graph lists it, without its bytes.
type Key struct {
	KeyID       string // empty: it is drawn
	DisplayName string
	Type        string // empty means [CertificateType]
	Usage       string // empty means [UsageVerify]
	Identifier  []byte // customKeyIdentifier, usually the SHA-1 thumbprint
	StartsAt    time.Time
	EndsAt      time.Time // zero: null, it never ends
	UsedAt      time.Time // the last sign-in with it; zero: none is reported
}

// The types and usages of key credentials.
const (
	CertificateType            = "AsymmetricX509Cert"
	CertificateAndPasswordType = "X509CertAndPassword"
	UsageVerify                = "Verify"
	UsageSign                  = "Sign"
)

// SigningCertificate is a certificate that a service principal signs SAML tokens with.
type SigningCertificate struct {
	SignKeyID, VerifyKeyID string
	DisplayName            string // begins with "CN="
	Thumbprint             [sha1.Size]byte
	StartsAt, EndsAt       time.Time
}

// Credentials are the three entries that Graph lists for it, which have one
// customKeyIdentifier; the password has the key id of the private key that it opens.
// Source: learn.microsoft.com/graph/api/serviceprincipal-addtokensigningcertificate.
func (c SigningCertificate) Credentials() Credentials {
	sign := Key{KeyID: c.SignKeyID, DisplayName: c.DisplayName, Type: CertificateAndPasswordType, Usage: UsageSign,
		Identifier: c.Thumbprint[:], StartsAt: c.StartsAt, EndsAt: c.EndsAt}
	verify := sign
	verify.KeyID, verify.Type, verify.Usage = c.VerifyKeyID, CertificateType, UsageVerify
	password := Secret{KeyID: c.SignKeyID, DisplayName: c.DisplayName, Identifier: sign.Identifier, StartsAt: c.StartsAt, EndsAt: c.EndsAt}
	return Credentials{Secrets: []Secret{password}, Keys: []Key{sign, verify}}
}

type key struct {
	Key
	raw []byte // the certificate, if it is known
}

// listed are the credentials as an application or a service principal has them.
func (c Credentials) listed() (passwords []*password, keys []*key) {
	for _, s := range c.Secrets {
		passwords = append(passwords, &password{
			keyID: orNew(s.KeyID), displayName: s.DisplayName, shownHint: s.Hint, identifier: s.Identifier,
			startsAt: s.StartsAt.UTC(), expiresAt: inUTC(s.EndsAt), usedAt: inUTC(s.UsedAt),
		})
	}
	for _, k := range c.Keys {
		k.KeyID, k.StartsAt, k.EndsAt, k.UsedAt = orNew(k.KeyID), k.StartsAt.UTC(), inUTC(k.EndsAt), inUTC(k.UsedAt)
		if k.Type == "" {
			k.Type = CertificateType
		}
		if k.Usage == "" {
			k.Usage = UsageVerify
		}
		keys = append(keys, &key{Key: k})
	}
	return passwords, keys
}

// inUTC leaves the zero time zero.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// AddCredentials adds credentials to the application or service principal with that
// object id, known everywhere at once.
func (d *Directory) AddCredentials(objectID string, c Credentials) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	passwords, keys, err := d.credentialsOf(objectID)
	if err != nil {
		return err
	}
	morePasswords, moreKeys := c.listed()
	*passwords, *keys = append(*passwords, morePasswords...), append(*keys, moreKeys...)
	return nil
}

// RemoveCredential removes every credential with that key id from the application or
// service principal with that object id, at once.
func (d *Directory) RemoveCredential(objectID, keyID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	passwords, keys, err := d.credentialsOf(objectID)
	if err != nil {
		return err
	}
	before := len(*passwords) + len(*keys)
	*passwords = slices.DeleteFunc(*passwords, func(p *password) bool { return p.keyID == keyID })
	*keys = slices.DeleteFunc(*keys, func(k *key) bool { return k.KeyID == keyID })
	if len(*passwords)+len(*keys) == before {
		return fmt.Errorf("no credential %q", keyID)
	}
	return nil
}

var errNoObject = errors.New("no such application or service principal")

func (d *Directory) credentialsOf(objectID string) (*[]*password, *[]*key, error) {
	if app := d.applications[objectID]; app != nil {
		return &app.passwords, &app.keys, nil
	}
	if p := d.principals[objectID]; p != nil {
		return &p.passwords, &p.keys, nil
	}
	return nil, nil, errNoObject
}

// allKeys are the certificates that are listed, and those that the application signs in
// with.
func (a *application) allKeys() []*key {
	if len(a.Certificates) == 0 {
		return a.keys
	}
	all := slices.Clone(a.keys)
	for _, c := range a.Certificates {
		all = append(all, a.keyOf(c))
	}
	return all
}

func (a *application) keyOf(c *x509.Certificate) *key {
	thumbprint := sha1.Sum(c.Raw)
	id := derivedGUID(a.objectID, string(c.Raw))
	return &key{raw: c.Raw, Key: Key{
		KeyID: id, DisplayName: c.Subject.String(), Type: CertificateType, Usage: UsageVerify, Identifier: thumbprint[:],
		StartsAt: c.NotBefore.UTC(), EndsAt: c.NotAfter.UTC(), UsedAt: a.certificatesUsed[id],
	}}
}

// show is the keyCredential resource. The certificate itself is shown only where it
// was asked for by name, of a single object.
// Source: learn.microsoft.com/graph/api/resources/keycredential.
func (k *key) show(withKey bool) map[string]any {
	shown := map[string]any{
		"customKeyIdentifier": base64OrNil(k.Identifier), "displayName": nilIfEmpty(k.DisplayName), "key": nil, "keyId": k.KeyID,
		"type": k.Type, "usage": k.Usage, "startDateTime": timeOrNil(k.StartsAt), "endDateTime": timeOrNil(k.EndsAt),
	}
	if withKey {
		shown["key"] = base64OrNil(k.raw)
	}
	return shown
}

func showKeys(list []*key, withKey bool) []any {
	shown := []any{}
	for _, k := range list {
		shown = append(shown, k.show(withKey))
	}
	return shown
}

func base64OrNil(data []byte) any {
	if len(data) == 0 {
		return nil
	}
	return base64.StdEncoding.EncodeToString(data)
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format(dateTime)
}

// derivedGUID is the same for the same parts.
func derivedGUID(parts ...string) string {
	hash := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(hash, "%d %s", len(p), p)
	}
	return guidOf([16]byte(hash.Sum(nil)))
}
