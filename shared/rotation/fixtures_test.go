package rotation_test

import (
	"time"

	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

// The tests of Plan are its specification: each row says in its name what holds, and
// in its record when. All of them happen now.
var (
	now  = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	mine = rotation.Lease{Token: "mine", Until: now.Add(4 * time.Minute)}
	none = rotation.Lease{} // planning the wake-up, for the next pass

	billing = rotation.Application{TenantID: "t", ClientID: "billing", ObjectID: "o"}
	former  = rotation.Application{TenantID: "t", ClientID: "former", ObjectID: "f"} // before a rebind
)

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

// idle is a connection that was rotated 20 days ago and will be in 10.
func idle() rotation.Record {
	return rotation.Record{
		ID: "c", Phase: rotation.Idle, Acknowledged: true, Actor: billing, Target: billing, VaultName: "v",
		Policy:   rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Zone: "UTC"}, Grace: 48 * hour},
		NextSlot: now.Add(10 * day),
		Current: &rotation.Credential{Target: billing, KeyID: "current", VaultVersion: "v1", Origin: rotation.OriginIssued,
			Since: now.Add(-20 * day), ExpiresAt: now.Add(43 * day)},
	}
}

// issuing is a run whose intent was written a minute ago, by a pass that is gone.
func issuing() rotation.Record {
	rec := idle()
	rec.Phase = rotation.Issuing
	rec.Run = &rotation.Run{ID: "r", Trigger: rotation.OnSchedule, StartedAt: now.Add(-minute), Slot: now.Add(-minute), Attempt: 1,
		Target: billing, Marker: "m", IssuedUnder: "gone", FirstIssuedAt: now.Add(-minute)}
	return rec
}

// verifying is a credential that was issued 6 minutes ago and proven by this pass.
func verifying() rotation.Record {
	rec := issuing()
	rec.Phase = rotation.Verifying
	r := rec.Run
	r.IssuedUnder, r.KeyID, r.StagedVersion, r.IssuedAt, r.Deadline = "", "new", "s1", now.Add(-6*minute), now.Add(24*minute)
	rec.Proof = rotation.Proof{StagedVersion: "s1", Successes: 3, NextAt: now}
	return rec
}

// publishing is the same, promoted.
func publishing() rotation.Record {
	rec := verifying()
	rec.Phase = rotation.Publishing
	return announced(rec)
}

// announced is a record on which the write of its staged value was announced by this pass.
func announced(rec rotation.Record) rotation.Record {
	rec.Unsettled = rotation.Unsettled{Until: mine.Until.Add(10 * minute), Of: "s1"}
	return rec
}

// rebinding is the caller's new credential, staged a minute ago and proven by this pass.
func rebinding() rotation.Record {
	rec := verifying()
	rec.Phase = rotation.Rebinding
	rec.Run.Trigger, rec.Run.Marker, rec.Run.IssuedAt = rotation.OnRebind, "", now.Add(-minute)
	return announced(rec)
}

// creating has its row and waits for the given secret in the vault.
func creating() rotation.Record {
	rec := idle()
	rec.Phase, rec.Acknowledged, rec.NextSlot = rotation.Creating, false, time.Time{}
	rec.Current = &rotation.Credential{Target: billing, KeyID: "original", Origin: rotation.OriginNamed}
	return rec
}

// deleting has nothing left to do but to go.
func deleting() rotation.Record {
	rec := idle()
	rec.Phase = rotation.Deleting
	return rec
}

// a change of a fixture.
type change func(*rotation.Record)

func with(rec rotation.Record, changes ...change) rotation.Record {
	for _, c := range changes {
		c(&rec)
	}
	return rec
}

func asked(kind rotation.RequestKind) change {
	return func(r *rotation.Record) { r.Request = &rotation.Request{Kind: kind, ID: "q", At: now.Add(-minute)} }
}

// failed puts an error on the record that pauses it for another hour.
func failed(r *rotation.Record) {
	r.Error = &rotation.Failure{Class: serviceerror.Permission, Count: 1, At: now, RetryAt: now.Add(hour)}
}

