package rotation

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

var (
	// ErrLeased says that another pass works on the connection.
	ErrLeased = errors.New("another pass is working on this connection")
	// ErrLeaseLost says that the lease went to somebody else meanwhile. The pass
	// stops and undoes nothing (promise P5).
	ErrLeaseLost = errors.New("the lease was lost to another pass")
	// errNoTime says that the next call might not end in time. The rest is the
	// next pass's.
	errNoTime = errors.New("no time left in this pass")
)

// Rotator does what [Rules.Plan] decides. It is safe for concurrent use; its
// fields are set once, before the first pass. Store, Vault, Authority and Directory
// are required.
type Rotator struct {
	Store     Store
	Vault     Vault
	Authority Authority
	Directory Directory

	Rules      Rules
	Deployment string // in markers and tags

	Log *slog.Logger     // nil: slog.Default()
	Now func() time.Time // nil: time.Now
	ID  func() string    // ids of leases, commits, runs and attempts; nil: random. At least 10 characters of [A-Z0-9a-z]

	// Parallel is how many connections are worked on at once; 0: 64. One that
	// waits does not count.
	Parallel int

	once    sync.Once
	workers chan struct{}

	mu      sync.Mutex
	waiting map[string]chan struct{} // by connection id; closed by Nudge
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

func (r *Rotator) init() {
	r.once.Do(func() {
		r.workers = make(chan struct{}, cmp.Or(r.Parallel, 64))
		r.waiting = make(map[string]chan struct{})
	})
}

// PassOptions say how a pass ends.
type PassOptions struct {
	// Until is when the pass must be over, calls included. Zero: Rules.Pass
	// from now for starting steps, and the lease for calls.
	Until time.Time
	// Acknowledge commits that the caller is going to be told that the
	// connection exists, unless it does not any more (phase deleting).
	Acknowledge bool
	// Brief ends the pass once the connection is idle and nothing that it waits
	// for comes before Until but reading back what was removed: nobody who waits
	// for an answer needs that.
	Brief bool
	// Lease is one that the caller took while creating the record.
	Lease Lease
}

// shortWait is how long a pass may wait without reading the record again: what the
// API wrote meanwhile is seen at the next commit, or at once when it nudges.
const shortWait = 15 * time.Second

// pass is one pass: who holds which lease until when.
type pass struct {
	*Rotator
	id     string
	lease  Lease
	until  time.Time // steps start before
	cutoff time.Time // calls end before; zero: the lease alone decides
	brief  bool
	log    *slog.Logger

	proof  proof        // what this pass has seen of the run's credential
	staged *VaultSecret // the staged version under proof, read once a pass
}

// Pass takes the lease of the connection and works on it until nothing is left to
// do, or what is left lies after its time. It returns the record as it is then.
//
// [ErrLeased]: somebody else is at it. [ErrLeaseLost]: somebody else is at it by
// now. [ErrNotFound]: there is no such connection, or it was finished off by this
// pass. Any other error is one of the store; what the other services answer is on
// the record.
func (r *Rotator) Pass(ctx context.Context, id string, opts PassOptions) (Record, error) {
	r.init()
	if err := r.work(ctx); err != nil {
		return Record{}, err
	}
	defer r.rest()
	return r.pass(ctx, id, opts)
}

// pass is Pass for a caller that has a worker already.
func (r *Rotator) pass(ctx context.Context, id string, opts PassOptions) (Record, error) {
	p := &pass{Rotator: r, id: id, lease: opts.Lease, until: opts.Until, cutoff: opts.Until, brief: opts.Brief}
	if p.until.IsZero() {
		p.until = r.now().Add(r.Rules.Pass)
	}
	p.log = r.log().With("connection", id)
	rec, err := p.take(ctx)
	if err != nil {
		return rec, err
	}
	rec, err = p.run(ctx, rec)
	if err != nil && !errors.Is(err, errNoTime) {
		return rec, err
	}
	return p.release(ctx, rec, opts.Acknowledge)
}

// take reads the record and takes its lease, unless the caller holds it already.
// Taking it moves the due row to the lease's end, in the same transaction, so that
// somebody will look if this pass dies.
func (p *pass) take(ctx context.Context) (Record, error) {
	rec, err := p.load(ctx)
	if err != nil {
		return rec, err
	}
	now := p.now()
	if p.lease.Token != "" {
		if rec.Lease.Token != p.lease.Token {
			return rec, ErrLeaseLost
		}
		return rec, nil
	}
	if p.Rules.taken(now, rec.Lease) {
		return rec, ErrLeased
	}
	old := rec.Lease.Token
	p.lease = Lease{Token: p.NewID(), Until: now.Add(p.Rules.Lease)}
	got, err := p.commitIf(ctx, rec, func(fresh *Record) bool { return fresh.Lease.Token == old }, func(rec *Record) {
		rec.Lease = p.lease
	})
	if errors.Is(err, ErrLeaseLost) {
		err = ErrLeased
	}
	return got, err
}

// run steps until nothing is left that could be done in time.
func (p *pass) run(ctx context.Context, rec Record) (Record, error) {
	for {
		now := p.now()
		a := p.Rules.Plan(now, &rec, p.lease)
		if a.Do == Wait {
			if a.At.IsZero() || !a.At.Before(p.until) || p.brief && p.readsBack(&rec) {
				return rec, nil
			}
			nudged, err := p.wait(ctx, a.At.Sub(now))
			if err != nil {
				return rec, err
			}
			if !nudged && a.At.Sub(now) <= shortWait {
				continue
			}
			fresh, err := p.load(ctx)
			if err != nil {
				return rec, err
			}
			if fresh.Lease.Token != p.lease.Token {
				return fresh, ErrLeaseLost
			}
			p.proof.overlay(&fresh)
			rec = fresh
			continue
		}
		if !now.Before(p.until) {
			return rec, errNoTime
		}
		next, err := p.step(ctx, rec, a)
		if err != nil {
			return next, err
		}
		rec = next
	}
}

// readsBack reports whether all that is left before the pass's end is to see that
// what was removed is gone.
func (p *pass) readsBack(rec *Record) bool {
	return rec.Phase == Idle && rec.Request == nil && !slices.ContainsFunc(rec.Retiring, func(o Retiring) bool {
		return o.RemovedAt.IsZero() && o.RevokeAfter.Before(p.until)
	})
}

// step does one action, which ends in one commit, and logs it.
func (p *pass) step(ctx context.Context, rec Record, a Action) (Record, error) {
	start := p.now()
	next, err := p.do(ctx, rec, a)
	attrs := []any{"step", string(a.Do), "phase", string(next.Phase), "duration", p.now().Sub(start)}
	if run := cmp.Or(rec.Run, next.Run); run != nil {
		key := run.KeyID
		if next.Run != nil {
			key = next.Run.KeyID
		}
		attrs = append(attrs, "run", run.ID, "key", key)
	}
	switch {
	case errors.Is(err, ErrNotFound) && a.Do == Purge:
		p.log.Info("step", append(attrs, "outcome", "ok")...)
	case err != nil:
		p.log.Warn("step", append(attrs, "outcome", "stopped", "reason", err.Error())...)
	case next.Error != nil && (rec.Error == nil || next.Error.At != rec.Error.At):
		p.log.Warn("step", append(attrs, "outcome", "failed", "class", string(next.Error.Class), "reason", next.Error.Message, "retryAt", next.Error.RetryAt)...)
	default:
		p.log.Info("step", append(attrs, "outcome", "ok")...)
	}
	return next, err
}

// do is the one switch from what was decided to what does it.
func (p *pass) do(ctx context.Context, rec Record, a Action) (Record, error) {
	switch a.Do {
	case Adopt:
		return p.adopt(ctx, rec)
	case BeginRun:
		return p.beginRun(ctx, rec)
	case NextAttempt:
		return p.nextAttempt(ctx, rec)
	case Issue:
		return p.issue(ctx, rec)
	case Reconcile:
		return p.reconcile(ctx, rec)
	case Check:
		return p.check(ctx, rec)
	case Promote:
		return p.promote(ctx, rec)
	case Publish:
		return p.publish(ctx, rec)
	case Withdraw:
		return p.withdraw(ctx, rec)
	case EndRun:
		return p.endRun(ctx, rec)
	case Upgrade:
		return p.upgrade(ctx, rec)
	case Hasten:
		return p.commit(ctx, rec, func(rec *Record) { hasten(rec, p.now()) })
	case BeginRebind:
		return p.beginRebind(ctx, rec)
	case BeginDelete:
		return p.beginDelete(ctx, rec)
	case RevokeCurrent:
		return p.revokeCurrent(ctx, rec)
	case Purge:
		return p.purge(ctx, rec)
	case DropRequest:
		return p.commit(ctx, rec, func(r *Record) { clearRequest(r, rec.Request) })
	case Disable:
		return p.disable(ctx, rec, a.Index)
	case Revoke:
		return p.revoke(ctx, rec, a.Index)
	case RemoveOrphan:
		return p.removeOrphan(ctx, rec, a.Index)
	case Look:
		return p.look(ctx, rec, a.Index)
	case ProveRefused:
		return p.proveRefused(ctx, rec, a.Index)
	case Warn:
		return p.warn(ctx, rec)
	}
	return rec, fmt.Errorf("no way to do %q", a.Do)
}

// release gives the lease up and leaves word when the connection has to be woken.
func (p *pass) release(ctx context.Context, rec Record, acknowledge bool) (Record, error) {
	if acknowledge && rec.Phase == Deleting {
		acknowledge = false
	}
	return p.commit(ctx, rec, func(rec *Record) {
		rec.Lease = Lease{}
		rec.Acknowledged = rec.Acknowledged || acknowledge || rec.Phase == Idle
		now := p.now()
		if rec.WakeAt = p.Rules.Wake(now, rec); !rec.WakeAt.IsZero() && rec.WakeAt.Before(now) {
			rec.WakeAt = now
		}
	})
}

// commit applies change to rec and writes it, for the holder of the lease.
//
// When the write is refused, or nobody knows whether it happened, the row is read
// again (rule R8). If it bears this commit's id, it landed. If the lease is still
// ours, only the API can have written in between, and it writes none of what
// change writes: change is applied to the fresh row, so that no work is lost.
// Otherwise the lease is lost. change may therefore run more than once.
func (p *pass) commit(ctx context.Context, rec Record, change func(*Record), events ...Event) (Record, error) {
	return p.commitIf(ctx, rec, func(fresh *Record) bool { return fresh.Lease.Token == p.lease.Token }, change, events...)
}

// commitIf is commit under another condition than holding the lease.
func (p *pass) commitIf(ctx context.Context, rec Record, mine func(fresh *Record) bool, change func(*Record), events ...Event) (Record, error) {
	id := p.NewID()
	for try := 1; ; try++ {
		next := rec.Clone()
		next.WakeAt = p.lease.Until
		change(&next)
		next.CommitID = id
		next.Version++
		saved, err := p.save(ctx, next, events)
		if err == nil {
			return saved, nil
		}
		if errors.Is(err, ErrNewerSchema) || try == 5 || ctx.Err() != nil {
			return rec, fmt.Errorf("committing: %w", err)
		}
		if !errors.Is(err, ErrConflict) {
			if _, err := p.wait(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
				return rec, err
			}
		}
		fresh, err := p.load(ctx)
		switch {
		case err != nil:
			return rec, fmt.Errorf("reading back after a commit: %w", err)
		case fresh.CommitID == id:
			return fresh, nil
		case !mine(&fresh):
			return fresh, ErrLeaseLost
		}
		rec = fresh
	}
}

func (p *pass) save(ctx context.Context, rec Record, events []Event) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
	defer cancel()
	now := p.now()
	for i := range events {
		if events[i].At.IsZero() {
			events[i].At = now
		}
	}
	return p.Store.Commit(ctx, rec, events...)
}

