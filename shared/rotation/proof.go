package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/shared/serviceerror"
)

// proof is what a pass has seen of the credential under proof. It is kept in
// memory, because it counts for this pass only; what it shows of failures reaches
// the record with the next commit.
type proof struct {
	version, lease      string // the staged version, and under which lease it was proven
	successes, failures int
	next, at            time.Time
}

// overlay puts the proof on a record that was read again.
func (f *proof) overlay(rec *Record) {
	if run := rec.Run; run != nil && f.version != "" && run.StagedVersion == f.version {
		run.Successes, run.Failures, run.NextCheck, run.ProvenAt = f.successes, f.failures, f.next, f.at
		run.ProvenUnder = f.lease
	}
}

// readStaged reads exactly the staged version of the run, once a pass, and requires
// it to be of the run's credential (rule R4).
func (p *pass) readStaged(ctx context.Context, rec *Record) (VaultSecret, error) {
	run := rec.Run
	if p.staged != nil && p.staged.Version == run.StagedVersion {
		return *p.staged, nil
	}
	s, err := p.get(ctx, rec.StagedName(), run.StagedVersion)
	if err != nil {
		return s, err
	}
	if !p.ours(s.Tags, rec) || s.Tags[TagKeyID] != run.KeyID {
		return s, fmt.Errorf("staged version is not of this run's credential: %w", serviceerror.ErrNotFound)
	}
	p.staged = &s
	return s, nil
}

// check asks for one fresh token with the staged value. Only a row of successes
// within one pass proves anything (lesson L1: success flaps).
func (p *pass) check(ctx context.Context, rec Record) (Record, error) {
	_, err := p.prove(ctx, &rec)
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	return p.judge(ctx, rec, err)
}

// prove reads the staged value and spends it for one token.
func (p *pass) prove(ctx context.Context, rec *Record) (VaultSecret, error) {
	staged, err := p.readStaged(ctx, rec)
	if err != nil {
		return staged, err
	}
	_, err = p.token(ctx, rec.Run.Target, staged.Value)
	return staged, err
}

// judge counts the outcome of one proof.
func (p *pass) judge(ctx context.Context, rec Record, err error) (Record, error) {
	now := p.now()
	if errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err) {
		// The version is gone, disabled or another's: this attempt can't be
		// proven any more. Its deadline is now (rule R5).
		p.proof = proof{}
		return p.commit(ctx, rec, func(rec *Record) {
			rec.Run.Successes, rec.Run.Deadline, rec.Run.NextCheck = 0, now, time.Time{}
		})
	}
	rec = rec.Clone()
	run := rec.Run
	if run.ProvenUnder != p.lease.Token {
		run.Successes, run.ProvenUnder = 0, p.lease.Token
	}
	if err == nil {
		run.Successes++
		run.Failures = 0
		run.ProvenAt, run.NextCheck = now, now.Add(p.Rules.Spacing)
		if run.Successes >= p.Rules.Successes {
			run.NextCheck = now
		}
	} else {
		run.Successes = 0
		run.Failures++
		run.NextCheck = now.Add(max(min(p.Rules.Spacing<<min(run.Failures/4, 4), time.Minute), serviceerror.RetryAfterOf(err)))
	}
	p.proof = proof{version: run.StagedVersion, lease: p.lease.Token, successes: run.Successes, failures: run.Failures, next: run.NextCheck, at: run.ProvenAt}
	if err != nil && !serviceerror.RefusesCredential(err) {
		return p.commit(ctx, rec, func(rec *Record) { // worth showing
			p.proof.overlay(rec)
			rec.Error = p.failure(now, rec, err)
			rec.Error.RetryAt = run.NextCheck
		})
	}
	return rec, nil
}

// promote records that the credential is proven and old enough.
func (p *pass) promote(ctx context.Context, rec Record) (Record, error) {
	proven := *rec.Run
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		r := proven
		r.Deadline = now.Add(p.Rules.Attempt)
		rec.Run, rec.Phase, rec.Error = &r, Publishing, nil
	})
}

// withdraw ends an attempt that may have got as far as being published: what is
// published is current before the attempt's credential becomes removable (rule R5).
func (p *pass) withdraw(ctx context.Context, rec Record) (Record, error) {
	run, asked := *rec.Run, rec.Request
	if asked != nil && !asked.ends() {
		asked = nil
	}
	latest, version, err := p.republish(ctx, &rec)
	if errors.Is(err, serviceerror.ErrNotFound) && (latest.Version == "" || !p.ours(latest.Tags, &rec) || latest.Tags[TagClient] != run.Target.ClientID || latest.Tags[TagKeyID] != run.KeyID) {
		err = nil // current can't be read any more, but nobody reads the attempt's credential either
	}
	if err != nil {
		return p.fail(ctx, rec, err, nil)
	}
	now := p.now()
	rebinding := rec.Phase == Rebinding
	event := Event{Kind: EventAttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID, Message: "the new credential did not prove itself in time"}
	if rebinding {
		event.Kind = EventRebindRefused
	}
	if asked != nil {
		event.Message = "on request: " + string(asked.Kind)
	}
	return p.commit(ctx, rec, func(rec *Record) {
		if version != "" {
			rec.Current.VaultVersion = version
		}
		failures := rec.Error
		if asked == nil {
			rec.Error = p.failure(now, rec, &serviceerror.Error{Op: "proving the new credential", Class: serviceerror.Transient, Detail: fmt.Sprintf("no proof within %s", p.Rules.Attempt)})
		}
		switch {
		case asked == nil && !rebinding:
			p.endAttempt(rec, now)
			rec.Phase = Issuing // the run goes on with a new attempt
		case asked == nil:
			rec.Error = failures
			p.dropRun(rec, now, "failed", "the new client secret was refused for "+p.Rules.Attempt.String()+"; the connection keeps its old one")
		default:
			p.giveUp(rec, now, asked)
		}
	}, event)
}

// endRun gives up a run of which nothing was published.
func (p *pass) endRun(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	run, asked := *rec.Run, rec.Request
	return p.commit(ctx, rec, func(rec *Record) { p.giveUp(rec, now, asked) }, Event{Kind: EventAttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID, Message: "on request: " + string(asked.Kind), By: asked.By})
}

// giveUp ends the run on request. Abandoning is all that was asked for; other
// requests stay for the idle phase.
func (p *pass) giveUp(rec *Record, now time.Time, asked *Request) {
	run := rec.Run
	p.dropRun(rec, now, "abandoned", "on request: "+string(asked.Kind))
	if asked.Kind != AskAbandon {
		return
	}
	clearRequest(rec, asked)
	rec.Error = nil // it was the run's
	if run.Trigger == OnSchedule && rec.Policy.Enabled {
		rec.NextSlot = rec.Policy.Schedule.After(run.Slot, now)
	}
	if p.Rules.planIdle(now, rec).Do == BeginRun { // not at once what was just given up
		rec.Error = &Failure{Class: serviceerror.Transient, Message: "The run was abandoned on request.", Count: 1, At: now, RetryAt: now.Add(time.Hour)}
	}
}

// upgrade makes the run under way an emergency (rule R12).
func (p *pass) upgrade(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	asked := rec.Request
	return p.commit(ctx, rec, func(rec *Record) {
		rec.Run.Trigger, rec.Run.Grace = OnEmergency, 0
		hasten(rec, now)
		retryNow(rec, now)
		clearRequest(rec, asked)
	}, Event{Kind: EventRequested, RunID: rec.Run.ID, Trigger: OnEmergency, By: asked.By})
}
