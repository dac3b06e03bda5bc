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
	spare, spareKeyID       string // client id of a second target, and the key id of the client secret that it has
}

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
	archive, err := services.Directory.AddApplication(directory.Registration{TenantID: services.TenantID, Settings: directory.Settings{
		DisplayName: "archive", Owners: []string{app.ServicePrincipalID},
	}})
	if err != nil {
		return s, fmt.Errorf("registering the spare target: %w", err)
	}
	if s.spareKeyID, _, err = services.Directory.AddPassword(archive.ObjectID, "by hand", now.AddDate(1, 0, 0)); err != nil {
		return s, fmt.Errorf("giving the spare target a client secret: %w", err)
	}
	s.clientID, s.target, s.other, s.spare = app.ClientID, target.ClientID, intranet.ClientID, archive.ClientID
	return s, nil
}