// load reads the record, twice if need be: reading is free of risk.
func (p *pass) load(ctx context.Context) (Record, error) {
	for try := 1; ; try++ {
		cctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
		rec, err := p.Store.Load(cctx, p.id)
		cancel()
		if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNewerSchema) || try == 4 || ctx.Err() != nil {
			return rec, err
		}
		if _, err := p.wait(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return rec, err
		}
	}
}

// call bounds one call to an outside service. It refuses with errNoTime when the
// call might outlast the lease (rule R2) or the pass's own end; a pass that runs
// inside a request shortens its calls rather than not making them, down to a
// sixth of what they may take.
func (p *pass) call(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc, error) {
	now := p.now()
	if !p.cutoff.IsZero() {
		left := p.cutoff.Sub(now)
		if left < timeout/6 {
			return nil, nil, errNoTime
		}
		timeout = min(timeout, left)
	}
	if !p.Rules.fits(now, p.lease, timeout) {
		return nil, nil, errNoTime
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}

// wait sleeps without holding a worker, and ends early when nudged.
func (p *pass) wait(ctx context.Context, d time.Duration) (nudged bool, err error) {
	p.rest()
	nudged, err = p.sleep(ctx, d)
	return nudged, errors.Join(err, p.work(context.WithoutCancel(ctx)))
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

// Clone returns a copy that shares nothing with r.
func (r *Record) Clone() Record {
	c := *r
	c.Request = clone(r.Request)
	c.Error = clone(r.Error)
	c.Run = clone(r.Run)
	c.LastRun = clone(r.LastRun)
	c.Current = clone(r.Current)
	c.Retiring = slices.Clone(r.Retiring)
	c.Abandoned = slices.Clone(r.Abandoned)
	c.Spent = slices.Clone(r.Spent)
	c.ByHand = slices.Clone(r.ByHand)
	return c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
