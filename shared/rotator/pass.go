package rotator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"rekey/shared/rotation"
)

// PassOptions say how a pass ends.
type PassOptions struct {
	// Until is when the pass must be over, calls included. Zero: Rules.Pass
	// from now for starting steps, and the lease for calls.
	Until time.Time
	// Acknowledge commits that the caller is going to be told that the
	// connection exists, unless it does not any more (phase deleting).
	Acknowledge bool
	// Brief ends the pass once the connection is idle and all that it would wait for
	// before Until is to confirm removals: a caller who waits for an answer does not
	// need that.
	Brief bool
	// Lease is one that the caller took while creating the record.
	Lease rotation.Lease
	// Settled says that the caller's writes of the published name had definite answers, so
	// that none of them can land any more (rule R8).
	Settled bool
}

// shortWait is how long a pass may wait without reading the record again: what the
// API wrote meanwhile is seen at the next commit, or at once when it nudges.
const shortWait = 15 * time.Second

// pass is one pass: who holds which lease until when.
type pass struct {
	*Rotator
	id      string
	lease   rotation.Lease
	until   time.Time // steps start before
	cutoff  time.Time // calls end before; zero: the lease alone decides
	brief   bool
	settled bool // see PassOptions
	told    bool // the caller is going to be told that the connection exists
	log     *slog.Logger
	journal Journal

	common
	tokens map[string]rotation.Token // of applications that rotate themselves, by client id
	staged *rotation.VaultSecret     // the staged version under proof, read once a pass
}

// Pass takes the lease of the connection and works on it until nothing is left to
// do, or what is left lies after its time. It returns the record as it is then.
//
// [ErrLeased]: another pass held the lease when this one started. [ErrLeaseLost]: another
// pass took it during this one. [serviceerror.ErrNotFound]: the connection does not exist,
// or this pass has completed its deletion. Any other error is one of the store; what the other services answer is on
// the record.
func (r *Rotator) Pass(ctx context.Context, id string, opts PassOptions) (rotation.Record, error) {
	r.init()
	return r.pass(ctx, id, opts, common{signIns: newSignIns()})
}

// common is what a sweep gives each of its passes. The pass of a request has sign-ins of
// its own, and nothing else of it.
type common struct {
	signIns *signIns
	worker  bool      // the pass holds one of [Rotator.Parallel]
	waits   time.Time // a wait that ends later ends the pass
	steps   time.Time // steps start before
	calls   time.Time // calls end before
}

func (r *Rotator) pass(ctx context.Context, id string, opts PassOptions, c common) (rec rotation.Record, err error) {
	if r.Observer != nil {
		var end func(*rotation.Record, error)
		ctx, end = r.Observer.Pass(ctx, id)
		defer func() { end(&rec, err) }()
	}
	p := &pass{Rotator: r, id: id, lease: opts.Lease, until: opts.Until, cutoff: opts.Until, brief: opts.Brief, settled: opts.Settled,
		told: opts.Acknowledge, common: c}
	if p.until.IsZero() {
		p.until, p.cutoff = earlier(r.now().Add(r.Rules.Pass), c.steps), c.calls
	}
	p.waits = earlier(p.until, c.waits)
	p.log = r.log().With("connection", id)
	p.journal = asPass(r.journal(func(ctx context.Context, d time.Duration) error {
		_, err := p.wait(ctx, d)
		return err
	}))
	rec, err = p.take(ctx)
	if err != nil {
		return rec, err
	}
	rec, err = p.run(ctx, rec)
	switch {
	case errors.Is(err, errReleased):
		return rec, nil
	case err != nil && !errors.Is(err, errNoTime):
		return rec, err
	}
	return p.release(ctx, rec)
}

// load reads the record.
func (p *pass) load(ctx context.Context) (rotation.Record, error) {
	rec, err := p.journal.reload(ctx, p.id)
	if err == nil {
		err = rec.Whole()
	}
	return rec, err
}

