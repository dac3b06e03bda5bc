package expected_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/expected"
)

// outer is the real t of a test that is looked at from outside.
type outer struct {
	testing.TB // nil: what is not written here must not be called
	failed     bool
	errors     []string
	logs       []string
}

func (o *outer) Helper()      {}
func (o *outer) Failed() bool { return o.failed }

func (o *outer) Logf(format string, args ...any) {
	o.logs = append(o.logs, fmt.Sprintf(format, args...))
}

func (o *outer) Errorf(format string, args ...any) {
	o.failed = true
	o.errors = append(o.errors, fmt.Sprintf(format, args...))
}

func (o *outer) Fatalf(format string, args ...any) {
	o.Errorf(format, args...)
	runtime.Goexit()
}

// mark marks f as a test does, on a goroutine of its own, and returns what it
// panicked with.
func mark(o *outer, f func(expected.TB)) (panicked any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		expected.Failure(o, 7, "it dies", f)
	}()
	<-done
	return panicked
}

func TestAnAssertionThatFailsIsGreenAndLogsItsFirstFailure(t *testing.T) {
	var o outer
	mark(&o, func(t expected.TB) {
		t.Errorf("%d secrets", 5)
		t.Errorf("and more")
	})
	if o.failed {
		t.Errorf("red: %q", o.errors)
	}
	if want := []string{"sequence 7 fails as expected (it dies): 5 secrets"}; !slices.Equal(o.logs, want) {
		t.Errorf("log: %q, want %q", o.logs, want)
	}
}

func TestAnAssertionThatHoldsIsRed(t *testing.T) {
	var o outer
	mark(&o, func(expected.TB) {})
	if len(o.errors) != 1 || !strings.Contains(o.errors[0], "sequence 7 holds now: make this an ordinary test") {
		t.Errorf("errors: %q", o.errors)
	}
}

func TestFatalfStopsTheAssertionAndIsGreen(t *testing.T) {
	var o outer
	after := false
	mark(&o, func(t expected.TB) {
		t.Fatalf("too late")
		after = true
	})
	if after {
		t.Error("the assertion went on after Fatalf")
	}
	if o.failed || len(o.logs) != 1 || !strings.Contains(o.logs[0], "too late") {
		t.Errorf("errors %q, log %q", o.errors, o.logs)
	}
}

func TestAFailureOfThePreparationIsRed(t *testing.T) {
	for name, fail := range map[string]func(*outer){
		"Errorf": func(o *outer) { o.Errorf("no connection") },
		"Fatalf": func(o *outer) { o.Fatalf("no connection") },
	} {
		t.Run(name, func(t *testing.T) {
			var o outer
			mark(&o, func(t expected.TB) {
				t.Errorf("recorded before")
				fail(&o)
			})
			if len(o.errors) != 1 || o.errors[0] != "no connection" {
				t.Errorf("errors: %q", o.errors)
			}
		})
	}
}

func TestAPanicIsARealFailure(t *testing.T) {
	var o outer
	p := mark(&o, func(t expected.TB) {
		t.Errorf("recorded before")
		panic("broken")
	})
	if p != "broken" {
		t.Errorf("the panic became %v", p)
	}
}

func TestFatalfOfAnotherMarkIsNotSwallowed(t *testing.T) {
	var o, inner outer
	mark(&o, func(outside expected.TB) {
		expected.Failure(&inner, 8, "nested", func(expected.TB) { outside.Fatalf("of the outer one") })
		outside.Errorf("not reached")
	})
	if len(inner.logs) != 0 || len(inner.errors) != 0 {
		t.Errorf("the inner mark ended with errors %q, log %q", inner.errors, inner.logs)
	}
	if len(o.logs) != 1 || !strings.Contains(o.logs[0], "of the outer one") {
		t.Errorf("log: %q", o.logs)
	}
}

func TestFailureWorksInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		expected.Failure(t, 7, "it takes an hour", func(t expected.TB) {
			time.Sleep(time.Hour)
			if took := time.Since(start); took >= time.Hour {
				t.Fatalf("it took %s", took)
			}
		})
	})
}
