package connection_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/secret"
)

// Certificates of the years in which bubbles live; making a key takes a while.
var given, renewed certificate.Input

func TestMain(m *testing.M) {
	given, renewed = newCertificate(1), newCertificate(2)
	os.Exit(m.Run())
}

func newCertificate(serial int64) certificate.Input {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "rekey test"},
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC),
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

// stored is a certificate as Rekey stores it.
func stored(in certificate.Input) secret.Value {
	c, err := certificate.Parse(context.Background(), in, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	return c.PEM
}

// actor gives the subject's application to another one, which signs in with a
// certificate.
func (s *subject) actor() connection.Input {
	app, _, _ := s.w.AddApplication()
	s.w.AddCertificate(app.ClientID, stored(given))
	s.w.AddCertificate(app.ClientID, stored(renewed))
	s.w.Own(s.app.ClientID, app.ClientID, true)
	s.acting = app
	return connection.Input{
		Name: "billing", By: "tester",
		Credentials: connection.Credentials{Method: connection.Certificate, TenantID: app.TenantID, ClientID: app.ClientID, Certificate: given},
	}
}

// person gives the subject's application to a person, who signs in.
func (s *subject) person() connection.Input {
	app, _, _ := s.w.AddApplication() // the OAuth application
	account, refresh := s.w.AddPerson()
	s.w.Own(s.app.ClientID, account, true)
	s.account = account
	return connection.Input{
		Name: "billing", By: "tester",
		Credentials: connection.Credentials{
			Method: connection.OAuth, TenantID: app.TenantID, ClientID: app.ClientID,
			SignIn: &connection.SignIn{RefreshToken: refresh, Account: account},
		},
	}
}

func rotating(in connection.Input, target rotation.Application) connection.Input {
	in.Target, in.Rotate = connection.Target{ClientID: target.ClientID}, true
	in.Schedule = schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}
	return in
}
