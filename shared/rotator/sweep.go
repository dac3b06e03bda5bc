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
	Leased int `json:"leased"` // another pass was at it
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

// Sweep finds what is due and runs a pass for each, the oldest first; one that fails does
// not stop the others. The error is of the look at the index alone.
//
// While a pass is at work the sweep looks again each minute, since the timer does not fire
// before it has ended. After Rules.Pass no pass waits any more: one that would, say for a
// minimum age, ends and leaves that to a later sweep, so that waiting keeps no sweep from
// ending. What is slow keeps it for as long as a lease lasts, at most: what runs the sweep
// has to give it Rules.Pass and Rules.Lease.
func (r *Rotator) Sweep(ctx context.Context) (Swept, error) {
	r.init()
	now := r.now()
	s := &sweep{r: r, active: make(map[string]bool), ended: make(chan struct{}, 1)}
	end := now.Add(r.Rules.Pass + r.Rules.Lease)
	if d, ok := ctx.Deadline(); ok { // whatever runs us stops us then
		end = earlier(end, d.Add(-lastCommit))
	}
	s.common = common{
		signIns: newSignIns(), worker: true, waits: now.Add(r.Rules.Pass), steps: end.Add(-r.Rules.CallTimeout), calls: end,
	}
	err := s.start(ctx)
	for err == nil && s.wait(ctx, relist) {
		if s.r.now().Before(s.steps) {
			err = s.start(ctx)
		}
	}
	s.wait(context.WithoutCancel(ctx), 0) // also after an error: what was started goes on
	if err == nil && r.now().Before(s.waits) {
		r.prune(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("looking for due connections: %w", err)
	}
	return s.swept, err
}

// earlier returns the earlier of two times, of which a zero one is no limit.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

type sweep struct {
	r     *Rotator
	ended chan struct{} // has something in it after a pass ended
	common

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
		if !s.r.now().Before(s.steps) {
			s.late(len(due) - i)
			return failed
		}
		if !s.markActive(d.ID) {
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

func (s *sweep) markActive(id string) bool {
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
	err := s.guarded(ctx, id)
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
func (s *sweep) guarded(ctx context.Context, id string) (err error) {
	defer func() {
		if v := recover(); v != nil { // not printed: it may be anything
			err = fmt.Errorf("a pass ended in a panic of type %T; please report it", v)
		}
	}()
	_, err = s.r.pass(ctx, id, PassOptions{}, s.common)
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
