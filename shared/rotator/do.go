package rotator

import (
	"context"
	"errors"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// do asks the services for what a step needs, and returns what was observed. It never
// changes the record. stop says that the pass has to end: there is no time left for a
// call, or the process is going down. Then nothing is known, except what NotSent says.
func (p *pass) do(ctx context.Context, rec *rotation.Record, step rotation.Step) (out rotation.Outcome, stop error) {
	switch step := step.(type) {
	case rotation.AdoptGiven:
		out = p.adoptGiven(ctx, rec)
	case rotation.BeginRun, rotation.BeginAttempt:
		out = p.drawn(rec)
	case rotation.IssueCredential:
		out = p.issueCredential(ctx, rec)
	case rotation.Reconcile:
		out = p.reconcile(ctx, rec)
	case rotation.Prove:
		_, out.Err = p.prove(ctx, rec)
	case rotation.Publish:
		out = p.publish(ctx, rec)
	case rotation.Republish:
		out = p.republish(ctx, rec)
	case rotation.Withdraw:
		out = p.withdraw(ctx, rec)
	case rotation.IdentifyCurrent:
		out = p.identify(ctx, rec)
	case rotation.Purge:
		out.Err = p.purge(ctx, rec)
	case rotation.DisableStale:
		out = p.disableStale(ctx, rec)
	case rotation.Remove:
		out = p.remove(ctx, rec, rec.RemovalOf(step))
	case rotation.ConfirmRemoved:
		out = p.confirmRemoved(ctx, rec, rec.RemovalOf(step))
	case rotation.ConfirmRefused:
		_, out.Err = p.ownToken(ctx, rec, rec.RemovalOf(step))
	case rotation.RenewSignIn:
		out.Err = p.renewSignIn(ctx, rec)
	case rotation.WakeTargets:
		out.Err = p.wakeTargets(ctx, rec)
	}
	if out.Err != nil && (errors.Is(out.Err, errNoTime) || ctx.Err() != nil) {
		stop = errors.Join(out.Err, context.Cause(ctx))
		return rotation.Outcome{NotSent: out.NotSent && ctx.Err() == nil}, stop
	}
	p.logFailure(rec, step, out.Err)
	return out, nil
}

// logFailure logs what Apply does not show as the connection's error.
func (p *pass) logFailure(rec *rotation.Record, step rotation.Step, err error) {
	if err == nil || errors.Is(err, rotation.ErrNotRemovable) {
		return
	}
	class, reason := string(serviceerror.ClassOf(err)), serviceerror.Explain(err)
	switch step.(type) {
	case rotation.Remove, rotation.ConfirmRefused:
		p.log.Warn("a removal is postponed", "key", rec.RemovalOf(step).KeyID, "class", class, "reason", reason)
	case rotation.ConfirmRemoved:
		p.log.Warn("an application could not be read", "application", rec.RemovalOf(step).Target.ClientID, "class", class, "reason", reason)
	case rotation.DisableStale:
		p.log.Warn("disabling stale versions", "class", class, "reason", reason)
	case rotation.RenewSignIn:
		p.log.Warn("renewing a sign-in", "class", class, "reason", reason)
	case rotation.WakeTargets:
		p.log.Warn("waking targets", "class", class, "reason", reason)
	}
}

// afterwards does what a commit has made possible and what is made up for if it fails.
func (p *pass) afterwards(ctx context.Context, step rotation.Step, was, rec *rotation.Record) {
	p.tryUnclaim(ctx, was.Dropped(rec))
	switch step.(type) {
	case rotation.BeginDelete:
		if rec.Phase == rotation.Deleting {
			p.tryRelease(ctx, rotation.NameReservation(rec.Project, rec.Name, rec.ID)) // purging does it as well
		}
	}
}
