package rotation

import (
	"cmp"
	"hash/fnv"
	"time"

	"rekey/shared/serviceerror"
)

// Rules are the durations and counts of the protocol; docs/promises.md says what R1 to R14 are. [DefaultRules] has the ones
// that suit Entra; only tests and emulated stacks use shorter ones.
type Rules struct {
	Successes    int           // fresh tokens in a row that prove a credential
	Spacing      time.Duration // between them
	MinAge       time.Duration // of a credential before it is published (scheduled, manual)
	MinAgeFirst  time.Duration // the same on creation, emergency and loss, where a caller waits
	RevokeMinAge time.Duration // of current before anything is removed

	SettleReads   int           // reads in a row that must not show what was removed
	SettleSpacing time.Duration // between them
	SettleMinAge  time.Duration // after an issue of unknown outcome, before reads count

	Attempt    time.Duration // how long an attempt is tried without proof (rule R5)
	Late       time.Duration // how long after the end of a lease a write may still land (rule R8)
	LossCount  int           // refusals in a row of the published credential
	LossPeriod time.Duration // over at least this long, that mean it is lost (rule R6)
	ByHand     time.Duration // after which a target that refuses everything is left to a person (rule R7)

	Lease time.Duration // how long a lease lasts
	// Skew is half of how far two clocks may differ: calls end this much before the end of a
	// lease, and contenders come this much after it.
	Skew         time.Duration
	CallTimeout  time.Duration // of one call
	IssueTimeout time.Duration // of addPassword
	Pass         time.Duration // how long a pass works before it leaves the rest to the next
}

// DefaultRules are the rules for Entra as it is.
func DefaultRules() Rules {
	return Rules{
		Successes: 3, Spacing: 5 * time.Second, MinAge: 5 * time.Minute, MinAgeFirst: 15 * time.Second,
		RevokeMinAge: time.Minute,
		SettleReads:  5, SettleSpacing: time.Minute, SettleMinAge: 15 * time.Minute,
		Attempt: 30 * time.Minute, Late: 10 * time.Minute, LossCount: 10, LossPeriod: 15 * time.Minute, ByHand: 24 * time.Hour,
		Lease: 5 * time.Minute, Skew: 30 * time.Second,
		CallTimeout: 30 * time.Second, IssueTimeout: time.Minute, Pass: 4 * time.Minute,
	}
}

// minAge is how old a credential must be before a run of that trigger publishes it.
func (r Rules) minAge(t Trigger) time.Duration {
	switch t {
	case OnSchedule, OnRequest:
		return r.MinAge
	}
	return r.MinAgeFirst
}

// issueWindow is how long after the start of addPassword its effect may still be
// on its way to us.
func (r Rules) issueWindow() time.Duration { return r.IssueTimeout + r.SettleSpacing }

// unscheduled is the interval, in days, that is assumed for a rotation by hand of a
// connection without a schedule. It gives the half year that the portal proposes.
const unscheduled = 90

const day = 24 * time.Hour

// Lifetime is how long the credential of a run is asked to live (rule R10): two intervals,
// so that a rotation that is missed is made up for, and at least as long as it may stay
// after its replacement; less where a policy of the tenant has refused that.
func (r *Record) Lifetime() time.Duration {
	p, run := r.Policy, r.Run
	interval := time.Duration(cmp.Or(p.Schedule.Interval, unscheduled)) * day
	asked := max(2*interval, interval+max(p.Grace, run.Grace)) + 3*day
	for _, limit := range []time.Duration{r.LongestAccepted, run.Lifetime} {
		if limit > 0 {
			asked = min(asked, limit)
		}
	}
	return asked
}

// shortest is the shortest lifetime that is asked for.
const shortest = day

// Due is when the next scheduled rotation begins: at the slot, or before current expires,
// whichever comes first (rule R10). Before its expiry there is time for the grace period
// of its successor's consumers and two days in which a failure can be mended, but never
// less than half of its lifetime is used. Zero: never.
func (r *Record) Due() time.Time {
	c := r.Current
	if !r.Policy.Enabled || c == nil || c.ExpiresAt.IsZero() {
		return r.NextSlot
	}
	half := c.Since.Add(c.ExpiresAt.Sub(c.Since) / 2)
	return earlier(r.NextSlot, later(c.ExpiresAt.Add(-r.Policy.Grace-2*day), half))
}

// NextRotation is when a rotation is tried next while rotation is on; zero: never. What was asked for
// and refused comes before the slot, which waits for it. Until the first one, which is due at once,
// is done it is the slot that would follow if that were done now.
func (r *Record) NextRotation(now time.Time) time.Time {
	due := r.Due()
	switch {
	case !r.Policy.Enabled:
		return time.Time{}
	case r.refusedRequest(), r.Error != nil && r.Error.RetryAt.After(due):
		return r.Error.RetryAt
	case due.IsZero():
		return r.Policy.Schedule.First(now)
	}
	return due
}

// Rotating reports whether a rotation is under way.
func (r *Record) Rotating() bool {
	return r.Phase == Issuing || r.Phase == Verifying || r.Phase == Publishing
}

// Backoff is how long to wait after the count-th failure in a row of a class: from
// 5 s doubling to 15 min for what may pass by itself, from 1 h doubling to 24 h for
// what a person has to change. It is spread by up to a fifth, differently
// for each id, so that those that failed together do not return together.
func Backoff(id string, class serviceerror.Class, count int) time.Duration {
	base, limit := 5*time.Second, 15*time.Minute
	if class.Refusal() {
		base, limit = time.Hour, 24*time.Hour
	}
	d := min(base<<min(max(count-1, 0), 20), limit)
	h := fnv.New32a()
	h.Write([]byte(id))
	h.Write([]byte{byte(count)})
	d += time.Duration(int64(d) * int64(h.Sum32()%1000) / 5000)
	return d
}

// backoff returns the pause after the count-th failure in a row of work beside the phase
// (removals, stale versions). It is at least what the service has asked for.
func (t *transition) backoff(err error, count int) time.Duration {
	return max(Backoff(t.rec.ID, serviceerror.ClassOf(err), count), serviceerror.RetryAfterOf(err))
}
