// Package stack starts all emulated services on this machine: what Rekey runs
// against in `make run` and in the end-to-end tests.
//
// Each service listens on a port of its own on loopback, by TLS, with a certificate
// of an authority made for the occasion. Rekey's own identity is an application in
// the emulated directory, and table and vault accept only tokens that the directory
// issued to it: the same way in as in production.
//
// The services misbehave on request: through Go ([Stack.Break], [Stack.Play]), and for
// other processes and people through the fault API on a port of its own
// ([Stack.Admin]).
package stack

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/localtls"
	"rekey/shared/emulator/table"
	"rekey/shared/emulator/vault"
)

// Config says how the services behave.
type Config struct {
	// Dir is an existing folder, into which the authority's certificate goes.
	Dir string
	// Propagation is how long the directory takes to notice a change; with
	// Replicas, the slowest of them. Seed makes them repeatable.
	Propagation time.Duration
	Replicas    int
	Seed        uint64
	// Quotas limit what Graph writes; zero is without limit.
	Quotas directory.Quotas
	// OpaqueTokens makes access tokens unreadable.
	OpaqueTokens bool
	// Table is a connection string of a table service that runs elsewhere; empty:
	// our own.
	Table string
	// Issued is told of every client secret and access token that the directory
	// makes; nil: it is not called.
	Issued func(value string)
	Now    func() time.Time // nil: time.Now
}

// Stack is the running services.
type Stack struct {
	Directory *directory.Directory
	Vault     *vault.Vault
	Table     *table.Service // unused if it runs elsewhere

	AuthorityURL, GraphURL, VaultURL, TableService string
	AdminURL                                       string // plain http; see [Stack.Admin]
	CAFile                                         string
	TenantID                                       string
	TLS                                            *tls.Config // for clients

	own     directory.Application
	now     func() time.Time
	broken  atomic.Pointer[misbehaviour] // nil: behave
	calls   counter
	servers []*http.Server
}

// Start starts the services. Stop ends them.
func Start(c Config) (*Stack, error) {
	now := c.Now
	if now == nil {
		now = time.Now
	}
	ca, err := localtls.New(now())
	if err != nil {
		return nil, fmt.Errorf("making certificates: %w", err)
	}
	s := &Stack{now: now, CAFile: filepath.Join(c.Dir, "ca.pem"), TLS: &tls.Config{RootCAs: ca.CertPool(), MinVersion: tls.VersionTLS12}}
	if err := os.WriteFile(s.CAFile, ca.PEM(), 0o644); err != nil {
		return nil, fmt.Errorf("writing the CA's certificate: %w", err)
	}
	s.Directory = directory.New(directory.Config{
		Now: now, Propagation: c.Propagation, Replicas: c.Replicas, Seed: c.Seed, Quotas: c.Quotas,
		OpaqueTokens: c.OpaqueTokens, Hook: s.ask, Issued: c.Issued,
	})
	s.TenantID = s.Directory.AddTenant()
	s.own, err = s.Directory.AddApplication(directory.Registration{TenantID: s.TenantID, Settings: directory.Settings{
		DisplayName: "Rekey", Resources: []string{directory.ResourceKeyVault, directory.ResourceStorage},
	}})
	if err != nil {
		return nil, fmt.Errorf("registering Rekey itself: %w", err)
	}
	return s, s.serve(ca, c, now)
}

// serve opens a port for each service; the vault comes after the authority, whose
// address its challenge names.
func (s *Stack) serve(ca *localtls.Authority, c Config, now func() time.Time) error {
	accept := func(resource string) func(string) bool {
		return func(token string) bool {
			id, ok := s.Directory.Holder(token, resource)
			return ok && id == s.own.ClientID
		}
	}
	var err error
	open := func(to *string, h func() http.Handler) {
		if err == nil {
			*to, err = s.listen(ca, h())
		}
	}
	open(&s.AuthorityURL, s.Directory.Authority)
	open(&s.GraphURL, s.Directory.Graph)
	open(&s.VaultURL, func() http.Handler {
		s.Vault = vault.New(vault.Config{Authority: s.AuthorityURL + "/" + s.TenantID, Accept: accept(directory.ResourceKeyVault),
			Hook: s.ask, Now: now})
		return s.Vault
	})
	s.Table = table.New(table.Config{Accept: accept(directory.ResourceStorage), Hook: s.ask, Now: now})
	if s.TableService = c.Table; c.Table == "" {
		open(&s.TableService, func() http.Handler { return s.Table })
	}
	if err == nil {
		s.AdminURL, err = s.listen(nil, s.Admin())
	}
	if err != nil {
		s.Stop()
	}
	return err
}

