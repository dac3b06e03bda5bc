package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rekey/shared/serviceerror"
)

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

	signIns *signIns // of the invocation

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
	return r.pass(ctx, id, opts, newSignIns())
}

// pass is Pass for a caller that has a worker already.
func (r *Rotator) pass(ctx context.Context, id string, opts PassOptions, s *signIns) (rec Record, err error) {
	if r.Observer != nil {
		var end func(*Record, error)
		ctx, end = r.Observer.Pass(ctx, id)
		defer func() { end(&rec, err) }()
	}
	p := &pass{Rotator: r, id: id, lease: opts.Lease, until: opts.Until, cutoff: opts.Until, brief: opts.Brief, signIns: s}
	if p.until.IsZero() {
		p.until = r.now().Add(r.Rules.Pass)
	}
	p.log = r.log().With("connection", id)
	rec, err = p.take(ctx)
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
	got, err := p.commitIf(ctx, rec, func(fresh *Record) bool { return fresh.Lease.Token == old }, func(rec *Record) []Event {
		rec.Lease = p.lease
		return nil
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
		if rec = next; rec.Run == nil {
			p.staged = nil // the value is not needed while the rest waits
		}
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
	ended := func(string, serviceerror.Class) {}
	if p.Observer != nil {
		ctx, ended = p.Observer.Step(ctx, &rec, a.Do)
	}
	next, err := p.do(ctx, rec, a)
	attrs := []any{"step", string(a.Do), "phase", string(next.Phase), "duration", p.now().Sub(start)}
	if run := cmp.Or(rec.Run, next.Run); run != nil {
		key := run.KeyID
		if next.Run != nil {
			key = next.Run.KeyID
		}
		attrs = append(attrs, "run", run.ID, "key", key)
	}
	outcome, class := judged(&rec, &next, a, err)
	ended(outcome, class)
	switch outcome {
	case "stopped":
		p.log.Warn("step", append(attrs, "outcome", outcome, "reason", err.Error())...)
	case "failed":
		p.log.Warn("step", append(attrs, "outcome", outcome, "class", string(class), "reason", next.Error.Message, "retryAt", next.Error.RetryAt)...)
	case "refused":
		p.log.Info("step", append(attrs, "outcome", outcome, "inARow", next.Run.Failures)...) // not replicated yet, as a rule
	default:
		p.log.Info("step", append(attrs, "outcome", outcome)...)
	}
	return next, err
}

// judged says in a word how a step went.
func judged(rec, next *Record, a Action, err error) (outcome string, class serviceerror.Class) {
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) && a.Do == Purge:
		return "ok", ""
	case err != nil:
		return "stopped", serviceerror.ClassOf(err)
	case next.Error != nil && (rec.Error == nil || next.Error.At != rec.Error.At):
		return "failed", next.Error.Class
	case a.Do == Check && next.Run != nil && next.Run.Failures > 0:
		return "refused", ""
	}
	return "ok", ""
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
		return p.dropRequest(ctx, rec)
	case Refuse:
		return p.refuse(ctx, rec)
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
	case WarnAuth:
		return p.warnAuth(ctx, rec)
	case Renew:
		return p.renew(ctx, rec)
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