func failedFor(request string) change {
	return func(r *rotation.Record) { failed(r); r.Error.Request = request }
}

// throttled is a failure after which the service wants no call for a time.
func throttled(d time.Duration) change {
	return func(r *rotation.Record) { r.Error.NotBefore = now.Add(d) }
}

// pausedEnough is a failure whose pause is over.
func pausedEnough(r *rotation.Record) { failed(r); r.Error.RetryAt = now }

// seen is what this pass has seen of the run's credential.
func seen(successes, failures int, next time.Time) change {
	return func(r *rotation.Record) {
		r.Proof = rotation.Proof{StagedVersion: "s1", Successes: successes, Failures: failures, NextAt: next}
	}
}

// wrong: the last refusal says that the value is none of the application's.
func wrong(r *rotation.Record) {
	r.Proof.StagedVersion, r.Proof.Successes, r.Proof.Failures, r.Proof.Wrong = "s1", 0, 1, true
}

func hastened(r *rotation.Record) { r.Request.Hastened = true }

// settled: no write of the published name is under way.
func settled(r *rotation.Record) { r.Unsettled = rotation.Unsettled{} }

func unseen(r *rotation.Record) { r.Proof = rotation.Proof{} }

func run(f func(*rotation.Run)) change { return func(r *rotation.Record) { f(r.Run) } }

func policyOff(r *rotation.Record) { r.Policy.Enabled = false }

func slot(t time.Time) change { return func(r *rotation.Record) { r.NextSlot = t } }

func expires(t time.Time) change { return func(r *rotation.Record) { r.Current.ExpiresAt = t } }

func origin(o rotation.Origin) change { return func(r *rotation.Record) { r.Current.Origin = o } }

func currentSince(t time.Time) change { return func(r *rotation.Record) { r.Current.Since = t } }

func retires(m ...rotation.Removal) change {
	return func(r *rotation.Record) { r.Removals = append(r.Removals, m...) }
}

func abandons(m ...rotation.Removal) change { return retires(m...) }

func stale(s rotation.Stale) change { return func(r *rotation.Record) { r.Stale = s } }

func refused(n int, since time.Time) change {
	return func(r *rotation.Record) { r.Current.Refusals, r.Current.RefusedSince = n, since }
}

func revoking(r *rotation.Record) { r.Revoke = true }

func empty(r *rotation.Record) { r.Current = nil }

// old is a credential whose grace period ends at a time.
func old(after time.Time) rotation.Removal {
	return rotation.Removal{Kind: rotation.RemoveReplaced, Published: true, Target: billing, KeyID: "old", VaultVersion: "v0", After: after}
}

// removed is one that was removed, and whose next read is due at a time.
func removed(next time.Time) rotation.Removal {
	o := old(now.Add(-hour))
	o.RemovedAt, o.NextAt = now.Add(-minute), next
	return o
}

// last is the last credential of an application that the connection has left.
func last() rotation.Removal {
	return rotation.Removal{Kind: rotation.RemoveLast, Published: true, Target: former, KeyID: "last", After: now}
}

// lostTrack is a marker to be looked for at a time.
func lostTrack(next time.Time) rotation.Removal {
	return rotation.Removal{Kind: rotation.RemoveOrphan, Target: billing, Marker: "x", Since: now.Add(-hour), NextAt: next}
}

// orphan is one that was found.
func orphan() rotation.Removal {
	o := lostTrack(now)
	o.KeyID = "orphan"
	return o
}

// exclusive gives the connection its application for itself.
func exclusive(r *rotation.Record) {
	r.Claimed = []rotation.Claim{{ID: "x", Kind: rotation.Exclusive, App: r.Target.Key()}}
}

// lasting leaves unknown when current expires, so that no warning is due.
func lasting(r *rotation.Record) { r.Current.ExpiresAt = time.Time{} }

func waitFor(d time.Duration) rotation.Step { return rotation.Wait{Until: now.Add(d)} }

var forever rotation.Step = rotation.Wait{}
