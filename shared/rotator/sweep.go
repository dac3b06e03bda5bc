package rotator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rekey/shared/serviceerror"
)

// Swept is what a sweep did.
type Swept struct {
	Due    int `json:"due"`    // connections that were due
	Passes int `json:"passes"` // passes that ran to their end
	Leased int `json:"leased"` // somebody else was at it
	Failed int `json:"failed"` // passes that the store stopped
	Late   int `json:"late"`   // left to the next sweep, for want of time
}

// sweepLimit bounds what one look at the index may bring into memory. What is
// beyond it is found by the next look.
const sweepLimit = 20_000

// relist is how often a sweep that is still waiting for its passes looks again for
// what has become due: a timer does not fire while its last invocation runs.
const relist = time.Minute

// lastCommit is what a pass gets to give its lease back before the deadline of
// whatever runs the sweep.
const lastCommit = 5 * time.Second

// Sweep finds what is due and runs a pass for each, the oldest first. It starts
// passes for as long as Rules.Pass says and then waits for the last one; one that
// fails does not stop the others. The error is of the look at the
// index alone.
func (r *Rotator) Sweep(ctx context.Context) (Swept, error) {
	r.init()
	s := &sweep{r: r, until: r.now().Add(r.Rules.Pass), active: make(map[string]bool), ended: make(chan struct{}, 1), signIns: newSignIns()}
	if d, ok := ctx.Deadline(); ok { // leave the passes time to end
		if end := d.Add(-r.Rules.CallTimeout); end.Before(s.until) {
			s.until = end
		}
	}
	err := s.start(ctx)
	for err == nil && s.wait(ctx, relist) {
		if s.r.now().Before(s.until) {
			err = s.start(ctx)
		}
	}
	s.wait(context.WithoutCancel(ctx), 0) // also after an error: what was started goes on
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("looking for due connections: %w", err)
	}
	return s.swept, err
}

type sweep struct {
	r     *Rotator
	until time.Time
	ended chan struct{} // has something in it after a pass ended

	signIns *signIns

	mu     sync.Mutex
	active map[string]bool
	swept  Swept
}

// start looks at the index once and starts a pass for each entry.
func (s *sweep) start(ctx context.Context) error {
	cctx, cancel := context.WithTimeout(ctx, s.r.Rules.CallTimeout)
	due, failed := s.r.Store.Due(cctx, s.r.now(), sweepLimit) // a part of the index may have answered
	cancel()
	if s.r.Observer != nil && failed == nil {
		s.r.Observer.Due(s.r.now(), due)
	}
	for i, d := range due {
		if !s.r.now().Before(s.until) {
			s.late(len(due) - i)
			return failed
		}
		if !s.claim(d.ID) {
			continue
		}
		if err := s.r.work(ctx); err != nil {
			s.drop(d.ID)
			return err
		}
		go s.pass(ctx, d.ID)
	}
	return failed
}

func (s *sweep) claim(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[id] {
		return false
	}
	s.active[id] = true
	s.swept.Due++
	return true
}

func (s *sweep) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, id)
}

func (s *sweep) late(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept.Late += n
}

// pass runs one pass; a worker is held for it.
func (s *sweep) pass(ctx context.Context, id string) {
	var opts PassOptions
	if d, ok := ctx.Deadline(); ok { // whatever runs us stops us then: the last commit has to be made before
		if end := d.Add(-lastCommit); end.Before(s.r.now().Add(s.r.Rules.Pass)) {
			opts.Until = end
		}
	}
	err := s.guarded(ctx, id, opts)
	s.r.rest()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, id)
	select {
	case s.ended <- struct{}{}:
	default:
	}
	switch {
	case err == nil, errors.Is(err, serviceerror.ErrNotFound):
		s.swept.Passes++
	case errors.Is(err, ErrLeased), errors.Is(err, ErrLeaseLost):
		s.swept.Leased++
	default:
		s.swept.Failed++
		s.r.log().Error("pass stopped", "connection", id, "reason", err.Error())
	}
}

// guarded runs one pass so that a mistake of ours in it ends nothing else: the others go
// on, and the connection is tried again when its lease is over.
func (s *sweep) guarded(ctx context.Context, id string, opts PassOptions) (err error) {
	defer func() {
		if v := recover(); v != nil { // not printed: it may be anything
			err = fmt.Errorf("a pass ended in a panic of type %T; please report it", v)
		}
	}()
	_, err = s.r.pass(ctx, id, opts, s.signIns)
	return err
}

// wait waits until every pass has ended (false), or for at most d if that is not 0
// (true).
func (s *sweep) wait(ctx context.Context, d time.Duration) bool {
	var again <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		again = t.C
	}
	for {
		s.mu.Lock()
		n := len(s.active)
		s.mu.Unlock()
		if n == 0 {
			return false
		}
		select {
		case <-s.ended:
		case <-again:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
