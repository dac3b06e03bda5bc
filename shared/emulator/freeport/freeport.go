// Package freeport finds ports for programs that have to be told one before they listen.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

// The ports are below those that systems give to outgoing connections and to listeners without a port of their own
// (Linux: from 32768 on; macOS and Windows: from 49152 on): nothing keeps a port free until the program has it, and
// there each connection of another test might take it.
const (
	first = 16000
	count = 16000
)

// last counts on from a random place, so that programs that start at once, also those of other processes, do not get
// the same port.
var last atomic.Uint32

func init() {
	last.Store(rand.Uint32N(count))
	// With its first program Go tries once how it can watch processes, by a fork that heeds no lock (see Check). It does so
	// here, before there is a listener.
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Release()
	}
}

// Next returns a port of 127.0.0.1 on which nothing listens, another one each time.
func Next() (string, error) {
	var err error
	for range 100 {
		port := strconv.Itoa(first + int(last.Add(1)%count))
		if err = Check(port); err == nil {
			return port, nil
		}
	}
	return "", fmt.Errorf("finding a free port: %w", err)
}

// Check returns why a program can't listen on a port of 127.0.0.1, or nil. No program starts meanwhile: between fork
// and exec it would have a copy of the listener, and the port would be taken for some milliseconds more.
func Check(port string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	return l.Close()
}

// ForTest is Next for a test.
func ForTest(t testing.TB) string {
	t.Helper()
	port, err := Next()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
