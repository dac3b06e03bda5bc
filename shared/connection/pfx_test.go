package connection_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"testing"
	"testing/synctest"

	"software.sslmate.com/src/go-pkcs12"

	"rekey/shared/certificate"
	"rekey/shared/connection"
	"rekey/shared/secret"
)

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

// Reading a PFX file ends with the request that brings it: one that has ended is told to
// try again, and nothing is written. Other work goes on without its caller.
func TestPFXOfAnEndedRequestIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		in := s.actor()
		in.Certificate = asPFX(t, given)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := service(s.w).Create(ended, in)
		e, ok := errors.AsType[*connection.Error](err)
		if !ok || e.Kind != connection.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("Create: %v, want it to be unavailable for a while", err)
		}
		if list, err := service(s.w).List(t.Context(), nil); err != nil || len(list) != 0 {
			t.Errorf("there are %d connections, %v", len(list), err)
		}
		made, err := service(s.w).Create(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		change := connection.Change{By: "tester", Credentials: &connection.Credentials{
			Method: connection.Certificate, TenantID: in.TenantID, ClientID: in.ClientID, Certificate: asPFX(t, renewed),
		}}
		_, err = service(s.w).Update(ended, made.ID, change)
		if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != connection.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("Update: %v, want it to be unavailable for a while", err)
		}
		change.Credentials.Certificate = asPFX(t, renewed)
		if _, err := service(s.w).Update(t.Context(), made.ID, change); err != nil {
			t.Errorf("Update of one who waits: %v", err)
		}
	})
}
