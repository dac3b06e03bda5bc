package rotation

import (
	"cmp"
	"time"

	"rekey/shared/serviceerror"
)

// Foreseen is a step that lies ahead of a record.
type Foreseen struct {
	At     time.Time // at the earliest: a pass begins when the timer next looks
	Step   Step
	Before Record // as the step finds it
	After  Record // as the step leaves it; nothing of it is known if Open
	// Open: what comes of the step is not known, so that it is the last one of the forecast.
	Open bool
}

// The bounds of a forecast. Both are far beyond what a record may have to do for one run:
// the longest grace period is 30 days, and a removal takes a handful of steps.
const (
	foreseeFor   = 90 * day
	foreseeSteps = 2000
)

// assumed names what the forecast has to name and the services have not yet.
const assumed = "foreseen"

// Forecast says what is going to be done for rec from now on, if every call succeeds: it
// folds [Rules.Plan] and [Rules.Apply] over assumed outcomes. It ends once nothing but
// scheduled rotations lies ahead; these are left out.
func (r Rules) Forecast(now time.Time, rec Record) (ahead []Foreseen) {
	lease := Lease{Token: assumed}
	if r.Taken(now, rec.Lease) {
		lease = rec.Lease // its pass goes on
	}
	for end, n := now.Add(foreseeFor), 0; n < foreseeSteps; n++ {
		step := r.planUnscheduled(now, &rec, lease)
		if wait, ok := step.(Wait); ok {
			if rec.quiet() || !wait.Until.After(now) || wait.Until.After(end) {
				return ahead
			}
			now = wait.Until
			continue
		}
		out, known := assume(now, &rec, step, lease)
		if !known {
			return append(ahead, Foreseen{At: now, Step: step, Before: rec, Open: true})
		}
		next, _ := r.Apply(now, rec, step, out)
		if _, renews := step.(RenewSignIn); renews {
			next.Auth.RenewAt = time.Time{} // when the next one is due is not for Apply to say
		}
		ahead = append(ahead, Foreseen{At: now, Step: step, Before: rec, After: next})
		rec = next
	}
	return ahead
}

// planUnscheduled is Plan without the rotations that only a slot begins.
func (r Rules) planUnscheduled(now time.Time, rec *Record, lease Lease) Step {
	step := r.Plan(now, rec, lease)
	if (step == BeginRun{}) && rec.Request == nil && !rec.owed() && !r.Lost(rec.Current, now) {
		return r.planBeside(now, rec)
	}
	return step
}

// quiet reports whether nothing but scheduled rotations lies ahead.
func (r *Record) quiet() bool {
	return r.Phase == Idle && r.Request == nil && len(r.Removals) == 0
}

// assume is the outcome of a step whose calls all succeed; not known where what happens
// next depends on what they answer.
func assume(now time.Time, rec *Record, step Step, lease Lease) (out Outcome, known bool) {
	switch step := step.(type) {
	case BeginRun, BeginAttempt:
		out = Outcome{RunID: assumed, Marker: assumed, LeaseToken: lease.Token}
	case IdentifyCurrent:
		out.Application, out.Identified = &ApplicationState{}, &Password{KeyID: assumed}
	case AdoptGiven:
		out.Found, out.Settled = &VaultSecret{Version: assumed}, true
	case IssueCredential:
		out = Outcome{
			SentAt: now, IssuedAt: now, Application: &ApplicationState{}, StagedVersion: assumed,
			Issued: &Issued{ExpiresAt: now.Add(rec.Lifetime())},
		}
	case Publish:
		out = assumePublished(rec)
	case Republish:
		out.Proven, out.PublishedVersion = true, assumed
	case Remove:
		if out.GateOpen = rec.Current != nil; rec.MustStay(rec.RemovalOf(step)) {
			out.Err = ErrNotRemovable
		}
	case ConfirmRemoved:
		out.Application = &ApplicationState{} // it shows no credential
	case ConfirmRefused:
		out.Err = &serviceerror.Error{Op: "signing in", Class: serviceerror.CredentialRefused}
	case Prove, Promote, Withdraw, EndRun, MakeEmergency, EndGracePeriods, DropRequest, RefuseRequest, AnnounceWrite, BeginRebind,
		WarnOfExpiry, WarnOfSignInEnd, RenewSignIn, WakeTargets:
	case DisableStale:
		out.Disabled = rec.Stale.Versions
		if at := rec.Stale.LookAt; !at.IsZero() && !at.After(now) {
			out.Looked = at
		}
	default: // Reconcile, above all: nothing says what an attempt of unknown outcome has issued
		return out, false
	}
	return out, true
}

// assumePublished is the outcome of publishing the run's credential.
func assumePublished(rec *Record) Outcome {
	run := rec.Run
	out := Outcome{Proven: true, PublishedVersion: assumed, Next: &Credential{
		Target: run.Target, KeyID: run.KeyID, Hint: run.Hint, ExpiresAt: run.ExpiresAt,
		Origin: cmp.Or(run.Origin, OriginIssued), Marker: run.Marker,
	}}
	return out
}
