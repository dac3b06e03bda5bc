package rotation

import (
	"fmt"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// planProof plans verifying, publishing and rebinding, which share the proof. A proof
// counts only for the pass that made it, so that the pass that publishes has seen it
// itself (rule R4).
func (r Rules) planProof(now time.Time, rec *Record, lease Lease) Step {
	run, proof := rec.Run, rec.proof()
	if r.hopelessAttempt(now, rec) {
		return r.onceSettled(now, rec, "", lease, Withdraw{})
	}
	if proof.NextAt.After(now) {
		at := proof.NextAt
		if proof.Failures > 0 && proof.Wrong && run.Deadline.After(now) {
			at = earlier(at, run.Deadline)
		}
		return Wait{at}
	}
	proven := proof.Successes >= r.Successes
	ready := later(run.IssuedAt.Add(r.minAge(run.Trigger)), rec.settlesAt(run.StagedVersion))
	switch missing := time.Duration(r.Successes - 1); { // tokens before the last one
	case proven && ready.After(now):
		return Wait{ready}
	case proof == Proof{} && ready.Add(-missing*r.Spacing).After(now):
		return Wait{ready.Add(-missing * r.Spacing)} // a proof that comes earlier could not be used
	case !proven:
		return Prove{}
	case rec.Phase == Verifying:
		return r.onceSettled(now, rec, run.StagedVersion, lease, Promote{})
	}
	return r.onceSettled(now, rec, run.StagedVersion, lease, Publish{})
}

// onceSettled holds back a step that writes the value of a version under the published
// name (empty: one that gives up what may have been written), until no other write can land
// any more (rule R8). A write is announced first, for the lease under which it is made.
func (r Rules) onceSettled(now time.Time, rec *Record, version string, lease Lease, step Step) Step {
	if at := rec.settlesAt(version); at.After(now) {
		return Wait{at}
	}
	announced := rec.Unsettled.Of == version && !rec.Unsettled.Until.Before(lease.Until.Add(r.Late))
	switch step.(type) {
	case Publish, Republish:
		if !announced {
			return AnnounceWrite{version}
		}
	}
	return step
}

// hopelessAttempt reports whether an attempt is given up (rule R5): it was tried for its
// time, and the last refusal says that its value is wrong or not there. Any other refusal,
// of a principal that is disabled or a sign-in that a policy forbids, says nothing about
// the credential: it is kept, and replaced only before its own life is over. What the
// caller gave is refused for any reason. Where a request ends the run, that there is no such
// application counts as well.
//
// Given up is only what this pass has tried, so that a credential that works is not given
// up because the timer was late.
func (r Rules) hopelessAttempt(now time.Time, rec *Record) bool {
	run, proof := rec.Run, rec.proof()
	if proof.Failures == 0 || now.Before(run.Deadline) {
		return false
	}
	ends := !run.ExpiresAt.IsZero() && run.ExpiresAt.Sub(now) < rec.Policy.Grace+3*day
	ended := rec.Request != nil && rec.Request.ends() && proof.Dead
	return proof.Wrong || rec.Phase == Rebinding || ends || ended
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
	case serviceerror.Unreadable(err):
		// The version is gone, disabled or another's: this attempt can't be proven any
		// more. Its deadline is now (rule R5).
		proof = Proof{StagedVersion: run.StagedVersion, Failures: 1, Wrong: true}
		run.Deadline = t.now
	default:
		proof.Successes, proof.Failures = 0, proof.Failures+1
		class := serviceerror.ClassOf(err)
		proof.Wrong = class == serviceerror.CredentialRefused || class == serviceerror.CredentialExpired
		proof.Dead = proof.Wrong || class == serviceerror.ApplicationMissing || class == serviceerror.TenantMissing
		pause := min(t.Spacing<<min(proof.Failures/4, 4), time.Minute)
		proof.NextAt = t.now.Add(max(pause, serviceerror.RetryAfterOf(err)))
		rec.Proof = proof
		proof.NextAt = t.showRefusal(err)
	}
	rec.Proof = proof
}

