package expected

import (
	"fmt"
	"sync"
	"testing"
)

// stop is what Fatalf panics with to end f.
type stop struct{ r *recorder }

// recorder is the TB that keeps failures to itself.
type recorder struct {
	t testing.TB

	mu       sync.Mutex
	failures []string
}

// run runs f and ends with it, or with its Fatalf. Every other panic goes on.
func (r *recorder) run(f func(TB)) {
	defer func() {
		if p := recover(); p != nil && p != (stop{r}) {
			panic(p)
		}
	}()
	f(r)
}

func (r *recorder) Helper() { r.t.Helper() }

func (r *recorder) Logf(format string, args ...any) {
	r.t.Helper()
	r.t.Logf(format, args...)
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stop{r})
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures)
}

func (r *recorder) first() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures[0]
}
