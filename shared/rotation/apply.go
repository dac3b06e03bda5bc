package rotation

import (
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// Outcome is what came of doing a step: what was observed, and one error. A field is set
// by the steps that its comment names; values of secrets are never in it.
type Outcome struct {
	Err error // what failed; nil if nothing did

	// Drawn by the pass.
	RunID      string // BeginRun: for a run that no request names
	Marker     string // BeginRun, BeginAttempt: the display name of the attempt's credential
	LeaseToken string // BeginRun, BeginAttempt: of the lease under which it may be issued

	Settled bool         // AdoptGiven: storing what was given had a definite answer
	Found   *VaultSecret // AdoptGiven, Reconcile: the version that was looked for; nil if there is none

	NotCurrent bool // Withdraw, removals: what is published is not current

	NotSent       bool      // IssueCredential: addPassword was not sent, so that nothing was issued
	SentAt        time.Time // IssueCredential: when addPassword was sent
	IssuedAt      time.Time // IssueCredential: when it was answered
	Issued        *Issued   // IssueCredential: what the directory issued; nil if that is unknown
	Digest        string    // IssueCredential: of its value
	StagedVersion string    // IssueCredential: the version that holds its value; empty: it could not be stored
	Stray         bool      // IssueCredential: a version, of the value or of the probe, may be on its way, whose write was not answered

	Proven bool        // Publish: a fresh token was got with the very value that was then published
	Next   *Credential // Publish: the new credential

	PublishedVersion string // Publish, Republish: the version that was written under the published name

	GateOpen   bool // removals: what is published is current, and works
	OtherWorks bool // removals: another known credential of the application still works

	Disabled    []string  // DisableStale: of the known versions those that are disabled now
	Looked      time.Time // DisableStale: the [Stale.LookAt] that a listing was made for; zero: none was
	LookAgainAt time.Time // DisableStale: when what was too young to be disabled is old enough; zero: there was nothing

	Application *ApplicationState // IdentifyCurrent, ConfirmRemoved: the application as it was read; nil: it could not be read

	Identified *Password // IdentifyCurrent: what current is; nil if that is not beyond doubt
	Doubt      string    // IdentifyCurrent: why not, with the candidates

	Unclaimed bool // AdoptGiven: a claim of the record is gone, so that another connection may have its place
}

// Apply records what came of a step: it returns the next record, and the lines of the
// history that the same commit writes. It is pure. The caller holds the lease.
//
// rec may be newer than the record that the step was planned for: the API may have changed
// it in between, so that Apply checks every precondition on rec. Where a step only writes an
// intent the caller plans again instead (rule R1).
func (r Rules) Apply(now time.Time, rec Record, step Step, out Outcome) (Record, []Event) {
	next := rec.Clone()
	t := &transition{Rules: r, now: now, rec: &next, out: out}
	t.removedByHand()
	left := len(next.ByHand)
	t.apply(step)
	next.LearnName(out.Application)
	t.finish(left)
	return next, t.events
}

// transition is one Apply under way.
type transition struct {
	Rules
	now    time.Time
	rec    *Record // as it becomes
	out    Outcome
	events []Event
}

func (t *transition) tell(e Event) { t.events = append(t.events, e) }

// apply is the one switch from a step to what it means for the record.
func (t *transition) apply(step Step) {
	switch step := step.(type) {
	case AdoptGiven:
		t.adoptGiven()
	case BeginRun:
		t.beginRun()
	case BeginAttempt:
		t.beginAttempt(t.rec.Run)
	case IssueCredential:
		t.issueCredential()
	case Reconcile:
		t.reconcile()
	case Prove:
		t.prove()
	case Promote:
		t.promote()
	case Publish:
		t.publish()
	case Republish:
		t.republish()
	case AnnounceWrite:
		t.announce(step.Of)
	case Withdraw:
		t.withdraw()
	case EndRun:
		t.endRunOnRequest()
	case MakeEmergency:
		t.makeEmergency()
	case EndGracePeriods:
		t.endGracePeriods()
	case IdentifyCurrent:
		t.identify()
	case DropRequest:
		t.dropRequest()
	case RefuseRequest:
		t.refuseRequest()
	case BeginRebind:
		t.beginRebind()
	case BeginDelete:
		t.beginDelete()
	case RevokeCurrent:
		t.revokeCurrent()
	case Purge:
		t.fail(t.out.Err) // one that succeeded leaves no record
	case DisableStale:
		t.disableStale()
	case Remove:
		t.remove(step.ID)
	case ConfirmRemoved:
		t.confirmRemoved(step.ID)
	case ConfirmRefused:
		t.confirmRefused(step.ID)
	case WarnOfExpiry:
		t.warnOfExpiry()
	case WarnOfSignInEnd:
		t.warnOfSignInEnd()
	case RenewSignIn:
		t.renewSignIn()
	case WakeTargets:
		t.wakeTargets(step.Generation)
	}
}

// finish keeps the lists short, drops the claims that nothing needs any more, tells of what was left to a person (before is how many
// there were), and gives the notices that are due.
func (t *transition) finish(before int) {
	rec := t.rec
	for _, h := range rec.ByHand[min(before, len(rec.ByHand)):] {
		t.tell(Event{Kind: history.ByHand, KeyID: h.KeyID, Target: h.Target, Message: h.Reason, Notice: true})
	}
	rec.ByHand = rec.ByHand[max(0, len(rec.ByHand)-MaxByHand):]
	rec.DropClaims()
	if rec.Phase == Deleting && rec.DeletingSince.IsZero() { // a creation is undone, or an older Rekey has begun it
		rec.DeletingSince = t.now
	}
	t.events = append(t.events, Tell(rec, t.now)...)
	for i := range t.events {
		if t.events[i].At.IsZero() {
			t.events[i].At = t.now
		}
	}
}

// fail records that a step did not work, and when to try again.
func (t *transition) fail(err error) {
	asked := ""
	if t.rec.Request != nil {
		asked = t.rec.Request.ID
	}
	t.rec.Error = t.failure(t.now, t.rec, err)
	t.rec.Error.Request = asked
}

// longestHold is how much of a pause that a service asked for no request lifts: no documented limit
// has a longer window. An emergency may have to wait for it although another service asked.
const longestHold = 5 * time.Minute

// failure describes err after the failures that rec has had already. What passes by
// itself and what does not are counted apart: an outage must not make the first
// refusal after it wait for a day.
func (r Rules) failure(now time.Time, rec *Record, err error) *Failure {
	count, class := 1, serviceerror.ClassOf(err)
	if rec.Error != nil && rec.Error.Class.Refusal() == class.Refusal() {
		count = rec.Error.Count + 1
	}
	f := &Failure{
		Class: class, Message: serviceerror.Explain(err), Count: count, At: now, RetryAt: now.Add(rec.pauseAfter(now, class, count)),
	}
	if wanted := serviceerror.RetryAfterOf(err); wanted > 0 {
		f.NotBefore = now.Add(min(wanted, longestHold))
		f.RetryAt = later(f.RetryAt, now.Add(wanted))
	}
	return f
}

// pauseAfter is how long what has failed for the count-th time in a row waits: a day's
// pause must not let current expire (rule R10).
func (r *Record) pauseAfter(now time.Time, class serviceerror.Class, count int) time.Duration {
	pause := Backoff(r.ID, class, count)
	if left, ok := r.left(now); ok {
		pause = min(pause, max(left/4, time.Minute))
	}
	return pause
}

// left is how long current may still be used; not ok if its end is not known, has come, or
// does not matter because no rotation is to prevent it.
func (r *Record) left(now time.Time) (left time.Duration, ok bool) {
	if !r.Policy.Enabled || r.Current == nil || r.Current.ExpiresAt.IsZero() {
		return 0, false
	}
	left = r.Current.ExpiresAt.Sub(now)
	return left, left > 0
}

// RetryNow lifts the pauses after failures, of the run and of removals, without forgetting how many there
// were, as far as the service that failed allows. It reports whether there was one to lift.
func (r *Record) RetryNow(now time.Time) (waited bool) {
	for i := range r.Removals {
		if m := &r.Removals[i]; m.Problem != "" && m.Problem != serviceerror.Throttled && m.NextAt.After(now) {
			m.NextAt, waited = now, true
		}
	}
	if e := r.Error; e != nil {
		if at := later(now, e.NotBefore); e.RetryAt.After(at) {
			e.RetryAt, waited = at, true
		}
	}
	return waited
}

// clearRequest takes off the record the request that the step has served.
func (t *transition) clearRequest() { t.rec.Request, t.rec.Outranked = t.rec.Outranked, nil }

func (t *transition) dropRequest() {
	asked := t.rec.Request
	if asked == nil {
		return
	}
	t.clearRequest()
	if asked.Kind == AskRotate && t.rec.Run != nil {
		t.rec.RetryNow(t.now) // the run that is under way is the answer, and goes on at once
	}
}

// refuseRequest ends a request that can't be served as the record is now. The caller
// finds why in the last run and in the history.
func (t *transition) refuseRequest() {
	asked := t.rec.Request
	if asked == nil {
		return
	}
	t.refuse(t.rec.Unable(asked))
}

// refuse ends the pending request with a result that says why.
func (t *transition) refuse(why string) {
	asked := t.rec.Request
	t.clearRequest()
	t.rec.LastRun = &RunResult{ID: asked.ID, Trigger: OnRequest, StartedAt: asked.At, FinishedAt: t.now, Outcome: "failed", Message: why}
	t.tell(Event{Kind: history.Failed, RunID: asked.ID, Trigger: OnRequest, By: asked.By, Message: why})
}

// endGracePeriods ends every grace period, and every pause after a removal that failed
// (rule R12).
func (t *transition) endGracePeriods() {
	if q := t.rec.Request; q != nil {
		q.Hastened = true
	}
	for i := range t.rec.Removals {
		if m := &t.rec.Removals[i]; m.waits(t.now) {
			m.After, m.NextAt = earlier(m.After, t.now), t.now
		}
	}
}

// waits reports whether an emergency would have the removal made earlier.
func (m *Removal) waits(now time.Time) bool {
	return m.RemovedAt.IsZero() && m.KeyID != "" && (m.After.After(now) || m.NextAt.After(now))
}
