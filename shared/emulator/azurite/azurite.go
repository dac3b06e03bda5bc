// Package azurite runs Azurite: its table service for tests, so that the store is also
// tested against an implementation that we did not write; and all of it as the storage of
// a Functions host on a developer's machine.
//
// Azurite is an npm package; infra/local/package.json pins it and `make azurite`
// installs it. Where there is no Node, tests that want it are skipped, in words; where
// CI is "true" that is a failure.
package azurite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/freeport"
)

// The account that every local storage emulator has. The key is public; it is in
// Azurite's documentation.
const (
	account = "devstoreaccount1"
	key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// ErrMissing says that Azurite or Node is not installed.
var ErrMissing = errors.New("azurite is not installed: make azurite installs it, and needs Node.js with npm")

// Service is a running Azurite.
type Service struct {
	ConnectionString string

	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts Azurite's table service on a free port, in memory, and returns when it
// answers. It ends with ctx, or with Stop.
func Start(ctx context.Context) (*Service, error) {
	return start(ctx, "table/main.js", "Table")
}

// StartStorage does the same with the blob, queue and table services.
func StartStorage(ctx context.Context) (*Service, error) {
	return start(ctx, "azurite.js", "Blob", "Queue", "Table")
}

// start tries again if Azurite ends: another program may have taken a port that was free a moment ago.
func start(ctx context.Context, name string, kinds ...string) (s *Service, err error) {
	for range 3 {
		if s, err = startOnce(ctx, name, kinds...); !errors.Is(err, errEnded) {
			break
		}
	}
	return s, err
}

var errEnded = errors.New("azurite ended before it was ready")

func startOnce(ctx context.Context, name string, kinds ...string) (*Service, error) {
	script, err := find(name)
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, ErrMissing
	}
	args := []string{script, "--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"}
	s := &Service{exited: make(chan struct{})}
	s.ConnectionString = "DefaultEndpointsProtocol=http;AccountName=" + account + ";AccountKey=" + key + ";"
	var endpoints []string
	for i, kind := range kinds {
		port, err := freeport.Next()
		if err != nil {
			return nil, err
		}
		lower := strings.ToLower(kind)
		args = append(args, "--"+lower+"Host", "127.0.0.1", "--"+lower+"Port", port)
		endpoints = append(endpoints, "http://127.0.0.1:"+port+"/"+account)
		s.ConnectionString += kind + "Endpoint=" + endpoints[i] + ";"
	}
	s.cmd = exec.CommandContext(ctx, node, args...)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Azurite: %w", err)
	}
	go func() { s.cmd.Wait(); close(s.exited) }()
	for _, endpoint := range endpoints {
		if err := s.ready(ctx, endpoint); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

// ready waits until Azurite gives any answer. One that does not name it is another program's.
func (s *Service) ready(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return fmt.Errorf("asking Azurite: %w", err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if strings.HasPrefix(resp.Header.Get("Server"), "Azurite-") {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return errEnded
		case <-ctx.Done():
			return errors.New("azurite did not answer within a minute")
		}
	}
}

// Stop ends Azurite and returns when it has gone.
func (s *Service) Stop() {
	s.cmd.Process.Kill() // it may have gone already
	<-s.exited
}

// find returns a program of Azurite's below the module's root.
func find(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", ErrMissing
		}
	}
	script := filepath.Join(dir, "infra", "local", "node_modules", "azurite", "dist", "src", filepath.FromSlash(name))
	if _, err := os.Stat(script); err != nil {
		return "", ErrMissing
	}
	return script, nil
}

// ForTest starts Azurite for a test, and skips the test where there is none.
func ForTest(t *testing.T) *Service {
	t.Helper()
	s, err := Start(context.WithoutCancel(t.Context()))
	if errors.Is(err, ErrMissing) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}
