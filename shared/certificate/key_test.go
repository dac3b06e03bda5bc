package certificate_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"
)

const (
	oidRSA = "1.2.840.113549.1.1.1"
	oidPSS = "1.2.840.113549.1.1.10"
)

// keyNamed is a PKCS#8 key that says of which kind it is.
func keyNamed(id string, k *rsa.PrivateKey) []byte {
	return der(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: oid(id)}, x509.MarshalPKCS1PrivateKey(k)})
}

// certificateNamed is single with another name of its key.
func certificateNamed(id string) []byte {
	type certificate struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	type tbs struct {
		Version             int `asn1:"explicit,tag:0"`
		Serial              asn1.RawValue
		Algorithm           pkix.AlgorithmIdentifier
		Issuer, Dates, Name asn1.RawValue
		Key                 struct {
			Algorithm pkix.AlgorithmIdentifier
			Key       asn1.BitString
		}
		Extensions asn1.RawValue `asn1:"optional"`
	}
	var c certificate
	must(asn1.Unmarshal(single.Raw, &c))
	var inner tbs
	must(asn1.Unmarshal(c.TBS.FullBytes, &inner))
	inner.Key.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oid(id)}
	c.TBS = raw(der(inner))
	return der(c)
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// Keys whose name says that they are for something else are told apart from damaged ones,
// in each of the forms that they come in.
func TestKeysThatAreNamed(t *testing.T) {
	const dsa, pss, damaged = "1.2.840.10040.4.1", "plain RSA key", "private key is damaged"
	named := block("CERTIFICATE", certificateNamed(oidPSS))
	inPFX := func(id string) string { return b64(file(plainSafe(certBag(), plainKeyBag(keyNamed(id, key))))) }
	for name, tt := range map[string]struct {
		given []string
		want  string
	}{
		"RSA-PSS":                          {[]string{text(single), block("PRIVATE KEY", keyNamed(oidPSS, key))}, pss},
		"RSA-PSS, bare":                    {[]string{text(single), b64(keyNamed(oidPSS, key))}, pss},
		"RSA-PSS, PFX":                     {[]string{"", "", inPFX(oidPSS), "x"}, pss},
		"RSA-PSS in certificate and key":   {[]string{named + block("PRIVATE KEY", keyNamed(oidPSS, key))}, pss},
		"RSA-PSS in the certificate":       {[]string{named, text(key)}, pss},
		"RSA-PSS certificate of another":   {[]string{named, text(otherKey)}, "does not belong"},
		"DSA":                              {[]string{text(single), block("PRIVATE KEY", keyNamed(dsa, key))}, "not an RSA key"},
		"DSA, bare":                        {[]string{text(single), b64(keyNamed(dsa, key))}, "not an RSA key"},
		"DSA, PFX":                         {[]string{"", "", inPFX(dsa), "x"}, "not an RSA key"},
		"RSA, damaged":                     {[]string{text(single), block("PRIVATE KEY", keyNamed(oidRSA, wrong(key)))}, damaged},
		"RSA, damaged, bare":               {[]string{text(single), b64(keyNamed(oidRSA, wrong(key)))}, damaged},
		"PKCS#1 that is called PKCS#8":     {[]string{text(single), block("PRIVATE KEY", []byte{0x30, 0})}, damaged},
		"RSA-PSS beside the application's": {[]string{named + text(stranger), text(otherKey)}, ""},
	} {
		_, err := parse(tt.given...)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want it to say %q", name, err, tt.want)
		}
	}
}

// wrong is a key whose numbers do not fit.
func wrong(k *rsa.PrivateKey) *rsa.PrivateKey {
	return &rsa.PrivateKey{PublicKey: k.PublicKey, D: k.D, Primes: otherKey.Primes}
}

// A certificate that is signed with RSA-PSS has a plain key, and is accepted.
func TestSignedWithPSS(t *testing.T) {
	signed := sign(template{name: "pss", algorithm: x509.SHA256WithRSAPSS}, key.Public(), nil, key)
	if c, err := parse(text(signed, key)); err != nil || !c.Leaf.Equal(signed) {
		t.Errorf("%v", err)
	}
}

// Old programs made serial numbers at random and did not look at the sign.
func TestNegativeSerialNumber(t *testing.T) {
	negative := string(read(t, "openssl-negative-serial.crt"))
	bare, _ := pem.Decode([]byte(negative))
	for name, given := range map[string][]string{
		"the application's own": {negative, text(key)},
		"an issuer's":           {text(single) + negative, text(key)},
		"bare":                  {b64(bare.Bytes), text(key)},
		"in one line":           {strings.ReplaceAll(negative, "\n", " "), text(key)},
		"PFX":                   {"", "", b64(read(t, "openssl-negative-serial.p12")), "x"},
	} {
		if _, err := parse(given...); err == nil || !strings.Contains(err.Error(), "negative serial number") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
