package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/functions/connections"
	"rekey/shared/app"
	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/freeport"
	"rekey/shared/emulator/stack"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// patience ends a wait for what never comes. How long something takes is no matter here.
const patience = 5 * time.Minute

// built is the handler's binary, built once for all tests of the package.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-handler-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "handler")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the handler: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// world is the services that the processes share: our emulators, and Azurite behind
// a proxy that sees every write.
type world struct {
	*stack.Stack
	key    string
	env    []string
	app    *app.App // a process of the same deployment, in this one
	writes *watch
}

// lease and the time of calls are long enough for a machine that is busy; when a process
// dies they are not waited for, see bury.
const lease = time.Minute

// quick shortens what is waited for in earnest.
var quick = []string{
	"REKEY_VERIFY_SPACING=30ms", "REKEY_VERIFY_MIN_AGE=150ms", "REKEY_VERIFY_MIN_AGE_FIRST=100ms", "REKEY_REVOKE_MIN_AGE=100ms",
	"REKEY_SETTLE_SPACING=50ms", "REKEY_SETTLE_MIN_AGE=400ms", "REKEY_LATE_WRITE=400ms",
	"REKEY_CALL_TIMEOUT=10s", "REKEY_SKEW=100ms", "REKEY_LEASE=" + lease.String(),
}

// newWorld starts the services, with Azurite for the table.
func newWorld(t *testing.T) *world {
	w := &watch{}
	return newWorldOn(t, w, newTableProxy(t, azurite.ForTest(t), w))
}

// newWorldOn starts the services, with the table service that the connection string
// names, or our own if that is empty.
func newWorldOn(t *testing.T, writes *watch, table string) *world {
	w := &world{writes: writes}
	s, err := stack.Start(stack.Config{Dir: t.TempDir(), Table: table, Propagation: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	s.Break(w.writes.hook)
	key, hash, err := auth.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.Stack, w.key = s, key.Reveal()
	w.env = append(append(s.Env(), quick...), "REKEY_API_KEYS=test:admin:"+hash, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir())
	env := map[string]string{}
	for _, e := range w.env {
		k, v, _ := strings.Cut(e, "=")
		env[k] = v
	}
	settings, err := config.Load(func(k string) (string, bool) { v, ok := env[k]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if w.app, err = app.New(settings, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return w
}

// bury takes it that all leases there are belong to the dead: no process is alive, or none
// is at work.
func (w *world) bury(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := rotationtest.Bury(ctx, w.app.Connections.Records, time.Now(), func(rotation.Lease) bool { return true }); err != nil {
		t.Fatal(err)
	}
}

// instance is one handler process, which may die and be started again.
type instance struct {
	*world
	t    *testing.T
	port string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	log    bytes.Buffer
}

func (w *world) newInstance(t *testing.T) *instance {
	t.Helper()
	i := &instance{world: w, t: t, port: freeport.ForTest(t)}
	i.start()
	t.Cleanup(i.kill)
	return i
}

// Write collects the process's output.
func (i *instance) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.Write(p)
}

func (i *instance) output() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.String()
}

func (i *instance) start() {
	i.t.Helper()
	bin, err := built()
	if err != nil {
		i.t.Fatal(err)
	}
	cmd := exec.Command(bin)
	cmd.Env = append(append([]string(nil), i.env...), "FUNCTIONS_CUSTOMHANDLER_PORT="+i.port)
	cmd.Stdout, cmd.Stderr = i, i
	if err := cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	i.mu.Lock()
	i.cmd, i.exited = cmd, exited
	i.mu.Unlock()
	for begin := time.Now(); ; {
		resp, err := http.Get("http://127.0.0.1:" + i.port + "/")
		if err == nil {
			resp.Body.Close()
			return
		}
		if !i.alive() || time.Since(begin) > patience {
			i.t.Fatalf("the handler does not answer: %v\n%s", err, i.output())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// kill kills the process as the Functions host does, without a warning.
func (i *instance) kill() {
	i.mu.Lock()
	cmd, exited := i.cmd, i.exited
	i.mu.Unlock()
	cmd.Process.Kill() // it may be dead already
	<-exited
}

func (i *instance) alive() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-i.exited:
		return false
	default:
		return true
	}
}

// tick plays the host's timer. It fails if the process dies.
func (i *instance) tick(ctx context.Context) error {
	body := `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},` +
		`"Metadata":{"sys":{"MethodName":"rotatedue"}}}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+i.port+"/rotatedue", bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Azure-Functions-InvocationId", guid())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("tick: %s %s %w", resp.Status, answer, err)
	}
	return nil
}

func guid() string {
	b := make([]byte, 16)
	rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// shown is what the tests read of a connection.
type shown struct {
	ID              string
	VaultSecretName string
	Rotation        struct {
		State   string
		Settled bool
		Current struct{ KeyID string }
		LastRun struct{ ID, Outcome string }

		Retiring []struct{ KeyID string }
	}
}

// call calls the API; an error means that there was no answer.
func (i *instance) call(ctx context.Context, method, path string, body any, into any) (int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:"+i.port+connections.Base+path, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+i.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if into != nil && resp.StatusCode == http.StatusOK {
		return resp.StatusCode, json.Unmarshal(answer, into)
	}
	return resp.StatusCode, nil
}
