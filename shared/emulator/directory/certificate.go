package directory

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TrustedIssuer lets an application authenticate by any certificate of an authority
// that names it: "subject name/issuer authentication". So a certificate can be
// renewed without telling the directory. The client has to send its chain.
type TrustedIssuer struct {
	Roots *x509.CertPool
	// Subject is the common name, or one of the DNS names, of the certificate.
	Subject string
}

// AddCertificate adds a certificate to an application, known everywhere at once.
// Of what kind its key is shows only when it is used, as with the real service: keys
// that are not RSA are never found.
func (d *Directory) AddCertificate(objectID string, c *x509.Certificate) error {
	return d.Change(objectID, func(s *Settings) { s.Certificates = append(slices.Clone(s.Certificates), c) })
}

var errNoCertificate = errors.New("no such certificate")

// RemoveCertificate takes a certificate away, at once.
func (d *Directory) RemoveCertificate(objectID string, c *x509.Certificate) error {
	found := false
	err := d.Change(objectID, func(s *Settings) {
		s.Certificates = slices.DeleteFunc(slices.Clone(s.Certificates), func(other *x509.Certificate) bool {
			found = found || other.Equal(c)
			return other.Equal(c)
		})
	})
	if err == nil && !found {
		return errNoCertificate
	}
	return err
}

// certificate finds the certificate with that SHA-256 thumbprint, which MSAL encodes
// in standard base64 and the documentation in base64url: among those that are
// registered, and if a chain came along and an issuer is trusted, as its leaf. It also
// returns the thumbprint in the form that errors show.
func (a *application) certificate(thumbprint string, chain []string, now time.Time) (*x509.Certificate, string) {
	plain := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(thumbprint), "=")
	want, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil {
		return nil, ""
	}
	fits := func(c *x509.Certificate) bool {
		sum := sha256.Sum256(c.Raw)
		return string(sum[:]) == string(want)
	}
	shown := strings.ToUpper(hex.EncodeToString(want))
	if i := slices.IndexFunc(a.Certificates, fits); i >= 0 {
		return a.Certificates[i], shown
	}
	sent := parseChain(chain)
	if len(sent) == 0 || !fits(sent[0]) || !slices.ContainsFunc(a.TrustedIssuers, func(t TrustedIssuer) bool { return t.trusts(sent, now) }) {
		return nil, shown
	}
	return sent[0], shown
}

// trusts reports whether the leaf of a chain is of the issuer and names the subject.
// An expired leaf is still the issuer's: the caller says that it has expired.
func (t TrustedIssuer) trusts(chain []*x509.Certificate, now time.Time) bool {
	leaf := chain[0]
	if leaf.Subject.CommonName != t.Subject && !slices.Contains(leaf.DNSNames, t.Subject) {
		return false
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if leaf.NotAfter.Before(now) {
		now = leaf.NotAfter
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: t.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}

// parseChain reads x5c (RFC 7515, 4.1.6): standard base64 of DER, the leaf first. It
// is nil if any of them is malformed.
func parseChain(x5c []string) []*x509.Certificate {
	var chain []*x509.Certificate
	for _, text := range x5c {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		chain = append(chain, c)
	}
	return chain
}

// rsaKey returns nil for other kinds of keys, which Entra does not accept.
func rsaKey(c *x509.Certificate) *rsa.PublicKey {
	key, _ := c.PublicKey.(*rsa.PublicKey)
	return key
}

// validity is what AADSTS700027 shows of a certificate that it found.
func validity(c *x509.Certificate) string {
	const form = "01/02/2006 15:04:05"
	return fmt.Sprintf(", Found key 'Start=%s, End=%s'", c.NotBefore.UTC().Format(form), c.NotAfter.UTC().Format(form))
}

// used remembers that the application signed in with one of its certificates.
func (a *application) used(c *x509.Certificate, at time.Time) {
	a.certificatesUsed[a.keyOf(c).KeyID] = at
}
