// Package expected is support for tests: it marks what must hold and does not hold
// yet. Such a test passes as long as its assertion fails, and turns red when the
// assertion starts to hold, so that the repair is noticed and the mark removed.
//
//	synctest.Test(t, func(t *testing.T) {
//		s := prepared(t) // the real t: a broken preparation is red
//		expected.Failure(t, 7, "a removed secret is published again", func(t expected.TB) {
//			if got := s.published(); got != want {
//				t.Errorf("published: %s, want %s", got, want)
//			}
//		})
//	})
//
// To make it an ordinary test, replace the call by the body of its function.
package expected

import "testing"

// TB is the part of testing.TB that an assertion needs. A *testing.T is one, so
// that a function of assertions can take a TB and serve before and after.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Failure runs f, which states what must hold and does not hold yet. The test
// passes when f records a failure, and fails when f records none. The sequence is
// the number of the known defect; why says what today's version does instead.
//
// Only failures that f records on its own TB are expected. A failure on the real
// t, a panic and a Goexit stay what they are. f runs on the caller's goroutine, so
// that Failure works inside a synctest bubble; call it there rather than around
// the bubble. Fatalf belongs on the goroutine of f, like that of a test.
func Failure(t testing.TB, sequence int, why string, f func(TB)) {
	t.Helper()
	r := &recorder{t: t}
	r.run(f)
	switch {
	case t.Failed():
		t.Logf("sequence %d: this test failed outside its expected failure", sequence)
	case r.count() == 0:
		t.Errorf("sequence %d holds now: make this an ordinary test (expected was: %s)", sequence, why)
	default:
		t.Logf("sequence %d fails as expected (%s): %s", sequence, why, r.first())
	}
}
