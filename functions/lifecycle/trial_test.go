package lifecycle_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// trial is a test whose failures are only remembered.
type trial struct {
	testing.TB
	mu     sync.Mutex
	failed []string
}

func (t *trial) fail(message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, message)
}

func (t *trial) Error(args ...any)                 { t.fail(fmt.Sprint(args...)) }
func (t *trial) Errorf(format string, args ...any) { t.fail(fmt.Sprintf(format, args...)) }
func (t *trial) Fail()                             { t.fail("failed") }
func (t *trial) FailNow()                          { t.fail("failed"); runtime.Goexit() }
func (t *trial) Fatal(args ...any)                 { t.fail(fmt.Sprint(args...)); runtime.Goexit() }
func (t *trial) Fatalf(format string, args ...any) {
	t.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (t *trial) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failed) > 0
}

// try runs step on a world of its own that shares everything with w, and returns what failed.
func try(w *world, step func(w *world)) []string {
	t := &trial{TB: w.TB}
	aside := *w
	aside.TB = t
	done := make(chan struct{})
	go func() {
		defer close(done)
		step(&aside)
	}()
	<-done
	return t.failed
}

// expectedToFail runs a step that says what must hold and does not hold today, and why. Once
// it holds, the test fails: then the step stands here without this wrapper.
func expectedToFail(w *world, why string, step func(w *world)) {
	w.Helper()
	failed := try(w, step)
	if len(failed) == 0 {
		w.Errorf("it holds now: take expectedToFail away from what said %q", why)
		return
	}
	w.Logf("fails as expected (%s): %s", why, failed[0])
}

// A step that begins to pass turns the test red, and one that fails does not.
func TestExpectedToFail(t *testing.T) {
	for name, c := range map[string]struct {
		step func(w *world)
		want int // failures of the test itself
	}{
		"fails":      {func(w *world) { w.Errorf("wrong") }, 0},
		"stops":      {func(w *world) { w.Fatal("wrong") }, 0},
		"passes now": {func(*world) {}, 1},
	} {
		got := try(&world{TB: t}, func(w *world) { expectedToFail(w, "not built yet", c.step) })
		if len(got) != c.want {
			t.Errorf("%s: failures %q, want %d", name, got, c.want)
		}
	}
}