// take reads the record and takes its lease, unless the caller holds it already.
func (p *pass) take(ctx context.Context) (rotation.Record, error) {
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
	if p.Rules.Taken(now, rec.Lease) {
		return rec, ErrLeased
	}
	old := rec.Lease.Token
	p.lease = rotation.Lease{Token: p.NewID(), Until: now.Add(p.Rules.Lease)}
	drawn := p.drawn(&rec)
	var first rotation.Step // an intent goes into the same commit
	var told []rotation.Event
	got, err := p.journal.Update(ctx, rec, func(rec *rotation.Record) (events []rotation.Event, err error) {
		if rec.Lease.Token != old {
			return nil, ErrLeased
		}
		*rec = p.Rules.TakeLease(*rec, p.lease)
		if first = p.Rules.Plan(now, rec, p.lease); !intent(first) {
			first = nil
			return nil, nil
		}
		*rec, events = p.Rules.Apply(now, *rec, first, drawn)
		rec.WakeAt, told = p.lease.Until, events
		return events, nil
	})
	if err == nil && first != nil {
		_, ended := p.observe(ctx, &rec, first)
		ended("ok", "")
		p.log.Info("step", append(p.attrs(first, now, &rec, &got), "outcome", "ok")...)
		p.logEvents(&got, told)
		p.afterwards(ctx, first, &rec, &got)
	}
	return got, err
}

// drawn is the outcome of a step that asks no service: what the pass draws for it.
func (p *pass) drawn(rec *rotation.Record) rotation.Outcome {
	return rotation.Outcome{RunID: p.NewID(), Marker: p.marker(rec), LeaseToken: p.lease.Token}
}

// release gives the lease up and leaves word when the connection has to be woken.
func (p *pass) release(ctx context.Context, rec rotation.Record) (rotation.Record, error) {
	return p.journal.Update(ctx, rec, func(rec *rotation.Record) (events []rotation.Event, err error) {
		if rec.Lease.Token != p.lease.Token {
			return nil, ErrLeaseLost
		}
		*rec, events = p.Rules.ReleaseLease(p.now(), *rec, p.told)
		return events, nil
	})
}

// run steps until nothing is left that could be done in time.
func (p *pass) run(ctx context.Context, rec rotation.Record) (rotation.Record, error) {
	for {
		now := p.now()
		step := p.Rules.Plan(now, &rec, p.lease)
		if wait, ok := step.(rotation.Wait); ok {
			if p.endsWith(wait, &rec) {
				return rec, nil
			}
			next, err := p.waitFor(ctx, rec, wait.Until.Sub(now))
			if err != nil {
				return next, err
			}
			rec = next
			continue
		}
		if !now.Before(p.until) {
			return rec, errNoTime
		}
		next, err := p.step(ctx, rec, step)
		if err != nil {
			return next, err
		}
		if rec = next; rec.Run == nil {
			p.staged = nil // the value is not needed while the rest waits
		}
	}
}

// waitFor waits, and returns the record as it is afterwards.
func (p *pass) waitFor(ctx context.Context, rec rotation.Record, d time.Duration) (rotation.Record, error) {
	nudged, err := p.wait(ctx, d)
	if err != nil {
		return rec, err
	}
	if !nudged && d <= shortWait {
		return rec, nil
	}
	fresh, err := p.load(ctx)
	if err != nil {
		return rec, err
	}
	switch {
	case fresh.Lease.Token != p.lease.Token:
		return fresh, ErrLeaseLost
	case fresh.Version == rec.Version:
		return rec, nil // with what is not committed yet
	}
	fresh.Proof = rec.Proof
	return fresh, nil
}

// endsWith reports whether the pass ends where it would have to wait.
func (p *pass) endsWith(wait rotation.Wait, rec *rotation.Record) bool {
	return wait.Until.IsZero() || !wait.Until.Before(p.waits) || p.brief && p.onlyConfirms(rec)
}

// onlyConfirms reports whether all that is left before the pass's end is to confirm
// removals.
func (p *pass) onlyConfirms(rec *rotation.Record) bool {
	return rec.Phase == rotation.Idle && rec.Request == nil && !slices.ContainsFunc(rec.Removals, func(m rotation.Removal) bool {
		return m.RemovedAt.IsZero() && m.KeyID != "" && m.After.Before(p.until)
	})
}