// showRefusal puts on the record what refuses the run's credential, if a person may have to change something, and
// returns when to try again. Before every replica knows the credential that is not worth showing; after its time the
// next try waits as after any failure, unless the attempt is given up.
func (t *transition) showRefusal(err error) (next time.Time) {
	rec, run, proof := t.rec, t.rec.Run, t.rec.Proof
	refuses, known := serviceerror.RefusesCredential(err), !t.now.Before(run.IssuedAt.Add(t.MinAge))
	switch {
	case refuses && !t.now.Before(run.Deadline) && !t.hopelessAttempt(t.now, rec):
		t.fail(err)
		return rec.Error.RetryAt
	case !refuses, !proof.Wrong && known:
		rec.Error = t.failure(t.now, rec, err)
		rec.Error.RetryAt = proof.NextAt
		if refuses {
			rec.Error.Count = 0 // it is tried all the time: no pause grows with these
		}
	}
	return proof.NextAt
}

// promote records that the credential is proven and old enough.
func (t *transition) promote() {
	t.rec.Run.Deadline = t.now.Add(t.Attempt)
	t.rec.Phase, t.rec.Error = Publishing, nil
	t.announce(t.rec.Run.StagedVersion)
}

// withdraw ends an attempt that may have got as far as being published: what is published
// is current before the attempt's credential becomes removable (rule R5).
func (t *transition) withdraw() {
	rec, run, asked := t.rec, *t.rec.Run, t.rec.Request
	switch {
	case t.out.Err != nil:
		t.fail(t.out.Err)
		return
	case t.out.NotCurrent && !(asked != nil && asked.ends() && run.Stands && rec.proof().Dead): // else neither works
		rec.RepublishAt = t.now
		return
	}
	if asked != nil && !asked.ends() {
		asked = nil
	}
	event := Event{
		Kind: history.AttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID,
		Message: "the new credential did not prove itself in time",
	}
	rebinding := rec.Phase == Rebinding
	if rebinding {
		event.Kind = history.RebindRefused
	}
	if asked != nil {
		event.Message = "on request: " + string(asked.Kind)
	}
	t.tell(event)
	switch {
	case asked != nil:
		t.giveUpOnRequest(asked)
	case rebinding:
		t.giveUpRun("failed", "the new client secret was refused for "+t.Attempt.String()+"; the connection keeps its old one")
		rec.Error = nil // it was the new one's
	case run.Attempt >= maxAttempts:
		t.giveUpRun("failed", fmt.Sprintf("%d new client secrets in a row did not prove themselves", maxAttempts))
		rec.Unproven++
		rec.Error = t.noProof(serviceerror.CredentialRefused, rec.Unproven)
		t.tell(Event{
			Kind: history.Failed, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID, By: run.By,
			Class: rec.Error.Class, Message: rec.LastRun.Message,
		})
	default:
		rec.Error = t.noProof(serviceerror.Transient, run.Attempt)
		t.giveUpAttempt()
		rec.Phase = Issuing // the run goes on with a new attempt
	}
}

// maxAttempts is how many attempts a run has. The next run waits, longer after each that
// ended so, until one proves itself (rule R5).
const maxAttempts = 3

func (t *transition) noProof(class serviceerror.Class, count int) *Failure {
	t.rec.Error = nil
	f := t.failure(t.now, t.rec, &serviceerror.Error{Op: "proving the new credential", Class: class,
		Detail: fmt.Sprintf("no proof within %s", t.Attempt)})
	f.Count, f.RetryAt = count, t.now.Add(t.rec.pauseAfter(t.now, class, count))
	return f
}

// endRunOnRequest gives up a run of which nothing was published.
func (t *transition) endRunOnRequest() {
	run, asked := t.rec.Run, t.rec.Request
	t.tell(Event{
		Kind: history.AttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID,
		Message: "on request: " + string(asked.Kind), By: asked.By,
	})
	t.giveUpOnRequest(asked)
}

// giveUpOnRequest ends the run. Abandoning is all that was asked for; other requests stay
// for the idle phase.
func (t *transition) giveUpOnRequest(asked *Request) {
	rec, run := t.rec, *t.rec.Run
	t.giveUpRun("abandoned", "on request: "+string(asked.Kind))
	if asked.Kind == AskKeep {
		t.clearRequest()
		rec.Error = nil // it was that of the credentials that are not wanted
		return
	}
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
	t.rec.RetryNow(t.now)
	t.tell(Event{Kind: history.Requested, RunID: run.ID, Trigger: OnEmergency, By: asked.By})
	t.clearRequest()
}
