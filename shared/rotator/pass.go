package rotator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
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

// observe begins to watch a step; what it returns ends that.
func (p *pass) observe(ctx context.Context, rec *rotation.Record, step rotation.Step,
) (context.Context, func(outcome string, class serviceerror.Class)) {
	if p.Observer == nil {
		return ctx, func(string, serviceerror.Class) {}
	}
	return p.Observer.Step(ctx, rec, step)
}

// attrs are what is logged of a step that led from rec to next.
func (p *pass) attrs(step rotation.Step, start time.Time, rec, next *rotation.Record) []any {
	attrs := []any{"step", step.Name(), "phase", string(next.Phase), "duration", p.now().Sub(start)}
	if run := cmp.Or(rec.Run, next.Run); run != nil {
		key := run.KeyID
		if next.Run != nil {
			key = next.Run.KeyID
		}
		attrs = append(attrs, "run", run.ID, "key", key)
	}
	return attrs
}

// judged says in a word how a step went.
func judged(rec, next *rotation.Record, step rotation.Step, err error) (outcome string, class serviceerror.Class) {
	_, purge := step.(rotation.Purge)
	_, prove := step.(rotation.Prove)
	switch {
	case errors.Is(err, errReleased):
		return judged(rec, next, step, nil)
	case errors.Is(err, serviceerror.ErrNotFound) && purge:
		return "ok", ""
	case err != nil:
		return "stopped", serviceerror.ClassOf(err)
	case next.Error != nil && (rec.Error == nil || next.Error.At != rec.Error.At):
		return "failed", next.Error.Class
	case prove && next.Proof.Failures > 0:
		return "refused", ""
	}
	return "ok", ""
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

// logEvents logs what a person has to know, in words that alerts wait for.
func (p *pass) logEvents(rec *rotation.Record, events []rotation.Event) {
	for _, e := range events {
		switch e.Kind {
		case history.Lost:
			p.log.Error("the published credential is lost", "key", e.KeyID, "advice", e.Message)
		case history.ByHand:
			p.log.Error("remove by hand", "key", e.KeyID, "application", rec.Target.ClientID, "reason", e.Message)
		case history.Expiring:
			days := rec.WarnedAt
			if e.KeyID == "" && rec.Auth != nil { // what the connection authenticates with
				days = rec.Auth.Warned
			}
			p.log.Warn("credential expires", "key", e.KeyID, "days", days, "method", rec.Method, "reason", e.Message)
		}
	}
}

// removeRecord deletes the record, after everything else of the connection.
func (p *pass) removeRecord(ctx context.Context, rec rotation.Record) (rotation.Record, error) {
	kind := history.Deleted
	if rec.Undo {
		kind = history.Undone
	}
	last := rec.Clone()
	last.CommitID = p.NewID()
	last.Version++
	cctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
	defer cancel()
	err := p.Store.Remove(cctx, last, rotation.Event{Kind: kind, At: p.now()})
	if err == nil {
		return rec, serviceerror.ErrNotFound
	}
	fresh, lerr := p.load(ctx)
	switch {
	case errors.Is(lerr, serviceerror.ErrNotFound):
		return rec, serviceerror.ErrNotFound
	case lerr != nil:
		return rec, fmt.Errorf("removing the record: %w", lerr)
	case fresh.Lease.Token != p.lease.Token:
		return fresh, ErrLeaseLost
	}
	return p.apply(ctx, fresh, rotation.Purge{}, rotation.Outcome{Err: err})
}
