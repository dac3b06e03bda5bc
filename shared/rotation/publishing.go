package rotation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// planRepublish plans that current is published again where something else is.
func (r Rules) planRepublish(now time.Time, rec *Record, lease Lease) Step {
	switch {
	case rec.RepublishAt.IsZero() || rec.Current == nil || rec.Phase == Creating:
		return Wait{}
	case rec.RepublishAt.After(now):
		return Wait{rec.RepublishAt}
	}
	return r.onceSettled(now, rec, rec.Current.VaultVersion, lease, Republish{})
}

// publish applies the outcome of step Publish. If the vault took the write, the new
// credential becomes current. If not, the error is stored and the proof is discarded: the
// next try proves again.
func (t *transition) publish() {
	switch {
	case !t.out.Proven:
		t.prove()
	case t.out.Err != nil:
		t.fail(t.out.Err)
		t.settle(t.out.Err)
		t.rec.Proof = Proof{} // before the next try it is proven again
	default:
		t.settle(nil)
		t.makeCurrent(*t.out.Next)
	}
}

// republish records that current was written again under the published name. Where its
// value is refused nothing was written, and that counts as one refusal (rule R6).
func (t *transition) republish() {
	rec, err := t.rec, t.out.Err
	switch {
	case err == nil && t.out.PublishedVersion != "":
		t.settle(nil)
		rec.RepublishAt = time.Time{}
		rec.Current.VaultVersion, rec.Current.Since = t.out.PublishedVersion, t.now
		rec.Current.Refusals, rec.Current.RefusedSince = 0, time.Time{} // it was proven just before
		if rec.Run != nil {
			rec.Run.Stands = false
		}
		t.tell(Event{Kind: history.Republished, KeyID: rec.Current.KeyID, Message: "what was published was not the current credential"})
	case err == nil: // it is what is published by now
		t.settle(nil)
		rec.RepublishAt = time.Time{}
	default:
		if t.out.Proven { // it was written
			t.settle(err)
		} else {
			t.settle(nil)
		}
		rec.RepublishAt = time.Time{} // what needs it asks again
		t.countRefusal(err)
		t.postponeRemovals(err)
		switch run := rec.Run; {
		case run == nil:
		case !run.Stands && (serviceerror.RefusesCredential(err) || serviceerror.Unreadable(err)):
			run.Stands = true // and is tried at once
		default:
			t.fail(err)
		}
	}
}

// postponeRemovals postpones what may not be removed while current is not published.
func (t *transition) postponeRemovals(err error) {
	for _, m := range slices.Clone(t.rec.Removals) {
		due := m.Published && m.RemovedAt.IsZero() && m.KeyID != "" && !later(m.NextAt, m.After).After(t.now)
		if listed := t.rec.Removal(m.ID()); due && listed != nil {
			t.postponed(listed, err)
		}
	}
}

// makeCurrent makes next current and ends the run.
func (t *transition) makeCurrent(next Credential) {
	rec, run := t.rec, *t.rec.Run
	rebound := rec.Phase == Rebinding
	next.VaultVersion, next.Since = t.out.PublishedVersion, t.now
	event := Event{Kind: history.Published, RunID: run.ID, Trigger: run.Trigger, KeyID: next.KeyID, By: run.By}
	if rebound {
		event.Kind = history.Rebound
	}
	event.Message = t.retireNamed(next.Target, t.now.Add(run.Grace))
	t.tell(event)
	switch old := rec.Current; {
	case old == nil:
	case old.same(&next): // given once more, because it did not work
		if next.KeyID == "" {
			next.KeyID, next.Origin, next.Marker = old.KeyID, old.Origin, old.Marker
		}
	case rebound && old.Origin != OriginGiven && !rec.Claims(Exclusive, old.Target):
		const why = "other credentials were given while rotation was off, and another connection may use this one; remove it if nothing does"
		rec.leave(t.now, old.Target, old.KeyID, why)
	default:
		t.retire(*old, t.now.Add(run.Grace), rebound && !old.Target.Same(next.Target))
	}
	rec.Stale.Add(t.now, run.StagedVersion)
	rec.Current, rec.Error, rec.WarnedAt = &next, nil, 0
	rec.Unproven, rec.RepublishAt = 0, time.Time{}
	if (rebound || run.Trigger == OnLoss) && !rec.Delegated() {
		rec.WakeTargets = t.now // the one before may have failed them
	}
	t.finishRun("success", "")
	if rebound {
		rec.GivenBefore = ""
		if !rec.Target.Same(next.Target) {
			rec.TargetName = "" // the next read of the application tells
		}
		rec.Target = next.Target
		if !rec.Delegated() {
			rec.Actor = next.Target
		}
		return
	}
	rec.LastRotatedAt = t.now
	switch {
	case !rec.Policy.Enabled:
		rec.NextSlot = time.Time{}
	case run.Trigger == OnSchedule && run.Slot.After(t.now): // it came early, because the old one was about to expire
	case run.Trigger == OnSchedule && !run.Slot.IsZero():
		rec.NextSlot = rec.Policy.Schedule.After(run.Slot, t.now)
	default:
		rec.NextSlot = rec.Policy.Schedule.First(t.now)
	}
}

