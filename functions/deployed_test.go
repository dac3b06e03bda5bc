package functions_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/emulator/functionshost"
	"rekey/shared/emulator/stack"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// raced are the tests that the race detector sees, unless the command says which: in them several
// things happen at once, to each part of the API at least. All 140 take a minute with it, and most
// are one request after the other through the same code.
const raced = "^Test(" +
	"ConcurrentSecretRotations|Console|ConsoleSignInDuringAFlood|ConnectingByOAuth|CertificateConnectionRotates|" +
	"EndlessFilesAreRefused|ExpiryByOAuth|FloodOf.*|IdempotencyKey|Inventory|KeyRollover|LargeBodiesAreAnswered|" +
	"ManySecretRotationsAtOnce|NothingIsHeldDuringACall|OneOfTwoCreationsWins|Overview|PagesOfLists|" +
	"RefusalDuringRotation|RefusedRotations|RequestSentTwice|RotationSentTwice|Scans|SecretRotationTwice|StalledBodies|" +
	"Targets|TraceOfARotation)$"

func TestMain(m *testing.M) {
	flag.Parse()
	if run := flag.Lookup("test.run"); rotationtest.Raced && run.Value.String() == "" {
		run.Value.Set(raced)
	}
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		parallel.Value.Set("8") // more than there are processors: most of the time they wait
	}
	code := m.Run()
	if stagedRoot != "" {
		os.RemoveAll(stagedRoot)
	}
	os.Exit(code)
}

// staged is the app root as it is deployed: made once, by the Makefile itself, so
// that what is tested is what is shipped. The host does not tell the process id of the
// handler; so in its place there is a script that adds that to the file HANDLER_PIDS
// and becomes the handler.
//
// All tests share this root. A copy for each could not be relied on: while one is
// written another test may start a process, which for a moment has the file open as
// well, and what is open for writing can't be executed (golang/go#22315).
var staged = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rekey-stage-")
	if err != nil {
		return "", err
	}
	stagedRoot = dir
	root := filepath.Join(dir, "app")
	make := exec.Command("make", "stage", "ROOT="+root, "VERSION=test")
	make.Dir = ".."
	// A make that runs the tests says in these what it was told itself.
	make.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS") })
	if out, err := make.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make stage: %w\n%s", err, out)
	}
	handler := filepath.Join(root, "handler")
	script := "#!/bin/sh\necho $$ >>\"$HANDLER_PIDS\"\nexec '" + handler + "-itself'\n"
	return root, errors.Join(os.Rename(handler, handler+"-itself"), os.WriteFile(handler, []byte(script), 0o755))
})

var stagedRoot string // to be removed

// deployed is the real handler under the Functions host, on services of its own.
type deployed struct {
	*testing.T
	*client
	host *functionshost.Host
	mode functionshost.Mode
	root string
	pids string // a file with the handler's process id, one line for each start
	env  []string

	records connection.Records // as the handler has them
	killed  time.Time

	mu    sync.Mutex
	ticks []functionshost.Invocation
}

// lease and the time of calls are long enough for a machine that is busy. When a handler
// is killed they are not waited for, see bury.
const lease = time.Minute

var leases = settings{"REKEY_LEASE": lease.String(), "REKEY_SKEW": "500ms", "REKEY_CALL_TIMEOUT": "10s"}

