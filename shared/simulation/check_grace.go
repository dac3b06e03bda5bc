package simulation

import (
	"cmp"
	"time"
)

// policy is what decides how long credentials live and when they are replaced.
type policy struct {
	enabled         bool
	interval, grace time.Duration
	since           time.Time
}

// tenure is what is remembered of a credential that is or was current.
type tenure struct {
	overdue time.Duration // for how long nothing kept Rekey from replacing it, and it was due
	retired time.Time     // zero: it is current
	policy  policy        // when it was retired
}

// follow notes the policy of a connection and what becomes of its credentials. The lock is held.
func (w *scene) follow(v view) {
	now := policy{v.enabled, v.interval, v.grace, time.Now()}
	if was, ok := w.policies[v.id]; ok && (was.enabled == v.enabled && was.interval == v.interval && was.grace == v.grace) {
		now.since = was.since
	}
	w.policies[v.id] = now
	if c := v.current; c != nil && w.tenures[c.keyID] == nil {
		w.tenures[c.keyID] = &tenure{}
	}
	for _, o := range v.leaving {
		if t := w.tenures[o.keyID]; t != nil && t.retired.IsZero() {
			t.retired, t.policy = time.Now(), now
		}
	}
}

// recovery is how long after a disturbance Rekey may wait before it tries again.
const recovery = 30 * hour

// countOverdue adds up for how long current has been due although Rekey could replace it: at
// its slot, or the grace period and two days before it expires, but not in the first half of
// its life (rule R10).
func (w *scene) countOverdue(s *slot, v view, since time.Duration) {
	_, truth, ok := w.published(v)
	if !ok || v.current == nil || !v.enabled || w.helpless(s, time.Now()) || !w.calm(recovery) {
		return
	}
	due := truth.ExpiresAt.Add(-v.grace - 2*day)
	if half := v.current.since.Add(truth.ExpiresAt.Sub(v.current.since) / 2); half.After(due) {
		due = half
	}
	if !v.slot.IsZero() && v.slot.Before(due) {
		due = v.slot
	}
	if t := w.tenures[v.current.keyID]; t != nil && time.Now().After(due) {
		t.overdue += since
	}
}

// checkGrace checks that no grace period is cut short by an expiry: a secret is issued for
// long enough, and replaced early enough. It is excused where the policy was changed after
// the secret was issued, where a caller has asked for a longer grace period, and where
// something kept Rekey from replacing it in time.
func (w *scene) checkGrace(s *slot, v view) {
	for _, o := range v.leaving {
		held := w.tenures[o.keyID]
		if held == nil || held.retired.IsZero() || s.lifetime || w.h.Personal {
			continue
		}
		for _, t := range w.world.Truths(v.clientID) {
			if t.KeyID != o.keyID || !t.Issued || !t.RemovedAt.IsZero() || t.ExpiresAt.After(time.Now()) || !o.until.After(t.ExpiresAt) {
				continue
			}
			p, age := held.policy, held.retired.Sub(t.StartsAt)
			asIssued := p.since.Before(t.StartsAt.Add(-10*minute)) && o.until.Sub(held.retired) <= p.grace+hour
			inTime := age <= cmp.Or(p.interval, 90*day)+2*day
			if asIssued && inTime || held.overdue > 3*hour {
				w.violate("grace-cut", "%s: an old secret has expired %s before its grace period ends", s.name, o.until.Sub(t.ExpiresAt))
			}
		}
	}
}
