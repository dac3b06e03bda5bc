package rotation

import (
	"context"
	"errors"
	"time"
)

// fail commits that a step did not work and when to try again; also, if not nil,
// changes more of the record in the same commit. A pass that ran out of time has
// not failed.
func (p *pass) fail(ctx context.Context, rec Record, err error, also func(*Record), events ...Event) (Record, error) {
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		rec.Error = p.failure(now, rec, err)
		if also != nil {
			also(rec)
		}
	}, events...)
}

// failure describes err after the failures that rec has had already.
func (p *pass) failure(now time.Time, rec *Record, err error) *Failure {
	count := 1
	if rec.Error != nil {
		count = rec.Error.Count + 1
	}
	class := ClassOf(err)
	return &Failure{
		Class: class, Message: Explain(err), Count: count, At: now,
		RetryAt: now.Add(backoff(rec.ID, class, count, retryAfter(err))),
	}
}

// Explain says for a person what went wrong and what to do about it. It is safe to
// show: an error that is no [*Error] is not quoted.
func Explain(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return Transient.Advice()
	}
	return e.Class.Advice() + " [" + e.Error() + "]"
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// failRun ends the run with a refusal: somebody has to change something first. The
// record goes back to idle and says what (rule R9); current is untouched. If nobody
// was told yet that the connection exists, its creation is undone instead.
func (p *pass) failRun(ctx context.Context, rec Record, err error) (Record, error) {
	if !ClassOf(err).Refusal() {
		return p.fail(ctx, rec, err, nil)
	}
	now := p.now()
	event := Event{Kind: EventFailed, RunID: rec.Run.ID, Trigger: rec.Run.Trigger, KeyID: rec.Run.KeyID, Class: ClassOf(err), Message: Explain(err)}
	return p.fail(ctx, rec, err, func(rec *Record) {
		undo := !rec.Acknowledged && rec.Run.Trigger == OnCreation
		p.endAttempt(rec, now)
		endRun(rec, now, "failed", Explain(err))
		if undo {
			rec.Phase, rec.Undo, rec.Request = Deleting, true, nil
			rec.Error.RetryAt = now // undoing need not wait
			hasten(rec, now)
		}
	}, event)
}

// endAttempt gives the run's attempt up: whatever may bear its marker is to be
// looked for and removed, its staged version disabled.
func (p *pass) endAttempt(rec *Record, now time.Time) {
	run := rec.Run
	if run.Marker != "" {
		rec.Abandoned = append(rec.Abandoned, Abandoned{
			Target: run.Target, Marker: run.Marker, KeyID: run.KeyID, Since: run.FirstIssuedAt, NextAt: now,
		})
	}
	if run.StagedVersion != "" {
		rec.Spent = append(rec.Spent, Spent{VaultVersion: run.StagedVersion})
	}
	run.Marker, run.IssuedUnder, run.KeyID, run.StagedVersion, run.Hint = "", "", "", "", ""
	run.Successes, run.Failures, run.ProvenUnder = 0, 0, ""
	run.NextCheck, run.ProvenAt, run.Deadline = time.Time{}, time.Time{}, time.Time{}
	run.IssuedAt, run.ExpiresAt, run.FirstIssuedAt = time.Time{}, time.Time{}, time.Time{}
}

// endRun closes the run and puts the record to idle. The key id that the result
// names is the run's, so it is called before or after endAttempt as that is to be
// kept or not.
func endRun(rec *Record, now time.Time, outcome, message string) {
	run := rec.Run
	rec.LastRun = &RunResult{
		ID: run.ID, Trigger: run.Trigger, StartedAt: run.StartedAt, FinishedAt: now,
		Outcome: outcome, KeyID: run.KeyID, Message: message,
	}
	rec.Run, rec.Phase = nil, Idle
}

// hasten ends every grace period.
func hasten(rec *Record, now time.Time) {
	for i := range rec.Retiring {
		if rec.Retiring[i].RevokeAfter.After(now) {
			rec.Retiring[i].RevokeAfter = now
		}
	}
}

// clearRequest takes a request off the record, unless the API has replaced it.
func clearRequest(rec *Record, taken *Request) {
	if rec.Request != nil && taken != nil && rec.Request.ID == taken.ID && rec.Request.Kind == taken.Kind {
		rec.Request = nil
	}
}

// retryNow lifts the pause after a failure without forgetting how many there were.
func retryNow(rec *Record, now time.Time) {
	if rec.Error != nil && rec.Error.RetryAt.After(now) {
		rec.Error.RetryAt = now
	}
}