// same reports whether two credentials are one.
func (c *Credential) same(o *Credential) bool {
	return c.Digest != "" && c.Digest == o.Digest || c.KeyID != "" && strings.EqualFold(c.KeyID, o.KeyID)
}

// retire queues an old credential for removal if it is Rekey's to remove (promise P2);
// otherwise it is only reported. after is the end of the grace period: planRemovals plans no
// removal before it.
func (t *transition) retire(old Credential, after time.Time, last bool) {
	if old.Origin == OriginGiven || old.KeyID == "" {
		t.leaveGiven(&old)
		return
	}
	kind := RemoveReplaced
	if last {
		kind = RemoveLast
	}
	t.addRemoval(Removal{
		Kind: kind, Target: old.Target, KeyID: old.KeyID, VaultVersion: old.VaultVersion, Digest: old.Digest, Published: true, After: after,
	})
}

// leaveGiven leaves to a person what was given without its key id.
func (t *transition) leaveGiven(old *Credential) {
	reason := "the client secret"
	if old.Hint != "" {
		reason += " that begins with " + old.Hint
	}
	reason += " was given without its key id"
	unlisted := !old.Listed && !t.Lost(old, t.now)
	if unlisted {
		reason += ", and no read of the application has shown it so far: it may be one of the service principal (enterprise application)"
	}
	t.rec.leave(t.now, old.Target, old.KeyID, reason)
	left := &t.rec.ByHand[len(t.rec.ByHand)-1]
	left.Hint, left.Unlisted = old.Hint, unlisted
}

// retireNamed queues for removal what the creator of a target has named: what is published now
// takes its place. It returns what the history says of that. A deletion that was asked for before
// would end the grace period at once, so that nothing is retired then.
func (t *transition) retireNamed(target Application, after time.Time) (told string) {
	named, asked := t.rec.Retire, t.rec.Request
	t.rec.Retire = nil
	if len(named) == 0 || asked != nil && asked.Kind == AskDelete {
		return ""
	}
	for _, keyID := range named {
		t.retire(Credential{Target: target, KeyID: keyID, Origin: OriginNamed}, after, false)
	}
	return fmt.Sprintf("it takes the place of client secrets that were named when the target was created, which are removed after %s: %s",
		after.UTC().Format(time.RFC3339), strings.Join(named, ", "))
}

// addRemoval lists a removal. One of the same credential is replaced: it begins again.
func (t *transition) addRemoval(m Removal) {
	rec := t.rec
	rec.Removals = slices.DeleteFunc(rec.Removals, func(o Removal) bool { return o.ID() == m.ID() })
	rec.Removals = append(rec.Removals, m)
	t.makeRoom()
}

// makeRoom keeps the list of removals short, the oldest first.
func (t *transition) makeRoom() {
	rec := t.rec
	if over := len(rec.Removals) - maxRemovals; over > 0 {
		for _, m := range rec.Removals[:over] {
			rec.leave(t.now, m.Target, m.KeyID,
				fmt.Sprintf("it could not be removed, and more than %d others wait after it%s", maxRemovals, m.named()))
		}
		rec.Removals = slices.Delete(rec.Removals, 0, over)
	}
	over := len(rec.Replaced()) - MaxReplaced
	for i := range rec.Removals {
		m := &rec.Removals[i]
		if m.Kind == RemoveOrphan {
			continue
		}
		if over--; over < 0 {
			return
		}
		if m.After.After(t.now) {
			m.After = t.now
			t.tell(Event{Kind: history.GraceEnded, KeyID: m.KeyID,
				Message: fmt.Sprintf("its grace period was ended, because %d newer client secrets wait, too", MaxReplaced)})
		}
	}
}

// named says how a person finds a credential whose key id is not known.
func (m *Removal) named() string {
	if m.KeyID != "" {
		return ""
	}
	return "; look for a client secret named " + m.Marker
}
