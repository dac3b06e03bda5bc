package faulttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
	"rekey/shared/entra"
	"rekey/shared/graph"
	"rekey/shared/keyvault"
	"rekey/shared/rotation"
	"rekey/shared/tablestore"
)

// services are all emulators, Rekey's real adapters of them, and something in each to
// work on.
type services struct {
	*stack.Stack
	authority *entra.Authority
	graph     *graph.Directory
	vault     *keyvault.Vault
	store     *tablestore.Store

	app     directory.Application
	token   rotation.Token
	spare   string // the key id of a client secret that may go
	version string // of the vault secret "app"
	record  rotation.Record

	mu sync.Mutex
	at time.Time
}

func (s *services) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *services) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

// start starts everything and makes all connections that a process has after a while,
// so that nothing but the calls of a test is there to fail.
func start(t *testing.T, c stack.Config) *services {
	t.Helper()
	s := &services{at: time.Now()}
	c.Dir, c.Now = t.TempDir(), s.now
	var err error
	must := func(doing string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", doing, err)
		}
	}
	s.Stack, err = stack.Start(c)
	must("starting the emulators")
	t.Cleanup(func() { s.Stop() })
	// Without kept connections net/http repeats no read by itself.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS, DisableKeepAlives: true}}

	s.authority, err = entra.New(entra.Config{AuthorityHost: s.AuthorityURL, Emulated: true, HTTPClient: client})
	must("entra")
	s.graph, err = graph.New(graph.Config{BaseURL: s.GraphURL, HTTPClient: client})
	must("graph")
	own, err := azidentity.NewClientSecretCredential(s.TenantID, s.OwnClientID(), s.OwnSecret(), &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: s.AuthorityURL}, Transport: client,
		},
		DisableInstanceDiscovery: true,
	})
	must("Rekey's identity")
	s.vault, err = keyvault.New(keyvault.Config{URL: s.VaultURL, Credential: own, Emulated: true, Transport: client,
		RetryDelay: time.Nanosecond})
	must("vault")
	s.store, err = tablestore.New(tablestore.Config{
		ServiceURL: s.TableService, Credential: own, Transport: client,
		Retry: policy.RetryOptions{MaxRetries: 1, RetryDelay: time.Nanosecond, MaxRetryDelay: time.Nanosecond},
	})
	must("table")

	s.app, err = s.AddSample("billing")
	must("registering")
	s.spare, _, err = s.Directory.AddPassword(s.app.ObjectID, "spare", s.now().Add(time.Hour))
	must("adding a spare password")
	s.token, err = s.authority.Token(t.Context(), s.target(), secret.New(s.app.Secret))
	must("signing in")
	s.version, err = s.vault.Put(t.Context(), rotation.VaultSecret{Name: "app", Value: secret.New("value"), Enabled: true})
	must("writing a secret")
	s.record, err = s.store.Create(t.Context(), rotation.Record{ID: "one", Version: 1})
	must("creating a record")
	return s
}

func (s *services) target() rotation.Application {
	return rotation.Application{TenantID: s.app.TenantID, ClientID: s.app.ClientID, ObjectID: s.app.ObjectID}
}

// slow makes a call of op hang, before or after it is carried out, and tells arrived when
// all of it is there.
func (s *services) slow(t *testing.T, kind fault.Kind, op string, arrived func()) {
	t.Helper()
	schedule, err := fault.NewSchedule(fault.Plan{Rules: []fault.Rule{{Op: op, Kind: kind, Delay: fault.Duration(time.Hour)}}}, s.now)
	if err != nil {
		t.Fatal(err)
	}
	s.Break(func(called string, r *http.Request) *fault.Effect {
		effect := schedule.Hook(called, r)
		if effect == nil {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		arrived()
		return effect
	})
}

// play makes the services misbehave by these rules.
func (s *services) play(t *testing.T, rules ...fault.Rule) {
	t.Helper()
	if err := s.Play(fault.Plan{Rules: rules}); err != nil {
		t.Fatal(err)
	}
}

// calls make one call of an operation through its adapter.
var calls = map[string]func(ctx context.Context, s *services) error{
	directory.OpToken: func(ctx context.Context, s *services) error {
		_, err := s.authority.Token(ctx, s.target(), secret.New(s.app.Secret))
		return err
	},
	directory.OpGetApplication: func(ctx context.Context, s *services) error {
		_, err := s.graph.Application(ctx, s.token, s.target())
		return err
	},
	directory.OpAddPassword: func(ctx context.Context, s *services) error {
		_, err := s.graph.AddPassword(ctx, s.token, s.target(), "marker", s.now().Add(time.Hour))
		return err
	},
	directory.OpRemovePassword: func(ctx context.Context, s *services) error {
		return s.graph.RemovePassword(ctx, s.token, s.target(), s.spare)
	},
	"vault.set": func(ctx context.Context, s *services) error {
		_, err := s.vault.Put(ctx, rotation.VaultSecret{Name: "app", Value: secret.New("hunter2"), Enabled: true})
		return err
	},
	"vault.get": func(ctx context.Context, s *services) error {
		_, err := s.vault.Get(ctx, "app", "")
		return err
	},
	"vault.list": func(ctx context.Context, s *services) error {
		_, err := s.vault.List(ctx, "app")
		return err
	},
	"vault.update": func(ctx context.Context, s *services) error {
		return s.vault.Disable(ctx, "app", s.version)
	},
	"table.get": func(ctx context.Context, s *services) error {
		_, err := s.store.Load(ctx, "one")
		return err
	},
	"table.query": func(ctx context.Context, s *services) error {
		_, err := s.store.Due(ctx, s.now(), 10)
		return err
	},
	"table.batch": func(ctx context.Context, s *services) error {
		rec := s.record
		rec.Version, rec.CommitID = 2, "mine"
		_, err := s.store.Commit(ctx, rec)
		return err
	},
}

// writes are the operations that change something, and what shows whether they did.
var writes = map[string]func(s *services) string{
	directory.OpAddPassword:    func(s *services) string { return fmt.Sprint(len(s.Directory.Passwords(s.app.ObjectID))) },
	directory.OpRemovePassword: func(s *services) string { return fmt.Sprint(len(s.Directory.Passwords(s.app.ObjectID))) },
	"vault.set":                func(s *services) string { return fmt.Sprint(len(s.Stack.Vault.Versions("app"))) },
	"vault.update":             func(s *services) string { return fmt.Sprint(s.Stack.Vault.Versions("app")[0].Enabled) },
	"table.batch":              func(s *services) string { return fmt.Sprint(s.Table.Rows("conn-one")) },
}

// errorOf returns the error as the adapters promise it to be.
func errorOf(t *testing.T, err error) *serviceerror.Error {
	t.Helper()
	e, ok := errors.AsType[*serviceerror.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *serviceerror.Error", err)
	}
	return e
}
