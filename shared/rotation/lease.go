package rotation

import "time"

// Lease is the right to work on a connection until a moment (rule R2).
type Lease struct {
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

// Fits reports whether a call that takes at most timeout and starts now is over
// before another pass could have the lease (rule R2).
func (r Rules) Fits(now time.Time, lease Lease, timeout time.Duration) bool {
	return !now.Add(timeout).After(lease.Until.Add(-r.Skew))
}

// Taken reports whether lease keeps others out at now.
func (r Rules) Taken(now time.Time, lease Lease) bool {
	return lease.Token != "" && now.Before(lease.Until.Add(r.Skew))
}

// TakeLease gives the record to a pass. It moves the wake-up to the lease's end, so
// that the timer looks if the pass dies.
func (r Rules) TakeLease(rec Record, lease Lease) Record {
	next := rec.Clone()
	next.Lease, next.WakeAt = lease, lease.Until
	return next
}

// ReleaseLease ends a pass: it gives the lease back and says when the connection has to
// be woken. acknowledged: the caller is going to be told that the connection exists.
func (r Rules) ReleaseLease(now time.Time, rec Record, acknowledged bool) (Record, []Event) {
	next := rec.Clone()
	next.Lease, next.Proof = Lease{}, Proof{}
	next.Acknowledged = rec.Acknowledged || acknowledged && rec.Phase != Deleting || rec.Phase == Idle
	if next.WakeAt = r.Wake(now, &next); !next.WakeAt.IsZero() && next.WakeAt.Before(now) {
		next.WakeAt = now
	}
	return next, Tell(&next, now)
}
