package auth_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"rekey/shared/auth"
)

var noon = time.Date(2031, time.May, 4, 12, 0, 0, 0, time.UTC)

// allowed counts how many of n requests at one moment are let through.
func allowed(l *auth.Limiter, caller string, write bool, now time.Time, n int) (count int) {
	for range n {
		if _, ok := l.Allow(caller, write, now); ok {
			count++
		}
	}
	return count
}

func TestLimits(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{})
	if n := allowed(l, "ci", false, noon, 1000); n != 600 {
		t.Errorf("%d reads at once, want 600", n)
	}
	if n := allowed(l, "ci", true, noon, 1000); n != 120 {
		t.Errorf("%d writes at once after all those reads, want 120", n)
	}
	if n := allowed(l, "dashboard", false, noon, 1000); n != 600 {
		t.Errorf("%d reads of another caller, want 600", n)
	}
	// What was refused has cost nothing: a second brings back its share.
	if n := allowed(l, "ci", false, noon.Add(time.Second), 1000); n != 10 {
		t.Errorf("%d reads a second later, want 10", n)
	}
	if n := allowed(l, "ci", true, noon.Add(time.Minute), 1000); n != 120 {
		t.Errorf("%d writes a minute later, want 120", n)
	}
	custom := auth.NewLimiter(auth.Limits{Reads: 3, Writes: 2, Unknown: 1})
	if r, w := allowed(custom, "ci", false, noon, 9), allowed(custom, "ci", true, noon, 9); r != 3 || w != 2 {
		t.Errorf("%d reads and %d writes, want 3 and 2", r, w)
	}
}

// Who waits as long as told is let through, and not before.
func TestRetryAfter(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{Writes: 6}) // one in ten seconds
	if retry, ok := l.Allow("ci", true, noon); !ok || retry != 0 {
		t.Errorf("first: %s, %v", retry, ok)
	}
	allowed(l, "ci", true, noon, 5)
	retry, ok := l.Allow("ci", true, noon.Add(4*time.Second))
	if ok || retry != 6*time.Second {
		t.Errorf("seventh: wait %s, %v; want 6s", retry, ok)
	}
	if _, ok := l.Allow("ci", true, noon.Add(9*time.Second)); ok {
		t.Error("let through before the time")
	}
	if _, ok := l.Allow("ci", true, noon.Add(4*time.Second+retry)); !ok {
		t.Error("not let through at the time")
	}
}

func TestUnknown(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{})
	count := 0
	for range 1000 {
		if _, ok := l.AllowUnknown(noon); ok {
			count++
		}
	}
	if count != 300 {
		t.Errorf("%d of unknown callers, want 300", count)
	}
	if retry, ok := l.AllowUnknown(noon); ok || retry <= 0 {
		t.Errorf("then: wait %s, %v", retry, ok)
	}
	if _, ok := l.Allow("ci", true, noon); !ok {
		t.Error("unknown callers use up what known callers have")
	}
}

// However many callers there are, the memory is bounded; those whom there is no
// room for share one count, and everybody has their own again when others are gone.
func TestManyCallers(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{Reads: 2})
	for i := range 10_000 {
		if _, ok := l.Allow(fmt.Sprint("caller ", i), false, noon); !ok {
			t.Fatalf("caller %d is refused", i)
		}
	}
	count := 0
	for i := range 100 {
		count += allowed(l, fmt.Sprint("one too many ", i), false, noon, 1)
	}
	if count != 2 {
		t.Errorf("%d of those too many, want 2 together", count)
	}
	if n := allowed(l, "caller 7", false, noon, 9); n != 1 {
		t.Errorf("%d of a caller from before, want the 1 that is left", n)
	}
	if n := allowed(l, "one too many 1", false, noon.Add(time.Minute), 9); n != 2 {
		t.Errorf("%d a minute later, want 2", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	l := auth.NewLimiter(auth.Limits{})
	var all sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 10 {
		all.Go(func() {
			n := allowed(l, "ci", false, noon, 100)
			l.AllowUnknown(noon)
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	all.Wait()
	if total != 600 {
		t.Errorf("%d reads, want 600", total)
	}
}
