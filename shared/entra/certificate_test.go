package entra_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/certificate"
	"rekey/shared/emulator/directory"
	"rekey/shared/entra"
	"rekey/shared/rotation"
)

// newCertificate makes one that is valid now, in the form that Rekey stores.
func newCertificate(t *testing.T) certificate.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, data []byte) secret.Value {
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})))
	}
	in := certificate.Input{Body: text("CERTIFICATE", der), PrivateKey: text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))}
	c, err := certificate.Parse(t.Context(), in, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificate(t *testing.T) {
	w := newWorld(t, directory.Config{})
	a := w.authority(t, entra.Config{Emulated: true})
	known, unknown := newCertificate(t), newCertificate(t)
	if err := w.Change(w.app.ObjectID, func(s *directory.Settings) { s.Certificates = []*x509.Certificate{known.Leaf} }); err != nil {
		t.Fatal(err)
	}
	for _, chain := range []bool{false, true} {
		token, err := a.Certificate(t.Context(), w.target(), known.PEM, chain)
		if err != nil || token.ObjectID != w.app.ServicePrincipalID {
			t.Errorf("chain %v: token of %s, error %v", chain, token.ObjectID, err)
		}
	}
	other := w.target()
	other.ClientID = "00000000-0000-4000-8000-00000000dead"
	elsewhere := w.target()
	elsewhere.TenantID = "common"
	for name, tt := range map[string]struct {
		app  rotation.Application
		pem  secret.Value
		want serviceerror.Class
	}{
		"not uploaded":      {w.target(), unknown.PEM, serviceerror.CertificateRefused},
		"no certificate":    {w.target(), secret.New("hunter2"), serviceerror.CertificateRefused},
		"nothing":           {w.target(), secret.Value{}, serviceerror.CertificateRefused},
		"other application": {other, known.PEM, serviceerror.ApplicationMissing},
		"no tenant":         {elsewhere, known.PEM, serviceerror.TenantMissing},
	} {
		if _, err := a.Certificate(t.Context(), tt.app, tt.pem, false); serviceerror.ClassOf(err) != tt.want {
			t.Errorf("%s: %v, want class %s", name, err, tt.want)
		}
	}
}
