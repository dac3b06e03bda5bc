package rotation

import "time"

// planDuties plans what lies beside the phase: the first that is due, or when the
// next one will be.
func (r Rules) planDuties(now time.Time, rec *Record) Action {
	p := dutyPlan{now: now}
	for i, s := range rec.Spent {
		if s.VaultVersion == "" || rec.Run == nil || rec.Run.StagedVersion != s.VaultVersion {
			p.add(s.NextAt, Action{Do: Disable, Index: i})
		}
	}
	// What is published may be ahead of the record while publishing, and
	// nothing has been proven to be published while creating.
	if rec.Phase != Creating && rec.Phase != Publishing && rec.Phase != Rebinding {
		r.planRemovals(&p, rec)
	}
	if rec.Phase != Deleting && rec.Phase != Creating {
		if days, next := warning(now, rec); days != 0 {
			p.add(now, Action{Do: Warn})
		} else if !next.IsZero() {
			p.add(next, Action{Do: Warn})
		}
		planAuth(&p, now, rec)
	}
	if p.found {
		return p.first
	}
	return Action{Do: Wait, At: p.next}
}

// planRemovals plans retiring and abandoned.
func (r Rules) planRemovals(p *dutyPlan, rec *Record) {
	var proven time.Time // from when on current is old enough to rely on
	if rec.Current != nil {
		proven = rec.Current.Since.Add(r.RevokeMinAge)
	}
	for i, o := range rec.Retiring {
		at := o.NextAt
		a := Action{Do: Look, Index: i}
		switch {
		case o.RemovedAt.IsZero():
			a.Do = Revoke
			at = later(later(at, o.RevokeAfter), proven)
		case o.Last:
			a.Do = ProveRefused
		}
		if o.Last && othersOf(rec, i) {
			continue // they need its token
		}
		p.add(at, a)
	}
	for i, o := range rec.Abandoned {
		at := o.NextAt
		a := Action{Do: Look, Index: len(rec.Retiring) + i}
		if o.KeyID != "" && o.RemovedAt.IsZero() {
			a = Action{Do: RemoveOrphan, Index: i}
			at = later(at, proven)
		}
		p.add(at, a)
	}
}

// othersOf reports whether anything else of the target of Retiring[i] is left to do.
func othersOf(rec *Record, i int) bool {
	target := rec.Retiring[i].Target
	for j, o := range rec.Retiring {
		if j != i && o.Target.Same(target) && !o.Last {
			return true
		}
	}
	for _, o := range rec.Abandoned {
		if o.Target.Same(target) {
			return true
		}
	}
	return false
}

// dutyPlan collects duties: the first that is due wins, in the order of adding.
type dutyPlan struct {
	now   time.Time
	first Action
	found bool
	next  time.Time
}

func (p *dutyPlan) add(at time.Time, a Action) {
	switch {
	case at.After(p.now):
		p.next = earlier(p.next, at)
	case !p.found:
		p.first, p.found = a, true
	}
}
