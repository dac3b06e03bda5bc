// Package certificate makes one normalised PEM of whatever a person pastes or
// uploads as an application's certificate.
//
// People have their certificate as two PEM texts, as one with everything in it, as
// the bare base64 that Infisical's clients send, or as a PFX file. azidentity reads
// some of these, MSAL fewer, and both say little when they cannot (azidentity's
// ParseCertificates takes neither a PFX file with a SHA-256 MAC nor an encrypted
// key). Text loses its line breaks on the way, or gets quotes; programs write PFX files
// in BER, in several parts, or without a MAC. Here each of them becomes the same text, which is what is stored, or an
// [Error] that tells the person what to do instead.
//
// A [Certificate] that this package returns has an RSA key of at least 2048 bits
// which is the key of its leaf. [Parse] also promises that it is valid now. What
// Entra itself does not look at is not looked at either: who signed the
// certificate, with which hash, what it may be used for. Entra compares the
// thumbprint with what was uploaded to the app registration, and nothing else.
//
// No error repeats anything of the input but a certificate's dates.
package certificate

import (
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/secret"
)

// What is accepted, at most and at least.
const (
	maxInput        = 64 << 10 // bytes of each member of an [Input]
	maxCertificates = 16
	minBits         = 2048
	maxBits         = 16384 // more takes seconds to sign with
	// maxPEM is what Key Vault stores as the value of a secret: 25 KB.
	maxPEM = 25_000
)

// Input is what a caller gave: either PFX and, if it has one, its Password; or
// Body and PrivateKey. All other combinations are refused.
type Input struct {
	// Body is PEM with one certificate or more, in any order, and possibly the
	// private key; or the base64 of one certificate's DER. Line breaks may be
	// missing or escaped, and quotes be around it.
	Body secret.Value
	// PrivateKey is PEM, PKCS#8 or PKCS#1 and not encrypted, or the base64 of
	// such a key's DER. It may be left out where Body has the key.
	PrivateKey secret.Value
	// PFX is the base64 of a PKCS#12 file, in DER or BER, with one private key.
	PFX      secret.Value
	Password secret.Value
}

// Certificate is a certificate with its key. Only PEM is secret when it prints;
// Key is for signing, and stays out of JSON.
type Certificate struct {
	// PEM has the leaf, the chain and the key as PKCS#8, in this order, each as
	// a block without headers and without text around it.
	PEM secret.Value `json:"-"`

	Leaf *x509.Certificate `json:"-"`
	Key  *rsa.PrivateKey   `json:"-"`
	// Chain is what follows the leaf: its issuer, the issuer's issuer, as far as
	// they were given. Given certificates that are not part of it are left out.
	Chain []*x509.Certificate `json:"-"`

	ThumbprintSHA256 string // of the leaf's DER, 64 upper-case hex digits
	ThumbprintSHA1   string // 40 digits; the one that the portal shows
	Subject          string // RFC 2253
	NotBefore        time.Time
	NotAfter         time.Time
}

// Error says what is wrong with an [Input] and what to do, in whole sentences for
// the person who gave it. It is the type of every error of this package
// but [ErrBusy].
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func refuse(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...)}
}

