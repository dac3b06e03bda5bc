package rotation

import "time"

// planIdle plans the next run: at once after a loss, and where the one is owed that takes
// an original over; else when it is due (rule R10).
func (r Rules) planIdle(now time.Time, rec *Record) Step {
	due := time.Time{}
	switch {
	case r.Lost(rec.Current, now) && (rec.Rotates() || rec.Claims(Exclusive, rec.Target)):
		due = now
	case rec.owed():
		due = now // the run that takes the original over is still owed
	case rec.Policy.Enabled:
		due = rec.Due()
	}
	if due.IsZero() {
		return Wait{}
	}
	if rec.Error != nil && rec.Error.RetryAt.After(due) {
		due = rec.Error.RetryAt
	}
	if due.After(now) {
		return Wait{due}
	}
	if rec.Request == nil && !r.Lost(rec.Current, now) && rec.crowdedByOrphans(now) {
		return Wait{} // their removals say until when
	}
	return BeginRun{}
}

// removalsFirst lets a removal whose time has come go before a run that begins, since an
// application may have no room for one more.
func (r Rules) removalsFirst(now time.Time, rec *Record, step Step) Step {
	if (step != BeginRun{}) {
		return step
	}
	if remove, ok := r.planBeside(now, rec).(Remove); ok {
		return remove
	}
	return step
}

// Lost reports whether the published credential has been refused often and long
// enough to say that it was removed (rule R6).
func (r Rules) Lost(c *Credential, now time.Time) bool {
	return c != nil && c.Refusals >= r.LossCount && !now.Before(c.RefusedSince.Add(r.LossPeriod))
}
