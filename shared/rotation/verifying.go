package rotation

import (
	"errors"
	"fmt"
	"time"

	"rekey/shared/serviceerror"
)

// planProof plans verifying, publishing and rebinding, which share the proof. A proof
// counts only for the pass that made it, so that the pass that publishes has seen it
// itself (rule R4).
func (r Rules) planProof(now time.Time, rec *Record) Step {
	run, proof := rec.Run, rec.proof()
	// Given up is only what this pass has tried, so that a credential that works is not
	// given up because the timer was late.
	refused := proof.Failures > 0
	if refused && !now.Before(run.Deadline) {
		return Withdraw{}
	}
	if proof.NextAt.After(now) {
		at := proof.NextAt
		if refused {
			at = earlier(at, run.Deadline)
		}
		return Wait{at}
	}
	proven := proof.Successes >= r.Successes
	ready := run.IssuedAt.Add(r.minAge(run.Trigger))
	switch missing := time.Duration(r.Successes - 1); { // tokens before the last one
	case proven && ready.After(now):
		return Wait{ready}
	case proof == Proof{} && ready.Add(-missing*r.Spacing).After(now):
		return Wait{ready.Add(-missing * r.Spacing)} // a proof that comes earlier could not be used
	case !proven:
		return Prove{}
	case rec.Phase == Verifying:
		return Promote{}
	}
	return Publish{}
}

// proof is what this pass has seen of the run's credential; nothing if what it has seen
// was of another one.
func (r *Record) proof() Proof {
	if r.Run == nil || r.Proof.StagedVersion != r.Run.StagedVersion {
		return Proof{}
	}
	return r.Proof
}

// prove counts one try to get a fresh token with the staged value. Only a row of
// successes within one pass proves anything: replicas that don't know a credential yet
// answer in between.
func (t *transition) prove() {
	rec, run, err := t.rec, t.rec.Run, t.out.Err
	proof := rec.proof()
	proof.StagedVersion = run.StagedVersion
	switch {
	case err == nil:
		proof.Successes, proof.Failures = proof.Successes+1, 0
		proof.NextAt = t.now.Add(t.Spacing)
		if proof.Successes >= t.Successes {
			proof.NextAt = t.now
		}
	case errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err):
		// The version is gone, disabled or another's: this attempt can't be proven any
		// more. Its deadline is now (rule R5).
		proof = Proof{StagedVersion: run.StagedVersion, Failures: 1}
		run.Deadline = t.now
	default:
		proof.Successes, proof.Failures = 0, proof.Failures+1
		pause := min(t.Spacing<<min(proof.Failures/4, 4), time.Minute)
		proof.NextAt = t.now.Add(max(pause, serviceerror.RetryAfterOf(err)))
		if !serviceerror.RefusesCredential(err) { // worth showing
			rec.Error = t.failure(t.now, rec, err)
			rec.Error.RetryAt = proof.NextAt
		}
	}
	rec.Proof = proof
}

// promote records that the credential is proven and old enough.
func (t *transition) promote() {
	t.rec.Run.Deadline = t.now.Add(t.Attempt)
	t.rec.Phase, t.rec.Error = Publishing, nil
}

// withdraw ends an attempt that may have got as far as being published: what is published
// is current before the attempt's credential becomes removable (rule R5).
func (t *transition) withdraw() {
	rec, run, asked := t.rec, *t.rec.Run, t.rec.Request
	if t.out.Err != nil {
		t.fail(t.out.Err)
		return
	}
	if asked != nil && !asked.ends() {
		asked = nil
	}
	event := Event{
		Kind: EventAttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID,
		Message: "the new credential did not prove itself in time",
	}
	rebinding := rec.Phase == Rebinding
	if rebinding {
		event.Kind = EventRebindRefused
	}
	if asked != nil {
		event.Message = "on request: " + string(asked.Kind)
	}
	t.tell(event)
	if t.out.PublishedVersion != "" {
		rec.Current.VaultVersion = t.out.PublishedVersion
	}
	switch {
	case asked != nil:
		t.giveUpOnRequest(asked)
	case rebinding:
		t.giveUpRun("failed", "the new client secret was refused for "+t.Attempt.String()+"; the connection keeps its old one")
	default:
		rec.Error = t.failure(t.now, rec, &serviceerror.Error{
			Op: "proving the new credential", Class: serviceerror.Transient, Detail: fmt.Sprintf("no proof within %s", t.Attempt),
		})
		t.giveUpAttempt()
		rec.Phase = Issuing // the run goes on with a new attempt
	}
}

// endRunOnRequest gives up a run of which nothing was published.
func (t *transition) endRunOnRequest() {
	run, asked := t.rec.Run, t.rec.Request
	t.tell(Event{
		Kind: EventAttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID,
		Message: "on request: " + string(asked.Kind), By: asked.By,
	})
	t.giveUpOnRequest(asked)
}

// giveUpOnRequest ends the run. Abandoning is all that was asked for; other requests stay
// for the idle phase.
func (t *transition) giveUpOnRequest(asked *Request) {
	rec, run := t.rec, *t.rec.Run
	t.giveUpRun("abandoned", "on request: "+string(asked.Kind))
	if asked.Kind != AskAbandon {
		return
	}
	t.clearRequest()
	rec.Error = nil // it was the run's
	if run.Trigger == OnSchedule && rec.Policy.Enabled && !run.Slot.After(t.now) {
		rec.NextSlot = rec.Policy.Schedule.After(run.Slot, t.now)
	}
	if (t.planIdle(t.now, rec) == BeginRun{}) { // not at once what was just given up
		rec.Error = &Failure{
			Class: serviceerror.Transient, Message: "The run was abandoned on request.", Count: 1, At: t.now, RetryAt: t.now.Add(time.Hour),
		}
	}
}

// makeEmergency makes the run under way an emergency (rule R12).
func (t *transition) makeEmergency() {
	run, asked := t.rec.Run, t.rec.Request
	run.Trigger, run.Grace = OnEmergency, 0
	t.endGracePeriods()
	t.retryNow()
	t.tell(Event{Kind: EventRequested, RunID: run.ID, Trigger: OnEmergency, By: asked.By})
	t.clearRequest()
}
