package rotation

import (
	"slices"
	"time"
)

// Plan decides the next step for rec at now, for the holder of lease. It is
// pure. With the zero Lease it tells when the connection has to be woken.
//
// The phase goes first; while it has to wait, what lies beside it (stale
// versions, removals, warnings) is worked off.
func (r Rules) Plan(now time.Time, rec *Record, lease Lease) Step {
	next := time.Time{}
	for _, step := range []Step{r.planRepublish(now, rec, lease), r.planPhase(now, rec, lease)} {
		wait, ok := step.(Wait)
		if !ok {
			return r.removalsFirst(now, rec, step)
		}
		next = earlier(next, wait.Until)
	}
	step := r.planBeside(now, rec)
	if wait, ok := step.(Wait); ok {
		return Wait{earlier(next, wait.Until)}
	}
	return step
}

// Wake is when rec has to be woken by a pass that holds no lease yet; zero for never.
func (r Rules) Wake(now time.Time, rec *Record) time.Time {
	if wait, ok := r.Plan(now, rec, Lease{}).(Wait); ok {
		return wait.Until
	}
	return now
}

// planPhase plans requests and phases.
func (r Rules) planPhase(now time.Time, rec *Record, lease Lease) Step {
	if rec.Phase == Idle && rec.refusedRequest() && rec.Error.RetryAt.After(now) {
		return Wait{rec.Error.RetryAt} // the slot waits, too
	}
	if rec.Request != nil {
		if step, ok := r.planRequest(now, rec); ok {
			return pausedFor(rec, now, step)
		}
	}
	var step Step
	switch rec.Phase {
	case Creating:
		step = AdoptGiven{}
	case Idle:
		return r.planIdle(now, rec)
	case Issuing:
		step = r.planIssuing(now, rec, lease)
	case Verifying, Publishing, Rebinding:
		step = r.planProof(now, rec, lease)
		if rec.Request != nil && rec.Request.ends() && !rec.Run.Stands {
			return sooner(pausedFor(rec, now, step), rec.settlesAt(""))
		}
	case Deleting:
		step = r.planDeleting(now, rec)
	default:
		return Wait{} // a phase of a newer version: hands off
	}
	return pausedFor(rec, now, step)
}

// pausedFor holds a step back until the retry time of the last failure. What a request
// asks for is done at once, except for trying once more what has failed for it.
func pausedFor(rec *Record, now time.Time, step Step) Step {
	if rec.Error == nil || !rec.Error.RetryAt.After(now) {
		return step
	}
	switch step.(type) {
	case Wait:
		return step
	case BeginRun: // at once, but its intent would outlast the lease while a service wants no call
		if rec.Error.NotBefore.After(now) {
			return Wait{rec.Error.NotBefore}
		}
		return step
	case MakeEmergency, EndGracePeriods, EndRun, BeginDelete, BeginRebind, DropRequest, RefuseRequest:
		return step // nothing outside is asked, so nothing can fail again
	case IdentifyCurrent:
		if rec.Request.ID != rec.Error.Request {
			return step
		}
	case Withdraw:
		if q := rec.Request; q != nil && q.ends() && q.ID != rec.Error.Request {
			return step
		}
	}
	return Wait{rec.Error.RetryAt}
}

// planRequest plans what the API asked for (rule R12). Not ok: nothing before the
// phase has gone on.
func (r Rules) planRequest(now time.Time, rec *Record) (s Step, ok bool) {
	if rec.Phase == Deleting {
		return DropRequest{}, true
	}
	running := rec.Phase == Issuing || rec.Phase == Verifying
	switch rec.Request.Kind {
	case AskKeep:
		if rec.Phase != Rebinding {
			return DropRequest{}, true
		}
		return Withdraw{}, !rec.settlesAt("").After(now) && !rec.Run.Stands
	case AskDelete, AskRebind, AskAbandon:
		switch {
		case rec.Phase == Publishing, rec.Phase == Rebinding && rec.Request.Kind != AskAbandon:
			// While its value may have been written, or may still be, the attempt goes on; so it does where current can't
			// be published in its place.
			return Withdraw{}, !rec.settlesAt("").After(now) && !rec.Run.Stands
		case running && rec.Request.Kind != AskDelete:
			return EndRun{}, true
		case rec.Request.Kind == AskDelete:
			return BeginDelete{}, true
		case rec.Request.Kind == AskRebind && rec.Phase == Idle:
			return BeginRebind{}, true
		case rec.Request.Kind == AskAbandon && rec.Phase != Creating:
			return DropRequest{}, true
		}
	case AskIdentify:
		switch {
		case rec.Phase == Idle && rec.Unidentified():
			return IdentifyCurrent{}, true
		case rec.Phase == Idle:
			return DropRequest{}, true
		}
	case AskEmergency:
		switch {
		case (rec.Phase == Idle || rec.Phase == Rebinding) && !rec.Request.Hastened && inGrace(rec, now):
			return EndGracePeriods{}, true
		case rec.Phase == Idle && rec.Unidentified() && !rec.Request.Unidentified:
			return IdentifyCurrent{}, true
		case rec.Phase == Idle:
			return BeginRun{}, true
		case running, rec.Phase == Publishing:
			return MakeEmergency{}, true
		}
	case AskRotate:
		switch {
		case rec.Phase == Idle && rec.Unable(rec.Request) != "":
			return RefuseRequest{}, true
		case rec.Phase == Idle && rec.Unidentified():
			return IdentifyCurrent{}, true
		case rec.Phase == Idle:
			return BeginRun{}, true
		case running, rec.Phase == Publishing:
			return DropRequest{}, true // that run is the answer
		}
	default:
		return DropRequest{}, true
	}
	return nil, false
}

// inGrace reports whether an emergency would have a removal made earlier.
func inGrace(rec *Record, now time.Time) bool {
	return slices.ContainsFunc(rec.Removals, func(m Removal) bool { return m.waits(now) })
}

// planBeside plans what lies beside the phase: the first that is due, or when the
// next one will be.
func (r Rules) planBeside(now time.Time, rec *Record) Step {
	p := sidePlan{now: now}
	rec.Stale.plan(&p)
	// What is published may be ahead of the record while publishing, and
	// nothing has been proven to be published while creating.
	if rec.Phase != Creating && rec.Phase != Publishing && rec.Phase != Rebinding {
		r.planRemovals(&p, rec)
	}
	if rec.Phase != Deleting && rec.Phase != Creating {
		if days, next := warning(now, rec); days != 0 {
			p.add(now, WarnOfExpiry{})
		} else if !next.IsZero() {
			p.add(next, WarnOfExpiry{})
		}
		planAuth(&p, now, rec)
	}
	if p.found {
		return p.first
	}
	return Wait{p.next}
}

// sidePlan collects what lies beside the phase: the first that is due wins, in the order of adding.
type sidePlan struct {
	now   time.Time
	first Step
	found bool
	next  time.Time
}

func (p *sidePlan) add(at time.Time, step Step) {
	switch {
	case at.After(p.now):
		p.next = earlier(p.next, at)
	case !p.found:
		p.first, p.found = step, true
	}
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

// sooner is step, or the wait until a moment if that comes first; zero: it never does.
func sooner(step Step, at time.Time) Step {
	if wait, ok := step.(Wait); ok && !at.IsZero() {
		return Wait{earlier(wait.Until, at)}
	}
	return step
}
