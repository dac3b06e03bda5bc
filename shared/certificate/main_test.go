package certificate_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

var (
	now   = time.Date(2031, time.May, 4, 12, 0, 0, 0, time.UTC)
	from  = now.AddDate(0, -1, 0)
	until = now.AddDate(0, 1, 0)
)

// What the tests share, because an RSA key takes a while to make.
var (
	key, otherKey, shortKey    *rsa.PrivateKey
	ecKey                      *ecdsa.PrivateKey
	edKey                      ed25519.PrivateKey
	root, middle, leaf         *x509.Certificate // a chain; leaf has key
	single, sha1Leaf, stranger *x509.Certificate // self-signed: key, key, otherKey
	expired, future, shortLeaf *x509.Certificate
	ecLeaf, renewed, impostor  *x509.Certificate // impostor has the name and key id of middle
)

func TestMain(m *testing.M) {
	key, otherKey, shortKey = newRSA(2048), newRSA(2048), newRSA(1024)
	ecKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
	rootKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	middleKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))

	root = sign(template{name: "Root", ca: true}, rootKey.Public(), nil, rootKey)
	middle = sign(template{name: "Middle", ca: true}, middleKey.Public(), root, rootKey)
	leaf = sign(template{name: "rekey.example.com"}, key.Public(), middle, middleKey)
	single = sign(template{name: "single"}, key.Public(), nil, key)
	renewed = sign(template{name: "single", until: until.AddDate(1, 0, 0)}, key.Public(), nil, key)
	sha1Leaf = sign(template{name: "sha1", algorithm: x509.SHA1WithRSA}, key.Public(), nil, key)
	stranger = sign(template{name: "stranger"}, otherKey.Public(), nil, otherKey)
	expired = sign(template{name: "expired", until: now.Add(-time.Second)}, key.Public(), nil, key)
	future = sign(template{name: "future", from: now.Add(time.Second)}, key.Public(), nil, key)
	shortLeaf = sign(template{name: "short"}, shortKey.Public(), nil, shortKey)
	ecLeaf = sign(template{name: "ec"}, ecKey.Public(), nil, ecKey)
	impostor = sign(template{name: "Middle", ca: true, keyID: middle.SubjectKeyId}, ecKey.Public(), nil, ecKey)
	os.Exit(m.Run())
}

func newRSA(bits int) *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type template struct {
	name        string
	from, until time.Time
	ca          bool
	keyID       []byte
	algorithm   x509.SignatureAlgorithm
}

// sign makes a certificate; without a parent it is self-signed.
func sign(t template, public crypto.PublicKey, parent *x509.Certificate, by crypto.Signer) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(must(randomBytes(16))),
		Subject:      pkix.Name{CommonName: t.name},
		NotBefore:    from, NotAfter: until,
		IsCA: t.ca, BasicConstraintsValid: true,
		SignatureAlgorithm: t.algorithm, SubjectKeyId: t.keyID,
	}
	if !t.from.IsZero() {
		c.NotBefore = t.from
	}
	if !t.until.IsZero() {
		c.NotAfter = t.until
	}
	if parent == nil {
		parent = c
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, c, parent, public, by))))
}

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return b, err
}

// text writes certificates and keys as PEM, in this order.
func text(things ...any) string {
	var out bytes.Buffer
	for _, thing := range things {
		switch thing := thing.(type) {
		case *x509.Certificate:
			out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: thing.Raw}))
		case string:
			out.WriteString(thing)
		default:
			out.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8(thing)}))
		}
	}
	return out.String()
}

func pkcs8(k any) []byte { return must(x509.MarshalPKCS8PrivateKey(k)) }

func pkcs1(k *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
}

func b64(der []byte) string { return base64.StdEncoding.EncodeToString(der) }

func pfx(e *pkcs12.Encoder, k any, c *x509.Certificate, password string, more ...*x509.Certificate) string {
	return b64(must(e.Encode(k, c, more, password)))
}

// many makes n self-signed certificates of the other key.
func many(n int) string {
	var out string
	for i := range n {
		out += text(sign(template{name: fmt.Sprint("c", i)}, ecKey.Public(), nil, ecKey))
	}
	return out
}
