package rotation

import (
	"cmp"
	"slices"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// planIssuing plans an attempt: its intent, its issue under the lease that wrote that, or what
// a pass that is gone has left.
func (r Rules) planIssuing(now time.Time, rec *Record, lease Lease) Step {
	run := rec.Run
	urgent := run.Trigger == OnEmergency || run.Trigger == OnLoss
	switch {
	case run.Marker == "" && !urgent && rec.crowdedByOrphans(now):
		return Wait{}
	case run.Marker == "":
		return BeginAttempt{}
	case lease.Token != "" && run.IssuedUnder == lease.Token:
		return IssueCredential{}
	case run.NextCheck.After(now):
		return Wait{run.NextCheck}
	}
	return Reconcile{}
}

// beginRun writes the intent down: from here on the marker is known, whatever happens.
func (t *transition) beginRun() {
	rec, asked := t.rec, t.rec.Request
	run := &Run{ID: t.out.RunID, Trigger: OnSchedule, StartedAt: t.now, Slot: rec.NextSlot, Grace: rec.Policy.Grace, Target: rec.Target,
		Origin: OriginIssued}
	if rec.Current == nil && rec.Via != "" { // all that it replaces is what the target retires
		run.Grace = rec.OriginalGrace()
	}
	lost := t.Lost(rec.Current, t.now)
	switch {
	case asked != nil && asked.Kind == AskEmergency:
		run.Trigger, run.Grace = OnEmergency, 0
	case asked != nil:
		run.Trigger = OnRequest
	case lost:
		run.Trigger, run.Grace = OnLoss, 0
	case rec.owed():
		run.Trigger, run.Grace = OnCreation, rec.OriginalGrace()
	}
	if asked != nil {
		run.ID, run.By = asked.ID, asked.By
		if asked.Grace != nil && run.Trigger == OnRequest {
			run.Grace, run.AskedGrace = *asked.Grace, asked.Grace
		}
	}
	if run.Trigger != OnSchedule {
		run.Slot = time.Time{}
	}
	t.tell(Event{Kind: history.Started, RunID: run.ID, Trigger: run.Trigger, By: run.By})
	if lost {
		t.tell(Event{
			Kind: history.Lost, RunID: run.ID, KeyID: rec.Current.KeyID, Class: serviceerror.CredentialLost,
			Message: serviceerror.CredentialLost.Advice(), Notice: true,
		})
	}
	t.beginAttempt(run)
	rec.Run, rec.Phase = run, Issuing
	t.clearRequest()
	rec.RetryNow(t.now)
	if run.Trigger == OnEmergency {
		t.endGracePeriods()
	}
}

// beginAttempt gives run a marker of its own, to be issued under this lease only.
func (t *transition) beginAttempt(run *Run) {
	run.Attempt++
	run.Marker, run.IssuedUnder, run.FirstIssuedAt = t.out.Marker, t.out.LeaseToken, t.now
	run.NextCheck = time.Time{}
}

// issueCredential records what is known after addPassword (rule R1).
func (t *transition) issueCredential() {
	run, err := t.rec.Run, t.out.Err
	if class := serviceerror.ClassOf(err); err == nil {
		t.rec.VaultRefused = false
	} else if t.out.Issued != nil || class == serviceerror.VaultRefused || class == serviceerror.VaultConflict {
		t.rec.VaultRefused = true
	}
	if t.out.Stray {
		t.rec.Stale.Look(t.now)
	}
	switch {
	case t.out.Issued != nil && t.out.StagedVersion != "":
		run.KeyID, run.Hint, run.ExpiresAt = t.out.Issued.KeyID, t.out.Issued.Hint, t.out.Issued.ExpiresAt
		run.Digest = t.out.Digest
		run.IssuedAt, run.StagedVersion = t.out.IssuedAt, t.out.StagedVersion
		run.Target.ObjectID = cmp.Or(t.out.Application.ObjectID, run.Target.ObjectID)
		t.rec.LongestAccepted = cmp.Or(run.Lifetime, t.rec.LongestAccepted)
		t.issued()
	case t.out.Issued != nil: // its value is lost
		run.KeyID, run.IssuedAt = t.out.Issued.KeyID, t.out.IssuedAt
		t.fail(err)
		t.tell(Event{
			Kind: history.AttemptDropped, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID, Class: serviceerror.ClassOf(err),
			Message: "the new value could not be stored in Key Vault",
		})
		t.giveUpAttempt()
	case t.out.NotSent && err == nil: // for want of time: the next pass begins anew
		t.unissued()
	case serviceerror.ClassOf(err) == serviceerror.Full && t.rec.removedLately(t.now):
		t.fail(&serviceerror.Error{Op: "waiting for room on the application", Class: serviceerror.Transient,
			Detail: "a client secret was just removed"})
		t.unissued()
	case t.out.NotSent:
		t.failRun(err)
	case serviceerror.UnknownOutcome(err):
		// The value, if there is one, is lost. Reconcile will look for a staged
		// version, find none, and give the attempt up when its time has come.
		t.fail(err)
		run.IssuedUnder, run.FirstIssuedAt = "", t.out.SentAt
	case serviceerror.ClassOf(err) == serviceerror.PolicyLifetime && t.rec.Lifetime() > shortest:
		run.Lifetime = max(t.rec.Lifetime()/2, shortest)
		t.unissued()
	default:
		t.failRun(err)
	}
}

// removedLately reports whether a removal may not have reached every replica yet, so that
// an application looks full that has room.
func (r *Record) removedLately(now time.Time) bool {
	return slices.ContainsFunc(r.Removals, func(m Removal) bool { return !m.RemovedAt.IsZero() && now.Before(m.RemovedAt.Add(showsAgain)) })
}

// issued moves a run whose credential and staged version are known to verifying.
func (t *transition) issued() {
	rec, run := t.rec, t.rec.Run
	run.IssuedUnder, run.NextCheck, run.Deadline = "", time.Time{}, t.now.Add(t.Attempt)
	rec.Phase, rec.Error, rec.Proof = Verifying, nil, Proof{}
	rec.learn(run.Target)
	t.tell(Event{Kind: history.Issued, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID, By: run.By})
}

// unissued takes back the intent of an attempt of which nothing was issued for sure:
// nothing bears its marker, and the next attempt takes a new one in its place.
func (t *transition) unissued() {
	run := t.rec.Run
	run.Attempt--
	run.Marker, run.IssuedUnder, run.FirstIssuedAt = "", "", time.Time{}
}

// reconcile decides what was issued under the marker by a pass that is gone (rule R3).
// An enabled staged version that bears the marker and a key id is complete: it is
// adopted. Otherwise the attempt is given up, once nothing that was under way can arrive
// any more.
func (t *transition) reconcile() {
	run := t.rec.Run
	if t.out.Err != nil {
		t.fail(t.out.Err)
		return
	}
	if found := t.out.Found; found != nil {
		run.KeyID, run.StagedVersion = found.Tags[vaulttag.KeyID], found.Version
		run.ExpiresAt, run.IssuedAt = found.ExpiresAt, found.CreatedAt
		run.Target.ObjectID = cmp.Or(found.Tags[vaulttag.Object], run.Target.ObjectID)
		t.rec.Stale.Look(t.now) // the pass that is gone may have written it twice
		t.issued()
		return
	}
	if closed := run.FirstIssuedAt.Add(t.issueWindow()); t.now.Before(closed) {
		run.NextCheck, run.IssuedUnder = closed, ""
		return
	}
	t.tell(Event{
		Kind: history.AttemptDropped, RunID: run.ID, Trigger: run.Trigger,
		Message: "whether a credential was issued is unknown; it will be looked for and removed",
	})
	t.giveUpAttempt()
}

// giveUpAttempt ends the run's attempt: what may bear its marker is to be looked for and
// removed, its staged version disabled. Where no staged version is known, one may have
// been written all the same, or be on its way: it is looked for once it must have arrived.
func (t *transition) giveUpAttempt() {
	rec, run := t.rec, t.rec.Run
	if run.Marker != "" {
		t.addRemoval(Removal{
			Kind: RemoveOrphan, Target: run.Target, Marker: run.Marker, KeyID: run.KeyID, Digest: run.Digest,
			Published: rec.Phase == Publishing,
			Since:     later(run.FirstIssuedAt, run.IssuedAt), NextAt: t.now,
		})
	}
	switch {
	case run.StagedVersion != "":
		rec.Stale.Add(t.now, run.StagedVersion)
	case run.Marker != "":
		rec.Stale.Look(t.now)
	}
	run.Marker, run.IssuedUnder, run.KeyID, run.StagedVersion, run.Hint, run.Digest = "", "", "", "", "", ""
	run.NextCheck, run.Deadline, run.Stands = time.Time{}, time.Time{}, false
	run.IssuedAt, run.ExpiresAt, run.FirstIssuedAt = time.Time{}, time.Time{}, time.Time{}
	rec.Proof = Proof{}
}

// finishRun closes the run and puts the record to idle.
func (t *transition) finishRun(outcome, message string) {
	run := t.rec.Run
	t.rec.LastRun = &RunResult{
		ID: run.ID, Trigger: run.Trigger, StartedAt: run.StartedAt, FinishedAt: t.now,
		Outcome: outcome, KeyID: run.KeyID, Message: message,
	}
	t.rec.Run, t.rec.Phase = nil, Idle
}

// giveUpRun gives up the run with its attempt. The result names the credential that was
// given up, so that it can be recognised.
func (t *transition) giveUpRun(outcome, message string) {
	if t.rec.Phase == Rebinding {
		t.restoreGiven()
		if outcome == "failed" {
			t.rec.CredentialChanges++ // the caller's are those from before again
		}
	}
	keyID := t.rec.Run.KeyID
	t.giveUpAttempt()
	t.finishRun(outcome, message)
	t.rec.LastRun.KeyID = keyID
}

// failRun ends the run of which nothing was issued with a refusal: a person has to change
// something first. The record goes back to idle and says what; current is
// untouched. Until the caller was told that the connection exists, a refusal undoes its
// creation instead. What passes by itself leaves the run where it is.
func (t *transition) failRun(err error) {
	rec, run := t.rec, *t.rec.Run
	t.fail(err)
	t.unissued()
	if !serviceerror.ClassOf(err).Refusal() {
		return
	}
	undo := !rec.Acknowledged && run.Trigger == OnCreation
	again := run.request()
	t.giveUpRun("failed", serviceerror.Explain(err))
	if again != nil && rec.Request == nil {
		rec.Request, rec.Error.Request = again, again.ID
	}
	if undo {
		rec.Phase, rec.Undo, rec.Request = Deleting, true, nil
		rec.Error.RetryAt = t.now // undoing need not wait
		t.endGracePeriods()
	}
	t.tell(Event{
		Kind: history.Failed, RunID: run.ID, Trigger: run.Trigger, KeyID: run.KeyID, By: run.By,
		Class: serviceerror.ClassOf(err), Message: serviceerror.Explain(err),
	})
}

// request is what asked for the run, to be tried again after a refusal; nil if the
// schedule or the loss of a credential began it, which they do again.
func (r *Run) request() *Request {
	q := Request{Kind: AskRotate, ID: r.ID, By: r.By, At: r.StartedAt, Grace: r.AskedGrace}
	switch r.Trigger {
	case OnRequest:
		return &q
	case OnEmergency:
		q.Kind = AskEmergency
		return &q
	}
	return nil
}
