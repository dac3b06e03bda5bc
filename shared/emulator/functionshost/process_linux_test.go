package functionshost_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"rekey/shared/emulator/functionshost"
)

func init() { otherRoles["host"] = playHost }

// playHost is a process that runs a host over the app root in its working
// directory, until it is killed.
func playHost() {
	h, err := functionshost.New(functionshost.Config{
		Root: ".", Addr: "127.0.0.1:0", Env: []string{roleVariable + "=well"}, Stdout: os.Stdout,
	})
	if err != nil {
		panic(err)
	}
	if err := h.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	<-h.Done()
}

func TestHandlerDiesWithTheHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = stage(t, app(nil))
	cmd.Env = []string{roleVariable + "=host"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, port int
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		_, _ = fmt.Sscanf(lines.Text(), "handler well, pid %d, port %d", &pid, &port)
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("the handler's process group is %d, %v, want its own: %d", group, err, pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return // nothing listens any more
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("the handler outlived its host")
		}
	}
}
