package rotation

import (
	"slices"
	"time"
)

// Do is what an [Action] does.
type Do string

// The actions. Each is one method of [Rotator] and ends in one commit.
const (
	Wait Do = "wait" // until Action.At; for ever if that is zero

	Adopt         Do = "adopt given secret" // creating: is the given secret in the vault?
	BeginRun      Do = "begin run"          // idle: write the intent down
	NextAttempt   Do = "next attempt"       // issuing: write the next intent down
	Issue         Do = "issue"              // issuing: probe, addPassword, staged value
	Reconcile     Do = "reconcile"          // issuing: was anything issued under the marker?
	Check         Do = "check"              // one fresh token from the staged version
	Promote       Do = "promote"            // verifying: proven and old enough
	Publish       Do = "publish"            // publishing, rebinding
	Withdraw      Do = "withdraw"           // publish current again if need be, then end the attempt
	EndRun        Do = "end run"            // on request: give the attempt and the run up
	Upgrade       Do = "upgrade"            // a run under way becomes an emergency
	Hasten        Do = "hasten"             // every grace period ends now
	BeginRebind   Do = "begin rebind"       //
	BeginDelete   Do = "begin delete"       //
	RevokeCurrent Do = "revoke current"     // deleting with revoke, after everything else
	Purge         Do = "purge"              // deleting: vault, reservations, rows
	DropRequest   Do = "drop request"       // it has nothing to act on
	Refuse        Do = "refuse request"     // idle: a rotation by hand that can't be begun; see [Record.Unable]
	Disable       Do = "disable staged"     // Spent[Index]
	Revoke        Do = "revoke"             // Retiring[Index]
	RemoveOrphan  Do = "remove orphan"      // Abandoned[Index], whose key id is known
	Look          Do = "look"               // read the application: is what was removed gone?
	ProveRefused  Do = "prove refused"      // Retiring[Index], the target's last credential
	Warn          Do = "warn"               // current is about to expire
	WarnAuth      Do = "warn of sign-in"    // what the connection authenticates with is about to expire
	Renew         Do = "renew sign-in"      // before a refresh token that nobody uses ends
)

// Action is the next thing to do for a connection.
type Action struct {
	Do    Do
	At    time.Time // of Wait
	Index int       // of Disable, Revoke, RemoveOrphan, Look, ProveRefused
}

// Plan decides the next action for rec at now, for the holder of lease. It is
// pure. With the zero Lease it tells when the connection has to be woken.
//
// The phase goes first; while it has to wait, what lies beside it (retiring,
// abandoned, spent, warnings) is worked off.
func (r Rules) Plan(now time.Time, rec *Record, lease Lease) Action {
	main := r.planPhase(now, rec, lease)
	if main.Do != Wait {
		return main
	}
	side := r.planDuties(now, rec)
	if side.Do != Wait {
		return side
	}
	return Action{Do: Wait, At: earlier(main.At, side.At)}
}

// Wake is when rec has to be woken by whoever holds no lease yet; zero for never.
func (r Rules) Wake(now time.Time, rec *Record) time.Time {
	a := r.Plan(now, rec, Lease{})
	if a.Do != Wait {
		return now
	}
	return a.At
}

// planPhase plans requests and phases.
func (r Rules) planPhase(now time.Time, rec *Record, lease Lease) Action {
	if rec.Phase == Idle && rec.refusedRequest() && rec.Error.RetryAt.After(now) {
		return Action{Do: Wait, At: rec.Error.RetryAt} // the slot waits, too
	}
	if rec.Request != nil {
		if a, ok := r.planRequest(now, rec); ok {
			return pausedFor(rec, now, a)
		}
	}
	var a Action
	switch rec.Phase {
	case Creating:
		a = Action{Do: Adopt}
	case Idle:
		return r.planIdle(now, rec)
	case Issuing:
		a = r.planIssuing(now, rec.Run, lease)
	case Verifying, Publishing, Rebinding:
		a = r.planProof(now, rec, lease)
	case Deleting:
		a = r.planDeleting(rec)
	default:
		return Action{Do: Wait} // a phase of a newer version: hands off
	}
	return pausedFor(rec, now, a)
}

// pausedFor holds a back until the retry time of the last failure. What a request
// asks for is done at once, except for trying once more what has failed for it.
func pausedFor(rec *Record, now time.Time, a Action) Action {
	if rec.Error == nil || !rec.Error.RetryAt.After(now) {
		return a
	}
	switch a.Do {
	case Wait:
		return a
	case BeginRun, Upgrade, Hasten, EndRun, BeginDelete, BeginRebind, DropRequest, Refuse:
		return a // nothing outside is asked, so nothing can fail again
	case Withdraw:
		if q := rec.Request; q != nil && q.ends() && q.ID != rec.Error.Request {
			return a
		}
	}
	return Action{Do: Wait, At: rec.Error.RetryAt}
}

