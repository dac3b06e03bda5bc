package rotator

import (
	"cmp"
	"context"
	"errors"
	"reflect"

	"rekey/shared/rotation"
)

// step does one step, which ends in one commit, and logs it.
func (p *pass) step(ctx context.Context, rec rotation.Record, step rotation.Step) (rotation.Record, error) {
	start := p.now()
	ctx, ended := p.observe(ctx, &rec, step)
	next, err := p.doAndApply(ctx, rec, step)
	attrs := p.attrs(step, start, &rec, &next)
	outcome, class := judged(&rec, &next, step, err)
	ended(outcome, class)
	switch outcome {
	case "stopped":
		p.log.Warn("step", append(attrs, "outcome", outcome, "reason", err.Error())...)
	case "failed":
		p.log.Warn("step", append(attrs, "outcome", outcome, "class", string(class), "reason", next.Error.Message,
			"retryAt", next.Error.RetryAt)...)
	case "refused":
		p.log.Info("step", append(attrs, "outcome", outcome, "inARow", next.Proof.Failures)...) // not replicated yet, as a rule
	default:
		p.log.Info("step", append(attrs, "outcome", outcome)...)
	}
	return next, err
}

// doAndApply does a step and records what came of it.
func (p *pass) doAndApply(ctx context.Context, rec rotation.Record, step rotation.Step) (rotation.Record, error) {
	out, stop := p.do(ctx, &rec, step)
	if stop != nil && !out.NotSent {
		return rec, stop
	}
	if _, purge := step.(rotation.Purge); purge && out.Err == nil {
		return p.removeRecord(ctx, rec)
	}
	next, err := p.apply(ctx, rec, step, out)
	if err != nil && !errors.Is(err, errReleased) {
		return next, err
	}
	p.afterwards(ctx, step, &rec, &next)
	return next, cmp.Or(err, stop)
}

// errReleased says that the lease was given back in the commit of the last step.
var errReleased = errors.New("the pass is over")

// errPlanAgain says that the record has changed since a step was planned that only writes
// an intent.
var errPlanAgain = errors.New("the record has changed since the step was planned")

// apply commits what came of a step, unless that changes nothing that is stored.
func (p *pass) apply(ctx context.Context, rec rotation.Record, step rotation.Step, out rotation.Outcome) (rotation.Record, error) {
	now := p.now()
	if next, events := p.Rules.Apply(now, rec, step, out); len(events) == 0 && (deferred(step, out) || sameStored(&rec, &next)) {
		return next, nil
	}
	released := false
	var told []rotation.Event
	planned := rec.Version
	next, err := p.journal.Update(ctx, rec, func(rec *rotation.Record) (events []rotation.Event, err error) {
		switch {
		case rec.Lease.Token != p.lease.Token:
			return nil, ErrLeaseLost
		case intent(step) && rec.Version != planned:
			return nil, errPlanAgain
		}
		*rec, events = p.Rules.Apply(now, *rec, step, out)
		rec.WakeAt = p.lease.Until
		wait, waits := p.Rules.Plan(now, rec, p.lease).(rotation.Wait)
		if released = waits && !out.NotSent && p.endsWith(wait, rec); released {
			var notices []rotation.Event
			*rec, notices = p.Rules.ReleaseLease(now, *rec, p.told)
			events = append(events, notices...)
		}
		told = events
		return events, nil
	})
	switch {
	case errors.Is(err, errPlanAgain):
		return next, nil
	case err != nil:
		return next, err
	}
	p.logEvents(&next, told)
	if released {
		return next, errReleased
	}
	return next, nil
}

// deferred reports whether what came of a step waits for the next commit, at the latest
// that which gives the lease back: if the pass dies before, the step is done again and
// nothing is lost (rule R7).
func deferred(step rotation.Step, out rotation.Outcome) bool {
	switch step.(type) {
	case rotation.DisableStale, rotation.ConfirmRemoved:
		return out.Err == nil
	}
	return false
}

// sameStored reports whether two records are stored alike.
func sameStored(a, b *rotation.Record) bool {
	x, y := a.Clone(), b.Clone()
	x.Proof, y.Proof = rotation.Proof{}, rotation.Proof{}
	return reflect.DeepEqual(x, y)
}

// intent reports whether a step asks no service, so that it is decided by the record
// alone: if that has changed, it is planned again instead of being applied again.
func intent(step rotation.Step) bool {
	switch step.(type) {
	case rotation.BeginRun, rotation.BeginAttempt, rotation.Promote, rotation.EndRun, rotation.MakeEmergency, rotation.EndGracePeriods,
		rotation.DropRequest, rotation.RefuseRequest, rotation.AnnounceWrite, rotation.BeginRebind, rotation.BeginDelete, rotation.RevokeCurrent,
		rotation.WarnOfExpiry, rotation.WarnOfSignInEnd:
		return true
	}
	return false
}