// listen serves h on a port of its own, without TLS if there is no authority.
func (s *Stack) listen(ca *localtls.Authority, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("opening a port for an emulator: %w", err)
	}
	address := "http://" + l.Addr().String()
	if ca != nil {
		address = "https://" + l.Addr().String()
		l = tls.NewListener(l, ca.ServerConfig())
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	s.servers = append(s.servers, server)
	go server.Serve(l)
	return address, nil
}

// Stop closes every port.
func (s *Stack) Stop() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}

// Break makes every service ask hook before each call from now on; nil behaves. It
// replaces whatever [Stack.Play] began.
func (s *Stack) Break(hook fault.Hook) {
	if hook == nil {
		s.broken.Store(nil)
		return
	}
	s.broken.Store(&misbehaviour{hook: hook})
}

// Play makes the services misbehave as the plan says, from now on and in place of
// what [Stack.Break] or an earlier plan asked for.
func (s *Stack) Play(p fault.Plan) error {
	schedule, err := fault.NewSchedule(p, s.now)
	if err != nil {
		return err
	}
	s.broken.Store(&misbehaviour{schedule.Hook, p.Seed, schedule})
	return nil
}

// misbehaviour is what [Stack.Break] or [Stack.Play] asked for; the latter has a
// schedule.
type misbehaviour struct {
	hook     fault.Hook
	seed     uint64
	schedule *fault.Schedule
}

func (s *Stack) ask(op string, r *http.Request) *fault.Effect {
	s.calls.add(op)
	if now := s.broken.Load(); now != nil {
		return now.hook(op, r)
	}
	return nil
}

// Env is the settings with which Rekey runs against the stack, as NAME=value, with
// the short gates that suit a machine where everything happens at once.
func (s *Stack) Env() []string {
	return []string{
		"REKEY_EMULATED=true", "REKEY_CA_FILE=" + s.CAFile,
		"AZURE_AUTHORITY_HOST=" + s.AuthorityURL, "AZURE_TENANT_ID=" + s.TenantID,
		"AZURE_CLIENT_ID=" + s.own.ClientID, "AZURE_CLIENT_SECRET=" + s.own.Secret,
		"REKEY_GRAPH_URL=" + s.GraphURL, "REKEY_KEY_VAULT_URL=" + s.VaultURL, "REKEY_TABLE_SERVICE=" + s.TableService,
		"REKEY_VERIFY_SPACING=500ms", "REKEY_VERIFY_MIN_AGE=3s", "REKEY_VERIFY_MIN_AGE_FIRST=2s", "REKEY_REVOKE_MIN_AGE=2s",
		"REKEY_SETTLE_SPACING=1s", "REKEY_SETTLE_MIN_AGE=10s", "REKEY_LATE_WRITE=10s",
	}
}

// OwnClientID is the client id of Rekey's own identity.
func (s *Stack) OwnClientID() string { return s.own.ClientID }

// OwnSecret is the secret of Rekey's own identity: nothing but Rekey's settings may
// show it.
func (s *Stack) OwnSecret() string { return s.own.Secret }

// AddSample registers an application as one that is to be rotated should be: with
// the least permission, and its own owner.
func (s *Stack) AddSample(name string) (directory.Application, error) {
	return s.Directory.AddApplication(directory.Registration{TenantID: s.TenantID, OwnsItself: true, Settings: directory.Settings{
		DisplayName: cmp.Or(name, "sample"), Roles: []string{directory.RoleReadWriteOwnedBy},
	}})
}
