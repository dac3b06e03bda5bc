package rotator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// Swept is what a sweep did.
type Swept struct {
	Due    int `json:"due"`    // connections and inventories that were due
	Passes int `json:"passes"` // passes that ran to their end
	Leased int `json:"leased"` // another pass was at it
	Failed int `json:"failed"` // passes that the store stopped
	Late   int `json:"late"`   // left to the next sweep, for want of time
	Scans  int `json:"scans"`  // passes over inventories of tenants that ran to their end
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
	s.scans = earlier(s.waits, s.steps)
	err := s.start(ctx)
	for err == nil && s.wait(ctx, relist) {
		if s.r.now().Before(s.steps) {
			err = s.start(ctx)
		}
		if err == nil && r.now().Before(s.waits) { // a pass may be at work at any time
			r.prune(ctx)
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
	scans time.Time     // passes over inventories end before
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
	inventories := s.inventories(&due)
	if s.r.Observer != nil && failed == nil {
		s.r.Observer.Due(s.r.now(), due)
	}
	s.startScans(ctx, inventories)
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
	err := guarded(func() error {
		_, err := s.r.pass(ctx, id, PassOptions{}, s.common)
		return err
	})
	s.r.rest()
	if stopped(err) {
		s.r.log().Error("pass stopped", "connection", id, "reason", err.Error())
	}
	s.count(id, &s.swept.Passes, err)
}

// inventories takes the tenants out of what is due.
func (s *sweep) inventories(due *[]index.Due) (tenants []string) {
	*due = slices.DeleteFunc(*due, func(d index.Due) bool {
		tenantID, ok := inventory.ParseDueID(d.ID)
		if ok {
			tenants = append(tenants, tenantID)
		}
		return ok
	})
	return tenants
}

// startScans starts a pass for each tenant. They hold no worker, so that no rotation waits for
// a scan. They end when passes over connections wait no more.
func (s *sweep) startScans(ctx context.Context, tenants []string) {
	for _, tenantID := range tenants {
		id := inventory.DueID(tenantID)
		switch {
		case s.r.Inventory == nil:
		case !s.r.now().Before(s.scans):
			s.late(1)
		case s.markActive(id):
			go s.scan(ctx, id, tenantID)
		}
	}
}

func (s *sweep) scan(ctx context.Context, id, tenantID string) {
	err := guarded(func() error { return s.r.Inventory.Pass(ctx, tenantID, s.scans) })
	if stopped(err) {
		s.r.log().Error("scan stopped", "tenant", tenantID, "reason", err.Error())
	}
	s.count(id, &s.swept.Scans, err)
}

// count notes how the pass with that id ended; done counts those that ran to their end.
func (s *sweep) count(id string, done *int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.active, id)
	select {
	case s.ended <- struct{}{}:
	default:
	}
	switch {
	case stopped(err):
		s.swept.Failed++
	case leased(err):
		s.swept.Leased++
	default:
		*done++
	}
}

func leased(err error) bool { return errors.Is(err, ErrLeased) || errors.Is(err, ErrLeaseLost) }

// stopped reports whether a pass ended because the store failed it.
func stopped(err error) bool {
	return err != nil && !leased(err) && !errors.Is(err, serviceerror.ErrNotFound)
}

// guarded runs one pass so that a mistake of ours in it ends nothing else: the others go
// on, and what it was about is tried again when its lease is over.
func guarded(pass func() error) (err error) {
	defer func() {
		if v := recover(); v != nil { // not printed: it may be anything
			err = fmt.Errorf("a pass ended in a panic of type %T; please report it", v)
		}
	}()
	return pass()
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
