package rotationtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	"rekey/shared/certificate"
	"rekey/shared/secret"
)

// NewCertificate makes a self-signed certificate with its key that is good in the years in
// which bubbles live, until ends. It takes a while: make it outside of a bubble, whose clock
// it would hold.
func NewCertificate(serial int64, ends time.Time) certificate.Input {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "rekey test"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: ends,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	text := func(kind string, data []byte) secret.Value {
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})))
	}
	return certificate.Input{Body: text("CERTIFICATE", der), PrivateKey: text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))}
}