// Parse reads in and requires its certificate to be valid at now. A PFX file waits for its
// turn until ctx ends; then the error is [ErrBusy].
func Parse(ctx context.Context, in Input, now time.Time) (Certificate, error) {
	found, err := read(ctx, in)
	if err != nil {
		return Certificate{}, err
	}
	c, err := found.certificate()
	if err != nil {
		return Certificate{}, err
	}
	switch {
	case now.After(c.NotAfter):
		return Certificate{}, refuse("The certificate expired on %s. Upload a new one to the app registration and use that.",
			c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return Certificate{}, refuse("The certificate is valid only from %s. Use one that is valid now.", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return c, nil
}

// Read reads the PEM of a [Certificate] again. It does not look at the dates: that
// a stored certificate has expired is for its reader to find and to say.
func Read(text secret.Value) (Certificate, error) {
	found, err := read(context.Background(), Input{Body: text}) // without a PFX file there is no wait
	if err != nil {
		return Certificate{}, err
	}
	return found.certificate()
}

// material is what an input contains, each thing once.
type material struct {
	certificates []*x509.Certificate
	keys         []*rsa.PrivateKey
}

func (m *material) addCertificate(c *x509.Certificate) error {
	for _, other := range m.certificates {
		if other.Equal(c) {
			return nil
		}
	}
	if len(m.certificates) == maxCertificates {
		return refuse("There are more than %d certificates. Leave only the application's own, and its issuers if you like.", maxCertificates)
	}
	m.certificates = append(m.certificates, c)
	return nil
}

func (m *material) addKey(k *rsa.PrivateKey) {
	for _, other := range m.keys {
		if other.Equal(k) {
			return
		}
	}
	m.keys = append(m.keys, k)
}

// certificate puts together what was found.
func (m *material) certificate() (Certificate, error) {
	switch {
	case len(m.certificates) == 0 && len(m.keys) == 0:
		return Certificate{}, refuse("There is neither a certificate nor a private key. Give both as PEM, or a PFX file.")
	case len(m.certificates) == 0:
		return Certificate{}, refuse("The certificate is missing: there is only a private key. " +
			"Give the certificate that was uploaded to the app registration, too.")
	case len(m.keys) == 0:
		return Certificate{}, refuse("The private key is missing: there are only certificates. " +
			"Give the key that the certificate was made with; a .cer file that was downloaded from the portal does not have it.")
	case len(m.keys) > 1:
		return Certificate{}, refuse("There are several private keys. Leave only the one that belongs to the certificate.")
	}
	key := m.keys[0]
	if bits := key.N.BitLen(); bits < minBits || bits > maxBits {
		return Certificate{}, refuse("The RSA key has %d bits. Use a key of %d to %d bits.", bits, minBits, maxBits)
	}
	leaf, err := m.leaf(key)
	if err != nil {
		return Certificate{}, err
	}
	return assemble(leaf, chain(leaf, m.certificates), key)
}

// leaf finds the certificate of key. Where several have it, as after a renewal
// that kept the key, only the person knows which of them Entra knows.
func (m *material) leaf(key *rsa.PrivateKey) (*x509.Certificate, error) {
	var leaf *x509.Certificate
	for _, c := range m.certificates {
		if !key.PublicKey.Equal(c.PublicKey) {
			continue
		}
		if leaf != nil {
			return nil, refuse("Several certificates belong to the private key. Leave only the one that was uploaded to the app registration.")
		}
		leaf = c
	}
	if leaf == nil && slices.ContainsFunc(m.certificates, func(c *x509.Certificate) bool { return isPSS(c, key) }) {
		return nil, refuse(pssOnly)
	}
	if leaf == nil {
		return nil, refuse("The private key does not belong to the certificate. Give the key that this certificate was made with.")
	}
	return leaf, nil
}

func assemble(leaf *x509.Certificate, chain []*x509.Certificate, key *rsa.PrivateKey) (Certificate, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, refuse("The private key cannot be used. Export it again, or make a new RSA key.")
	}
	var text strings.Builder
	write := func(kind string, der []byte) { text.Write(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})) }
	write("CERTIFICATE", leaf.Raw)
	for _, c := range chain {
		write("CERTIFICATE", c.Raw)
	}
	write("PRIVATE KEY", der)
	if text.Len() > maxPEM {
		return Certificate{}, refuse("Certificate, chain and key together are longer than the %d bytes that Key Vault stores. "+
			"Leave out the issuers' certificates; Entra does not need them.", maxPEM)
	}
	sum1, sum256 := sha1.Sum(leaf.Raw), sha256.Sum256(leaf.Raw)
	return Certificate{
		PEM:  secret.New(text.String()),
		Leaf: leaf, Key: key, Chain: chain,
		ThumbprintSHA256: strings.ToUpper(hex.EncodeToString(sum256[:])),
		ThumbprintSHA1:   strings.ToUpper(hex.EncodeToString(sum1[:])),
		Subject:          leaf.Subject.String(),
		NotBefore:        leaf.NotBefore, NotAfter: leaf.NotAfter,
	}, nil
}
