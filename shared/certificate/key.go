package certificate

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

const (
	notRSA = "The private key is not an RSA key. Entra takes certificates with RSA keys only; " +
		"make one with an RSA key of at least 2048 bits."
	pssOnly = "The key is named an RSA-PSS key (id-RSASSA-PSS), which Rekey does not sign in with. " +
		"Make a certificate with a plain RSA key, which signs with PSS as well, for example with: " +
		"openssl req -x509 -newkey rsa:3072 -nodes -keyout key.pem -out cert.pem"
	negativeSerial = "A certificate has a negative serial number, which RFC 5280 forbids and Rekey does not read. " +
		"If it is the application's own, make a new one and upload it to the app registration; leave out an issuer's."
	damagedKey         = "The private key is damaged. Copy it again, whole, or export it again."
	damagedCertificate = "A certificate cannot be read. Copy it again, whole, or export it again."
)

// Object identifiers of keys, in the form of ObjectIdentifier.String.
const (
	oidRSA = "1.2.840.113549.1.1.1"
	oidPSS = "1.2.840.113549.1.1.10"
)

// parseKey reads PKCS#8 or PKCS#1, whichever it is: the label of a block is not
// always right about it.
//
// Reading a key is work too: its numbers are checked against each other, which takes
// long where they are longer than those of any real key.
func parseKey(der []byte) (key any, ok bool) {
	if len(der) > maxKey {
		return nil, false
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, true
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, true
	}
	return nil, false
}

// addKeyDER takes an RSA key in PKCS#8 or PKCS#1.
func (m *material) addKeyDER(der []byte) error {
	if len(der) > maxKey {
		return refuse("The private key is longer than one of %d bits. Use a key of %d to %d bits.", maxBits, minBits, maxBits)
	}
	if key, ok := parseKey(der); ok {
		return m.addAnyKey(key)
	}
	if why := unusableKey(der); why != "" {
		return refuse("%s", why)
	}
	return refuse(damagedKey)
}

func (m *material) addAnyKey(key any) error {
	if key, ok := key.(*rsa.PrivateKey); ok {
		m.addKey(key)
		return nil
	}
	return refuse(notRSA) // EC, Ed25519, X25519
}

// unusableKey says why crypto/x509 does not read a PKCS#8 key. It is empty for anything
// else.
func unusableKey(der []byte) string {
	var key struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return ""
	}
	switch key.Algorithm.Algorithm.String() {
	case oidRSA:
		return damagedKey
	case oidPSS:
		return pssOnly
	}
	return notRSA
}

// addCertificateDER takes a certificate.
func (m *material) addCertificateDER(der []byte) error {
	c, err := x509.ParseCertificate(der)
	switch {
	case err == nil:
		return m.addCertificate(c)
	case hasNegativeSerial(der):
		return refuse(negativeSerial)
	}
	return refuse(damagedCertificate)
}

// hasNegativeSerial reports whether der is a certificate that crypto/x509 refuses for its
// serial number.
func hasNegativeSerial(der []byte) bool {
	var c struct {
		TBS struct {
			Version int `asn1:"optional,explicit,default:0,tag:0"`
			Serial  *big.Int
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	rest, err := asn1.Unmarshal(der, &c)
	return err == nil && len(rest) == 0 && c.TBS.Serial.Sign() < 0
}

// isPSS reports whether c is a certificate of key whose key is named an RSA-PSS key.
func isPSS(c *x509.Certificate, key *rsa.PrivateKey) bool {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil || info.Algorithm.Algorithm.String() != oidPSS {
		return false
	}
	public, err := x509.ParsePKCS1PublicKey(info.Key.Bytes)
	return err == nil && key.PublicKey.Equal(public)
}