func deploy(t *testing.T, mode functionshost.Mode) *deployed {
	t.Helper()
	root, err := staged()
	if err != nil {
		t.Fatal(err)
	}
	services, watch := newStack(t, stack.Config{Propagation: 300 * time.Millisecond})
	keys, entries := newKeys(t, watch)
	d := &deployed{
		T: t, mode: mode, root: root, pids: filepath.Join(t.TempDir(), "pids"),
		client: &client{t: t, keys: keys, watch: watch, stack: services},
	}
	env := environment(services, keys, entries, leases)
	d.env = append(d.env, "HANDLER_PIDS="+d.pids)
	for name, value := range env {
		d.env = append(d.env, name+"="+value)
	}
	c, err := config.Load(env.lookup)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := app.New(c, slog.New(slog.NewJSONHandler(watch, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d.records = beside.Connections.Records
	d.start()
	t.Cleanup(func() { d.host.Stop() })
	return d
}

func (d *deployed) start() {
	d.Helper()
	var err error
	d.host, err = functionshost.New(functionshost.Config{
		Root: d.root, Addr: "127.0.0.1:0", Env: d.env, Stdout: d.watch, Mode: d.mode,
		Log: slog.New(slog.NewJSONHandler(d.watch, nil)), Invoked: d.invoked,
	})
	if err == nil {
		err = d.host.Start(d.Context())
	}
	if err != nil {
		d.Fatal(err)
	}
	d.url = "http://" + d.host.Addr()
}

func (d *deployed) invoked(i functionshost.Invocation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ticks = append(d.ticks, i)
}

// kill ends the handler that runs now as the machine's end would: SIGKILL.
func (d *deployed) kill() {
	data, err := os.ReadFile(d.pids)
	if err != nil {
		d.Error(err)
		return
	}
	lines := bytes.Fields(data)
	pid, err := strconv.Atoi(string(lines[len(lines)-1]))
	if err != nil {
		d.Error(err)
		return
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		d.Error(err)
	}
	d.killed = time.Now()
}

// bury is for the handler that was killed: the leases are its own that it took before.
func (d *deployed) bury() {
	d.Helper()
	before := func(l rotation.Lease) bool { return l.Until.Before(d.killed.Add(lease)) }
	if err := rotationtest.Bury(d.Context(), d.records, time.Now(), before); err != nil {
		d.Error(err)
	}
}

// starts is how often the handler was started.
func (d *deployed) starts() int {
	data, err := os.ReadFile(d.pids)
	if err != nil {
		d.Error(err)
	}
	return bytes.Count(data, []byte("\n"))
}

// eventually waits until done, and fails the test with the log if that takes longer
// than anything here may.
func (d *deployed) eventually(what string, done func() bool) {
	d.Helper()
	const patience = 5 * time.Minute
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			d.Fatalf("not within %s: %s\n%s", patience, what, d.watch.Log())
		}
	}
}

// What a deployment must be told and is not is said by the handler all at once, and
// it does not start; no value is repeated.
func TestHandlerNamesEveryMistake(t *testing.T) {
	t.Parallel()
	unixOnly(t)
	root, err := staged()
	if err != nil {
		t.Fatal(err)
	}
	const hidden = "do-not-repeat-me-8Q~"
	for name, c := range map[string]struct {
		env  settings
		says []string
	}{
		"not under a host": {nil, []string{"FUNCTIONS_CUSTOMHANDLER_PORT", "make run"}},
		"nothing set": {settings{"FUNCTIONS_CUSTOMHANDLER_PORT": "1"},
			[]string{"REKEY_TABLE_SERVICE: is required", "REKEY_KEY_VAULT_URL: is required"}},
		"much wrong": {settings{
			"FUNCTIONS_CUSTOMHANDLER_PORT": "1", "REKEY_TABLE_SERVICE": "https://t.table.core.windows.net",
			"REKEY_KEY_VAULT_URL": "http://v.vault.azure.net",
			"REKEY_DEPLOYMENT":    "Production", "REKEY_API_KEYS": hidden, "AZURE_CLIENT_SECRET": hidden, "REKEY_LEASE": "1s",
		}, []string{"REKEY_KEY_VAULT_URL: ", "REKEY_DEPLOYMENT: ", "REKEY_API_KEYS: entry 1", "AZURE_CLIENT_SECRET: ", "REKEY_LEASE: "}},
	} {
		handler := exec.Command(filepath.Join(root, "handler-itself"))
		handler.Env = []string{}
		for _, k := range slices.Sorted(maps.Keys(c.env)) {
			handler.Env = append(handler.Env, k+"="+c.env[k])
		}
		out, err := handler.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
			t.Errorf("%s: the handler ended with %v, want exit code 1", name, err)
		}
		for _, words := range c.says {
			if !strings.Contains(string(out), words) {
				t.Errorf("%s: the handler does not say %q: %s", name, words, out)
			}
		}
		if strings.Contains(string(out), hidden) {
			t.Errorf("%s: a value shows in %s", name, out)
		}
	}
}
