package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
)

// certificateSample is an application that signs in with a certificate and owns
// another one, the target, whose client secrets it may change.
type certificateSample struct {
	clientID, file, keyFile string
	target                  string // client id
	other                   string // client id of an application that only administrators may change
	spare, spareOther       spareSample
}

// spareSample is a second one, with a client secret that Rekey can take the place of.
type spareSample struct{ clientID, keyID string }

// addCertificate registers the two, and leaves certificate and key as files for this
// user only.
func addCertificate(services *stack.Stack, dir string) (s certificateSample, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return s, fmt.Errorf("making a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "rekey demo"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return s, fmt.Errorf("making a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return s, fmt.Errorf("reading the certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return s, fmt.Errorf("encoding the key: %w", err)
	}
	s.file, s.keyFile = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "certificate.key")
	for path, block := range map[string]*pem.Block{s.file: {Type: "CERTIFICATE", Bytes: der},
		s.keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return s, fmt.Errorf("writing the sample certificate: %w", err)
		}
	}
	app, err := services.Directory.AddApplication(directory.Registration{TenantID: services.TenantID, Settings: directory.Settings{
		DisplayName: "caretaker", Roles: []string{directory.RoleReadWriteOwnedBy}, Certificates: []*x509.Certificate{certificate},
	}})
	if err != nil {
		return s, fmt.Errorf("registering the application with the certificate: %w", err)
	}
	target, err := services.Directory.AddApplication(directory.Registration{TenantID: services.TenantID, Settings: directory.Settings{
		DisplayName: "payroll", Owners: []string{app.ServicePrincipalID},
	}})
	if err != nil {
		return s, fmt.Errorf("registering the target: %w", err)
	}
	intranet, err := services.Directory.AddApplication(directory.Registration{TenantID: services.TenantID,
		Settings: directory.Settings{DisplayName: "intranet"}})
	if err != nil {
		return s, fmt.Errorf("registering the second target: %w", err)
	}
	if s.spare, err = addSpare(services, directory.Settings{DisplayName: "archive", Owners: []string{app.ServicePrincipalID}}); err != nil {
		return s, err
	}
	if s.spareOther, err = addSpare(services, directory.Settings{DisplayName: "library"}); err != nil {
		return s, err
	}
	s.clientID, s.target, s.other = app.ClientID, target.ClientID, intranet.ClientID
	return s, nil
}

func addSpare(services *stack.Stack, settings directory.Settings) (s spareSample, err error) {
	app, err := services.Directory.AddApplication(directory.Registration{TenantID: services.TenantID, Settings: settings})
	if err != nil {
		return s, fmt.Errorf("registering a spare target: %w", err)
	}
	s.clientID = app.ClientID
	if s.keyID, _, err = services.Directory.AddPassword(app.ObjectID, "by hand", time.Now().AddDate(1, 0, 0)); err != nil {
		return s, fmt.Errorf("giving a spare target a client secret: %w", err)
	}
	return s, nil
}
