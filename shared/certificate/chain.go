package certificate

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
)

// chain orders the issuers of leaf that are among given: each after the one it
// issued, up to the root or to where they end. What is not part of the chain, such
// as another root of an exported bundle, is left out: Entra identifies the leaf by
// its thumbprint, and a wrong certificate behind it would only be sent about.
func chain(leaf *x509.Certificate, given []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	rest := slices.DeleteFunc(slices.Clone(given), leaf.Equal)
	for last := leaf; !selfIssued(last); {
		i := slices.IndexFunc(rest, func(c *x509.Certificate) bool { return issued(c, last) })
		if i < 0 {
			break
		}
		last = rest[i]
		out = append(out, last)
		rest = slices.Delete(rest, i, i+1) // two that issued each other end here
	}
	return out
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// issued reports whether issuer signed c. Where Go refuses to say because the hash
// or the key is too old for it, the names and key ids decide.
func issued(issuer, c *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, c.RawIssuer) {
		return false
	}
	if a, s := c.AuthorityKeyId, issuer.SubjectKeyId; len(a) > 0 && len(s) > 0 && !bytes.Equal(a, s) {
		return false
	}
	err := issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	if _, old := errors.AsType[x509.InsecureAlgorithmError](err); old || errors.Is(err, x509.ErrUnsupportedAlgorithm) {
		return true
	}
	return err == nil
}
