package freeport_test

import (
	"net"
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
