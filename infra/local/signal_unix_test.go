//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/shared/emulator/freeport"
)

// Ctrl-C ends it as it promises: with exit code 0, and no process and no open port
// left behind.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	here := t.TempDir()
	root, binary, dir, pids := appRoot(t), filepath.Join(here, "local"), filepath.Join(here, "files"), filepath.Join(here, "pids")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, ended := &screen{}, make(chan error, 1)
	cmd := exec.Command(binary, "-root", root, "-dir", dir, "-port", freeport.ForTest(t))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "HANDLER_PIDS="+pids)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	go func() { ended <- cmd.Wait() }()
	out.shows(t, "Ctrl-C stops everything", ended)
	env := demoEnv(t, dir)
	for _, name := range services {
		if !answers(t, env[name]) {
			t.Errorf("%s does not answer at %s", name, env[name])
		}
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v:\n%s", err, out)
		}
	case <-time.After(patience):
		t.Fatalf("it does not end:\n%s", out)
	}
	if !strings.Contains(out.String(), "stopping") {
		t.Errorf("it does not say that it stops:\n%s", out)
	}
	closed(t, env)
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	started := bytes.Fields(data)
	if len(started) != 1 {
		t.Errorf("the handler was started %d times", len(started))
	}
	for _, line := range started {
		pid, err := strconv.Atoi(string(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the handler, process %d, is still there: %v", pid, err)
		}
	}
}
