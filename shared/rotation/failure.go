package rotation

import (
	"context"
	"errors"
	"time"

	"rekey/shared/serviceerror"
)

// fail commits that a step did not work and when to try again; also, if not nil,
// changes more of the record in the same commit. A pass that ran out of time has
// not failed.
func (p *pass) fail(ctx context.Context, rec Record, err error, also func(*Record), events ...Event) (Record, error) {
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	now := p.now()
	asked := ""
	if rec.Request != nil {
		asked = rec.Request.ID
	}
	return p.commit(ctx, rec, func(rec *Record) {
		rec.Error = p.failure(now, rec, err)
		rec.Error.Request = asked
		if also != nil {
			also(rec)
		}
	}, events...)
}

// failure describes err after the failures that rec has had already. What passes by
// itself and what does not are counted apart: an outage must not make the first
// refusal after it wait for a day.
func (p *pass) failure(now time.Time, rec *Record, err error) *Failure {
	count, class := 1, serviceerror.ClassOf(err)
	if rec.Error != nil && rec.Error.Class.Refusal() == class.Refusal() {
		count = rec.Error.Count + 1
	}
	return &Failure{
		Class: class, Message: serviceerror.Explain(err), Count: count, At: now,
		RetryAt: now.Add(backoff(rec.ID, class, count, serviceerror.RetryAfterOf(err))),
	}
}

// failRun ends the run with a refusal: somebody has to change something first. The
// record goes back to idle and says what (rule R9); current is untouched. If nobody
// was told yet that the connection exists, its creation is undone instead.
//
// also is as for fail, and comes first.
func (p *pass) failRun(ctx context.Context, rec Record, err error, also func(*Record)) (Record, error) {
	if !serviceerror.ClassOf(err).Refusal() {
		return p.fail(ctx, rec, err, also)
	}
	now := p.now()
	event := Event{Kind: EventFailed, RunID: rec.Run.ID, Trigger: rec.Run.Trigger, KeyID: rec.Run.KeyID, Class: serviceerror.ClassOf(err), Message: serviceerror.Explain(err)}
	return p.fail(ctx, rec, err, func(rec *Record) {
		also(rec)
		undo := !rec.Acknowledged && rec.Run.Trigger == OnCreation
		again := rec.Run.request()
		p.dropRun(rec, now, "failed", serviceerror.Explain(err))
		if again != nil && rec.Request == nil {
			rec.Request, rec.Error.Request = again, again.ID
		}
		if undo {
			rec.Phase, rec.Undo, rec.Request = Deleting, true, nil
			rec.Error.RetryAt = now // undoing need not wait
			hasten(rec, now)
		}
	}, event)
}

// request is what asked for the run, to be tried again after a refusal; nil if nobody
// did: what the schedule or the loss of a credential began they begin again.
func (r *Run) request() *Request {
	q := Request{Kind: AskRotate, ID: r.ID, By: r.By, At: r.StartedAt, Grace: new(r.Grace)}
	switch r.Trigger {
	case OnRequest:
		return &q
	case OnEmergency:
		q.Kind, q.Grace = AskEmergency, nil
		return &q
	}
	return nil
}

// endAttempt gives the run's attempt up: whatever may bear its marker is to be
// looked for and removed, its staged version disabled. Where nobody knows of a staged
// version, one may have been written all the same, or be on its way: it is looked
// for once it must have arrived.
func (p *pass) endAttempt(rec *Record, now time.Time) {
	run := rec.Run
	if run.Marker != "" {
		rec.Abandoned = append(rec.Abandoned, Abandoned{
			Target: run.Target, Marker: run.Marker, KeyID: run.KeyID, Since: later(run.FirstIssuedAt, run.IssuedAt), Removal: Removal{NextAt: now},
		})
	}
	switch {
	case run.StagedVersion != "":
		rec.Spent = append(rec.Spent, Spent{VaultVersion: run.StagedVersion})
	case run.Marker != "":
		arrived := run.FirstIssuedAt.Add(p.Rules.issueWindow())
		rec.Spent = append(rec.Spent, Spent{Marker: run.Marker, NextAt: later(arrived, now.Add(time.Minute))})
	}
	run.Marker, run.IssuedUnder, run.KeyID, run.StagedVersion, run.Hint = "", "", "", "", ""
	run.Successes, run.Failures, run.ProvenUnder = 0, 0, ""
	run.NextCheck, run.ProvenAt, run.Deadline = time.Time{}, time.Time{}, time.Time{}
	run.IssuedAt, run.ExpiresAt, run.FirstIssuedAt = time.Time{}, time.Time{}, time.Time{}
}

// dropRun gives up the run and its attempt. The result names the credential that was
// given up, so that it can be recognised.
func (p *pass) dropRun(rec *Record, now time.Time, outcome, message string) {
	keyID := rec.Run.KeyID
	p.endAttempt(rec, now)
	endRun(rec, now, outcome, message)
	rec.LastRun.KeyID = keyID
}

// unissued takes back the intent of an attempt of which nothing was issued for sure:
// nothing bears its marker, and the next attempt takes a new one.
func unissued(rec *Record) {
	rec.Run.Marker, rec.Run.IssuedUnder, rec.Run.FirstIssuedAt = "", "", time.Time{}
}

// endRun closes the run and puts the record to idle.
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

// dropRequest clears a request that has nothing to act on. Where a rotation is under
// way already, that is the answer to one by hand, and it goes on at once.
func (p *pass) dropRequest(ctx context.Context, rec Record) (Record, error) {
	now, asked := p.now(), rec.Request
	return p.commit(ctx, rec, func(rec *Record) {
		clearRequest(rec, asked)
		if asked.Kind == AskRotate && rec.Run != nil {
			retryNow(rec, now)
		}
	})
}

// refuse ends a request that can't be served as the record is now. Whoever asked finds why
// in the last run and in the history.
func (p *pass) refuse(ctx context.Context, rec Record) (Record, error) {
	now, asked := p.now(), rec.Request
	why := rec.Unable(asked)
	return p.commit(ctx, rec, func(rec *Record) {
		clearRequest(rec, asked)
		rec.LastRun = &RunResult{ID: asked.ID, Trigger: OnRequest, StartedAt: asked.At, FinishedAt: now, Outcome: "failed", Message: why}
	}, Event{Kind: EventFailed, RunID: asked.ID, Trigger: OnRequest, By: asked.By, Message: why})
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
