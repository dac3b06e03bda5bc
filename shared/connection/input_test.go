package connection_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rotationtest"
	"rekey/shared/secret"
)

// A client secret may be longer than Entra makes them now (40 characters); the API refuses
// what can't be one before it asks a service.
func TestAClientSecretHasAtMost256Characters(t *testing.T) {
	for name, tt := range map[string]struct {
		secret string
		ok     bool
	}{
		"as Entra makes them":           {strings.Repeat("a~Q8", 10), true},
		"51 characters":                 {strings.Repeat("x", 51), true},
		"256 characters":                {strings.Repeat("!~", 128), true},
		"256 characters between spaces": {" " + strings.Repeat("x", 256) + "\r\n", true},
		"257 characters":                {strings.Repeat("x", 257), false},
		"256 bytes that are no ASCII":   {strings.Repeat("é", 128), false},
		"a line's end within":           {strings.Repeat("x", 20) + "\n" + strings.Repeat("x", 20), false},
	} {
		in := connection.Input{Name: "billing", Credentials: connection.Credentials{
			TenantID: rotationtest.TenantID, ClientID: rotationtest.TenantID, ClientSecret: secret.New(tt.secret),
		}}
		switch err := in.Clean(); {
		case !tt.ok && (err == nil || !strings.Contains(err.Error(), "at most 256 printable characters")):
			t.Errorf("%s: %v", name, err)
		case tt.ok && err != nil:
			t.Errorf("%s is refused: %v", name, err)
		case tt.ok && in.ClientSecret.Reveal() != strings.TrimSpace(tt.secret):
			t.Errorf("%s is changed", name)
		}
	}
}

// asPFX is a given certificate as a PFX file.
func asPFX(t *testing.T, in certificate.Input) certificate.Input {
	t.Helper()
	leaf, _ := pem.Decode([]byte(in.Body.Reveal()))
	block, _ := pem.Decode([]byte(in.PrivateKey.Reveal()))
	c, err := x509.ParseCertificate(leaf.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var key *rsa.PrivateKey
	if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		t.Fatal(err)
	}
	file, err := pkcs12.Modern2023.Encode(key, c, nil, "x")
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Input{PFX: secret.New(base64.StdEncoding.EncodeToString(file)), Password: secret.New("x")}
}
