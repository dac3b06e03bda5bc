package simulation

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"strings"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// errDead is what every call answers a process that has crashed.
var errDead = errors.New("this process is dead")

// call is one call of a service.
type call struct {
	op    string // "vault.publish"
	by    string // on whose behalf
	on    string // what it is about: the name of a secret, a client id, a connection's id
	id    string // the connection for which it is made, where that is known
	keyID string
	read  bool
	loose bool // applies itself in several calls
	value secret.Value
}

// draw is a hash of the history's seed, the instant and what is asked for. It does not
// depend on the order in which goroutines draw.
func (w *scene) draw(parts ...any) uint64 {
	const prime = 1099511628211
	h := mix(w.h.Seed) ^ mix(uint64(time.Since(w.began)))
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
		h = (h ^ '|') * prime
	}
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			add(v)
		default:
			add(fmt.Sprint(v))
		}
	}
	return mix(h)
}

// mix spreads the bits of a hash, whose last ones are weak.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// callerKey is the key of a context's value that says on whose behalf calls are made. Two
// requests may make the same call at the same instant, one of them woken by the other; what
// becomes of each must not depend on which of the two is faster.
type callerKey struct{}

// onBehalf returns ctx for a request or a sweep.
func onBehalf(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// do carries out a call of p: it takes its time, may be refused by the weather, and may
// fail in the way of a fault.
func do[T any](ctx context.Context, p *process, c call, apply func(context.Context) (T, error)) (got T, err error) {
	w := p.w
	c.by, _ = ctx.Value(callerKey{}).(string)
	defer func() { w.note(p, c.by, c.op, c.on, c.keyID, word(err)) }()
	if err := w.travel(ctx, p, c); err != nil {
		return got, err
	}
	if err := w.refusal(c); err != nil {
		return got, err
	}
	lost := &serviceerror.Error{Op: "calling", Class: serviceerror.Transient, Status: 504, UnknownOutcome: !c.read}
	f, faulty := w.take(c)
	if !faulty {
		return applied(ctx, p, c, false, apply)
	}
	switch f.Mode {
	case "applied":
		applied(ctx, p, c, false, apply)
		return got, lost
	case "late":
		detached := context.WithoutCancel(ctx)
		w.sent(p, c, ctx)
		w.group.Go(func() {
			time.Sleep(f.For)
			_, err := applied(detached, p, c, true, apply)
			w.note(p, c.by, c.op, c.on, c.keyID, "late: "+word(err))
		})
	case "crash-before":
		w.crash(p)
		return got, errDead
	case "crash-after":
		applied(ctx, p, c, false, apply)
		w.crash(p)
		return got, errDead
	}
	if f.N%2 == 0 { // the caller waits for an answer until it has no more patience
		t := time.NewTimer(2 * minute)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return got, lost
}

// applied lets a call reach the service, and checks the promises.
func applied[T any](ctx context.Context, p *process, c call, late bool, apply func(context.Context) (T, error)) (got T, err error) {
	w := p.w
	if !late {
		w.sent(p, c, ctx)
	}
	if c.loose {
		return apply(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.world.Directory.Propagation = w.propagation(p, c)
	got, err = apply(ctx)
	if !c.read {
		w.after(p, c, err, late)
	} else if c.op == "entra.token" && err == nil {
		w.proven[c.value] = append(w.proven[c.value], proof{p, time.Now()})
	}
	return got, err
}

// travel is the time that a call takes. No two calls end at the same instant.
func (w *scene) travel(ctx context.Context, p *process, c call) error {
	x := w.draw("travel", p.name, c.by, c.op, c.on, c.keyID)
	took := 12*time.Millisecond + time.Duration(x%60_000_000)
	if x>>40%160 == 0 { // a slow one
		took += time.Duration(x >> 20 % 27_000_000_000)
	}
	t := time.NewTimer(took)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return &serviceerror.Error{Op: "calling", Class: serviceerror.Transient, UnknownOutcome: true}
	}
	if p.isDead() || w.tired() {
		return errDead
	}
	return nil
}

// take returns the fault of a call, if it is its turn.
func (w *scene) take(c call) (f Action, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, a := range w.armed {
		if a.What != c.op {
			continue
		}
		if w.passed[i]++; w.passed[i] <= a.N {
			continue
		}
		w.armed = append(w.armed[:i:i], w.armed[i+1:]...)
		w.passed = append(w.passed[:i:i], w.passed[i+1:]...)
		w.disturb(2*minute + a.For)
		w.trace("fault %s %s", a.What, a.Mode)
		return a, true
	}
	return f, false
}

// propagation is how old what a read shows may be: another age for each, as with
// replicas of which each is behind by its own.
func (w *scene) propagation(p *process, c call) time.Duration {
	lag := w.h.Lag
	if w.raining("lag", "") {
		lag = 10 * minute
	}
	return 2*time.Second + time.Duration(w.draw("replica", p.name, c.by, c.op, c.on)%uint64(lag))
}

// note adds a call and its result to the trace.
func (w *scene) note(p *process, what ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace("%s %s", p.name, strings.Join(what, " "))
}

// trace adds a line. The lock is held.
func (w *scene) trace(format string, args ...any) {
	if w.calls++; w.calls == mostCalls+1 {
		close(w.cut)
	}
	line := fmt.Sprintf("%s ", time.Since(w.began)) + fmt.Sprintf(format, args...)
	fmt.Fprintln(w.sum, line)
	if w.lines != nil {
		w.lines(line)
	}
}

// disturb says that Rekey can't be expected to work for d from now on. The lock is held.
func (w *scene) disturb(d time.Duration) {
	if until := time.Now().Add(d); until.After(w.calmFrom) {
		w.calmFrom = until
	}
}

// calm reports whether nothing has disturbed Rekey for d. The lock is held.
func (w *scene) calm(d time.Duration) bool { return time.Since(w.calmFrom) >= d }

func newSum() hash.Hash64 { return fnv.New64a() }
