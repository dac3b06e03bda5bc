package rotator

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"rekey/shared/rotation"
)

var (
	// ErrLeased says that another pass works on the connection.
	ErrLeased = errors.New("another pass is working on this connection")
	// ErrLeaseLost says that the lease went to another pass meanwhile. The pass
	// stops and undoes nothing (promise P5).
	ErrLeaseLost = errors.New("the lease was lost to another pass")
	// errNoTime says that the next call might not end in time. The rest is the
	// next pass's.
	errNoTime = errors.New("no time left in this pass")
)

// Rotator does what [rotation.Rules.Plan] decides. It is safe for concurrent use; its
// fields are set once, before the first pass. Store, Vault, Authority and Directory
// are required.
type Rotator struct {
	Store     Store
	Vault     Vault
	Authority Authority
	Directory Directory

	Actors   Actors   // required for connections that authenticate with something else than what they rotate
	Pacer    Pacer    // nil: writes are not paced
	History  Pruner   // nil: history is kept for ever
	Observer Observer // nil: none

	// Inventory gets what is due of the inventories of tenants; nil: that is left as it is.
	Inventory Inventory

	Rules      rotation.Rules
	Deployment string // in markers and tags

	Log *slog.Logger     // nil: slog.Default()
	Now func() time.Time // nil: time.Now
	ID  func() string    // ids of leases, commits, runs and attempts; nil: random. At least 10 characters of [A-Z0-9a-z]

	// Parallel is how many connections sweeps work on at once; 0: 64. One that waits does
	// not count, and neither does that of a request, whose caller waits for it.
	Parallel int

	once    sync.Once
	workers chan struct{}

	mu      sync.Mutex
	waiting map[string]chan struct{} // by connection id; closed by Nudge
	pruneAt time.Time                // when old history is looked for next
}

func (r *Rotator) now() time.Time {
	if r.Now != nil {
		return r.Now().UTC()
	}
	return time.Now().UTC()
}

// Clock returns the current time as the rotator sees it, in UTC.
func (r *Rotator) Clock() time.Time { return r.now() }

// NewID returns a fresh id.
func (r *Rotator) NewID() string {
	if r.ID != nil {
		return r.ID()
	}
	return rand.Text()
}

func (r *Rotator) log() *slog.Logger { return cmp.Or(r.Log, slog.Default()) }

// marker returns the display name of a new attempt's credential.
func (r *Rotator) marker(rec *rotation.Record) string {
	return rotation.MarkerPrefix(r.Deployment, rec.ID) + r.NewID()[:10]
}

// journal writes records; wait pauses between its tries.
func (r *Rotator) journal(wait func(context.Context, time.Duration) error) Journal {
	return Journal{Records: r.Store, NewID: r.NewID, Timeout: r.Rules.CallTimeout, Wait: wait}
}

func (r *Rotator) init() {
	r.once.Do(func() {
		r.workers = make(chan struct{}, cmp.Or(r.Parallel, 64))
		r.waiting = make(map[string]chan struct{})
	})
}

// wait sleeps without holding a worker, and ends early when nudged.
func (p *pass) wait(ctx context.Context, d time.Duration) (nudged bool, err error) {
	defer p.idle(ctx)()
	return p.sleep(ctx, d)
}

// idle gives the pass's worker to others until the function that it returns is called. The
// pass of a request has none.
func (p *pass) idle(ctx context.Context) (goOn func()) {
	if !p.worker {
		return func() {}
	}
	p.rest()
	return func() { _ = p.work(context.WithoutCancel(ctx)) } // the next call sees that ctx is over
}

func (p *pass) sleep(ctx context.Context, d time.Duration) (nudged bool, err error) {
	nudge := make(chan struct{})
	p.mu.Lock()
	p.waiting[p.id] = nudge
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.waiting[p.id] == nudge {
			delete(p.waiting, p.id)
		}
	}()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false, nil
	case <-nudge:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// Nudge wakes a pass of this process that waits on the connection, so that it sees
// a new request at once. Passes of other processes see it at their next step.
func (r *Rotator) Nudge(id string) {
	r.init()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.waiting[id]; ok {
		close(c)
		delete(r.waiting, id)
	}
}

func (r *Rotator) work(ctx context.Context) error {
	select {
	case r.workers <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Rotator) rest() { <-r.workers }