// planRequest plans what the API asked for (rule R12). Not ok: nothing before the
// phase has gone on.
func (r Rules) planRequest(now time.Time, rec *Record) (a Action, ok bool) {
	if rec.Phase == Deleting {
		return Action{Do: DropRequest}, true
	}
	running := rec.Phase == Issuing || rec.Phase == Verifying
	switch rec.Request.Kind {
	case AskDelete, AskRebind, AskAbandon:
		switch {
		case rec.Phase == Publishing, rec.Phase == Rebinding && rec.Request.Kind != AskAbandon:
			return Action{Do: Withdraw}, true
		case running && rec.Request.Kind != AskDelete:
			return Action{Do: EndRun}, true
		case rec.Request.Kind == AskDelete:
			return Action{Do: BeginDelete}, true
		case rec.Request.Kind == AskRebind && rec.Phase == Idle:
			return Action{Do: BeginRebind}, true
		case rec.Request.Kind == AskAbandon && rec.Phase != Creating:
			return Action{Do: DropRequest}, true
		}
	case AskEmergency:
		switch {
		case rec.Phase == Idle:
			return Action{Do: BeginRun}, true
		case running, rec.Phase == Publishing:
			return Action{Do: Upgrade}, true
		case rec.Phase == Rebinding && inGrace(rec, now):
			return Action{Do: Hasten}, true
		}
	case AskRotate:
		switch {
		case rec.Phase == Idle && rec.Unable(rec.Request) != "":
			return Action{Do: Refuse}, true
		case rec.Phase == Idle:
			return Action{Do: BeginRun}, true
		case running, rec.Phase == Publishing:
			return Action{Do: DropRequest}, true // that run is the answer
		}
	default:
		return Action{Do: DropRequest}, true
	}
	return Action{}, false
}

// inGrace reports whether a grace period is running that an emergency would end.
func inGrace(rec *Record, now time.Time) bool {
	return slices.ContainsFunc(rec.Retiring, func(o Retiring) bool { return o.RevokeAfter.After(now) })
}

func (r Rules) planIdle(now time.Time, rec *Record) Action {
	due := time.Time{}
	switch {
	case r.lost(rec.Current, now):
		due = now
	case rec.owed():
		due = now // the run that takes the original over is still owed
	case rec.Policy.Enabled:
		due = rec.NextSlot
	}
	if due.IsZero() {
		return Action{Do: Wait}
	}
	if rec.Error != nil && rec.Error.RetryAt.After(due) {
		due = rec.Error.RetryAt
	}
	if due.After(now) {
		return Action{Do: Wait, At: due}
	}
	return Action{Do: BeginRun}
}

// lost reports whether the published credential has been refused often and long
// enough to say that somebody removed it (rule R6).
func (r Rules) lost(c *Credential, now time.Time) bool {
	return c != nil && c.Refusals >= r.LossCount && !now.Before(c.RefusedSince.Add(r.LossPeriod))
}

func (r Rules) planIssuing(now time.Time, run *Run, lease Lease) Action {
	switch {
	case run.Marker == "":
		return Action{Do: NextAttempt}
	case lease.Token != "" && run.IssuedUnder == lease.Token:
		return Action{Do: Issue}
	case run.NextCheck.After(now):
		return Action{Do: Wait, At: run.NextCheck}
	}
	return Action{Do: Reconcile}
}

// planProof plans verifying, publishing and rebinding, which share the proof. A
// proof counts only for the pass that made it, so that the pass that publishes has
// seen it itself (rule R6).
func (r Rules) planProof(now time.Time, rec *Record, lease Lease) Action {
	run := rec.Run
	// One that worked when it was last asked is not given up because nobody came
	// to ask again in time.
	if run.Successes == 0 && !now.Before(run.Deadline) {
		return Action{Do: Withdraw}
	}
	if run.NextCheck.After(now) {
		at := run.NextCheck
		if run.Successes == 0 {
			at = earlier(at, run.Deadline)
		}
		return Action{Do: Wait, At: at}
	}
	proven := run.Successes >= r.Successes
	if ready := run.IssuedAt.Add(r.minAge(run.Trigger)); proven && ready.After(now) {
		return Action{Do: Wait, At: ready}
	}
	switch {
	case !proven || lease.Token == "" || run.ProvenUnder != lease.Token:
		return Action{Do: Check}
	case rec.Phase == Verifying:
		return Action{Do: Promote}
	}
	return Action{Do: Publish}
}

// planDeleting ends the record once its duties are done. What current is needed
// for goes first, since its own removal takes away the means to do anything.
func (r Rules) planDeleting(rec *Record) Action {
	if len(rec.Retiring)+len(rec.Abandoned)+len(rec.Spent) > 0 {
		return Action{Do: Wait} // the duties say until when
	}
	if rec.Revoke && rec.Current != nil && rec.Current.Origin == OriginIssued {
		return Action{Do: RevokeCurrent}
	}
	return Action{Do: Purge}
}

// earlier returns the earlier of two times, of which a zero one means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
