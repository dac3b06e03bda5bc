package rotationtest

import "testing"

// Sample reports whether the i-th case of an exhaustive test is to be played. Every one
// is, but under the race detector: there all cases run the same code ten times slower, and
// the thousandth finds no other race than those before. So one in ten is played. A test
// asks this itself, not by a helper: the Makefile finds it by that, and runs it once more
// without the race detector.
func Sample(i int) bool { return !Raced || i%10 == 0 }

// PlainOnly skips a test under the race detector: what it does comes one after the other, or happens
// in another process, so that there is nothing to see for much time. As for [Sample], the test itself asks.
func PlainOnly(t testing.TB) {
	t.Helper()
	if Raced {
		t.Skip("runs without the race detector only")
	}
}
