package freeport_test

import (
	"net"
	"os/exec"
	"strconv"
	"testing"

	"rekey/shared/emulator/freeport"
)

// A port is free, is no other's, and is none that a system gives by itself. One that is taken is passed over.
func TestNext(t *testing.T) {
	begin, err := strconv.Atoi(freeport.ForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	if begin < 16000 || begin >= 32000 {
		t.Errorf("port %d", begin)
	}
	taken := strconv.Itoa(16000 + (begin+1)%16000)
	if l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", taken)); err == nil { // else another program has it
		defer l.Close()
	}
	next := freeport.ForTest(t)
	if next == taken || next == strconv.Itoa(begin) {
		t.Errorf("port %s after %d", next, begin)
	}
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", next))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// A port is free at once, also where programs start at the time.
func TestNextWhileProgramsStart(t *testing.T) {
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		for range 1000 {
			_ = exec.Command("true").Run() // its exit code does not matter
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-done:
			t.Logf("%d ports", n)
			return
		default:
		}
		port := freeport.ForTest(t)
		c, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			c.Close()
			t.Fatalf("port %s, the %dth, is open", port, n)
		}
	}
}
