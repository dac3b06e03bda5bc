package rotationtest

import (
	"context"
	"time"

	"rekey/shared/serviceerror"
)

// hooks are what a test does to calls of the ports. An operation is named as in
// [World.Writes]; reads have names of the same form, such as "graph.token" and
// "vault.get". With a space and the name of a vault secret or the id of an
// application or record after it, it is that one's only.
type hooks struct {
	before map[string]func()
	slow   map[string]time.Duration
	late   map[string]late
	refuse map[string]error
	calls  map[string]int
}

// Calls returns how many calls there were of each operation since it was asked last.
func (w *World) Calls() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.hooks.calls
	w.hooks.calls = nil
	return calls
}

// late is how a write is late.
type late struct {
	after    time.Duration
	timedOut chan struct{}
}

// Before runs fn before the next call of op, on the caller's goroutine and without
// a lock. fn may make calls of its own and arm itself again.
func (w *World) Before(op string, fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	put(&w.hooks.before, op, fn)
}

// Slow makes every call of op take d; 0 takes that back. The caller may give up
// before, as with any slow service.
func (w *World) Slow(op string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	put(&w.hooks.slow, op, d)
}

// Late lets the next write op time out for its caller and land that much later.
// What becomes of it then is not reported. The channel is closed when its caller
// has given up.
func (w *World) Late(op string, after time.Duration) (timedOut <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := late{after, make(chan struct{})}
	put(&w.hooks.late, op, l)
	return l.timedOut
}

// Refuse answers every call of op with err; nil takes that back.
func (w *World) Refuse(op string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	put(&w.hooks.refuse, op, err)
}

func put[V any](m *map[string]V, op string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[op] = v
}

// hook finds what is armed for a call, for all or for the one that it is about.
func hook[V any](m map[string]V, op, on string) (key string, v V, ok bool) {
	for _, key := range []string{op + " " + on, op} {
		if v, ok := m[key]; ok {
			return key, v, true
		}
	}
	return "", v, false
}

// arrive runs what is armed for the begin of a call, and lets it take its time.
func (p port) arrive(ctx context.Context, op, on string) error {
	w := p.w
	w.mu.Lock()
	put(&w.hooks.calls, op, w.hooks.calls[op]+1)
	key, fn, armed := hook(w.hooks.before, op, on)
	delete(w.hooks.before, key)
	_, latency, slow := hook(w.hooks.slow, op, on)
	_, refusal, _ := hook(w.hooks.refuse, op, on)
	w.mu.Unlock()
	if armed {
		fn()
	}
	if !slow || latency == 0 {
		latency = w.Latency
	}
	if err := wait(ctx, latency); err != nil {
		return err
	}
	return refusal
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 { // the caller has waited already
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &serviceerror.Error{Op: "calling", Class: serviceerror.Transient, UnknownOutcome: true}
	}
}

// longest is how long a late write keeps a caller that set no time-out.
const longest = time.Minute

// delay takes a late write over, if op is to be one: its caller waits in vain, and it
// lands after that. It is on its way already, so that it does not matter any more
// whether the process that sent it lives.
func (p port) delay(ctx context.Context, op, on string, apply func() error) error {
	w := p.w
	w.mu.Lock()
	key, l, armed := hook(w.hooks.late, op, on)
	delete(w.hooks.late, key)
	w.mu.Unlock()
	if !armed {
		return nil
	}
	_ = wait(ctx, longest)
	close(l.timedOut)
	go func() {
		time.Sleep(l.after)
		w.mu.Lock()
		defer w.mu.Unlock()
		_ = apply()
		w.check(op + ", which landed late")
	}()
	return &serviceerror.Error{Op: op, Class: serviceerror.Transient, UnknownOutcome: true}
}
