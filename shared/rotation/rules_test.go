package rotation

import (
	"testing"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

const day = 24 * time.Hour

func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		name       string
		class      serviceerror.Class
		count      int
		retryAfter time.Duration
		base       time.Duration // and at most a fifth more
	}{
		{"what may pass by itself begins with seconds", serviceerror.Transient, 1, 0, 5 * time.Second},
		{"and doubles", serviceerror.Transient, 2, 0, 10 * time.Second},
		{"and doubles again", serviceerror.Throttled, 4, 0, 40 * time.Second},
		{"up to a quarter of an hour", serviceerror.Concurrency, 9, 0, 15 * time.Minute},
		{"for ever", serviceerror.Transient, 10_000, 0, 15 * time.Minute},
		{"what a person has to change begins with an hour", serviceerror.Permission, 1, 0, time.Hour},
		{"and doubles", serviceerror.PolicyForbidden, 2, 0, 2 * time.Hour},
		{"and doubles again", serviceerror.Full, 4, 0, 8 * time.Hour},
		{"up to a day", serviceerror.CredentialRefused, 6, 0, 24 * time.Hour},
		{"for ever", serviceerror.VaultRefused, 1_000_000, 0, 24 * time.Hour},
		{"a longer pause that was asked for is kept", serviceerror.Throttled, 1, 10 * time.Minute, 10 * time.Minute},
		{"a shorter one is not", serviceerror.Permission, 1, time.Minute, time.Hour},
		{"no count is the first", serviceerror.Transient, 0, 0, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, id := range []string{"a", "b", "c", "d"} {
				if got := backoff(id, tt.class, tt.count, tt.retryAfter); got < tt.base || got > tt.base+tt.base/5 {
					t.Errorf("%s, want %s to a fifth more", got, tt.base)
				}
			}
		})
	}
	spread := map[time.Duration]bool{}
	for c := range 20 {
		spread[backoff(string(rune('a'+c)), serviceerror.Permission, 1, 0)] = true
	}
	if len(spread) < 15 {
		t.Errorf("20 connections that failed together return at %d different times", len(spread))
	}
}

func TestLifetime(t *testing.T) {
	thirty := Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30}, Grace: 2 * day}
	for _, tt := range []struct {
		name   string
		policy Policy
		run    Run
		want   time.Duration
	}{
		{"twice the interval and three days", thirty, Run{}, 63 * day},
		{"or, where the policy refuses, interval, grace and three days", thirty, Run{Short: true, Grace: 2 * day}, 35 * day},
		{"the longer grace counts", thirty, Run{Short: true, Grace: 5 * day}, 38 * day},
		{"an emergency has none, the run after it has", thirty, Run{Short: true}, 35 * day},
		{"without a schedule about half a year", Policy{}, Run{}, 183 * day},
	} {
		if got := Lifetime(tt.policy, &tt.run); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestMinAge(t *testing.T) {
	r := DefaultRules()
	for trigger, want := range map[Trigger]time.Duration{
		OnSchedule: 5 * time.Minute, OnRequest: 5 * time.Minute,
		OnCreation: 15 * time.Second, OnEmergency: 15 * time.Second, OnLoss: 15 * time.Second, OnRebind: 15 * time.Second,
	} {
		if got := r.minAge(trigger); got != want {
			t.Errorf("%s: %s, want %s", trigger, got, want)
		}
	}
}

// A call that is admitted ends at least two skews before anybody else may begin.
func TestLeaseKeepsOthersOut(t *testing.T) {
	r := DefaultRules()
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	lease := Lease{Token: "t", Until: now.Add(r.Lease)}
	last := lease.Until.Add(-r.Skew - r.CallTimeout)
	if !r.Fits(last, lease, r.CallTimeout) || r.Fits(last.Add(time.Nanosecond), lease, r.CallTimeout) {
		t.Error("the last moment for a call is its timeout and 30 s before the lease's end")
	}
	if r.Fits(now, Lease{}, time.Second) {
		t.Error("a call fits into no lease")
	}
	first := lease.Until.Add(r.Skew)
	if !r.Taken(first.Add(-time.Nanosecond), lease) || r.Taken(first, lease) {
		t.Error("a lease is taken over 30 s after its end, not before")
	}
	if r.Taken(now, Lease{Until: lease.Until}) {
		t.Error("a lease that was given back keeps nobody out")
	}
}

func TestWarning(t *testing.T) {
	end := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	off := func(warned int) *Record { return &Record{Current: &Credential{ExpiresAt: end}, WarnedAt: warned} }
	on := func(slot time.Time, failed bool) *Record {
		rec := off(0)
		rec.Policy.Enabled, rec.NextSlot = true, slot
		if failed {
			rec.Error = &Failure{Class: serviceerror.Permission}
		}
		return rec
	}
	for _, tt := range []struct {
		name string
		rec  *Record
		left time.Duration
		days int
		next time.Duration // before the end; -1: never
	}{
		{"15 days before nothing is said yet", off(0), 15 * day, 0, 14 * day},
		{"14 days before is the first", off(0), 14 * day, 14, -1},
		{"which is said once", off(14), 13 * day, 0, 7 * day},
		{"7 days before is the second", off(14), 7 * day, 7, -1},
		{"3 days before is the third", off(7), 3 * day, 3, -1},
		{"1 day before is the last", off(3), day, 1, -1},
		{"after which there is silence", off(1), time.Hour, 0, -1},
		{"what was slept through is said once, as what it is now", off(0), 2 * day, 3, -1},
		{"an end that has come is said, too", off(3), -time.Hour, 1, -1},
		{"a rotation that comes before prevents it", on(end.Add(-day), false), 2 * day, 0, -1},
		{"one that comes later does not", on(end, false), 2 * day, 3, -1},
		{"nor one that has failed so far", on(end.Add(-day), true), 2 * day, 3, -1},
		{"nor a slot while rotation is off", func() *Record { r := on(end.Add(-day), false); r.Policy.Enabled = false; return r }(), 2 * day, 3, -1},
		{"an unknown end can't be warned of", &Record{Current: &Credential{}}, 0, 0, -1},
		{"nor that of nothing", &Record{}, 0, 0, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			days, next := warning(end.Add(-tt.left), tt.rec)
			want := time.Time{}
			if tt.next >= 0 {
				want = end.Add(-tt.next)
			}
			if days != tt.days || !next.Equal(want) {
				t.Errorf("%d days, next %s; want %d, %s", days, next, tt.days, want)
			}
		})
	}
}

// Failures that pass by themselves and refusals are counted apart, so that the first
// refusal after an outage is retried in an hour, not in a day.
func TestFailuresCountByKind(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	rec := Record{ID: "c"}
	for _, tt := range []struct {
		class serviceerror.Class
		count int
	}{{serviceerror.Transient, 1}, {serviceerror.Throttled, 2}, {serviceerror.Transient, 3}, {serviceerror.Permission, 1}, {serviceerror.PolicyForbidden, 2}, {serviceerror.Transient, 1}} {
		rec.Error = DefaultRules().failure(now, &rec, &serviceerror.Error{Class: tt.class})
		if rec.Error.Count != tt.count {
			t.Errorf("%s: count %d, want %d", tt.class, rec.Error.Count, tt.count)
		}
	}
}

// Clone shares nothing, so that a change that is not committed leaves no trace.
func TestClone(t *testing.T) {
	grace := time.Hour
	rec := Record{
		Request: &Request{Grace: &grace, Next: &Credential{KeyID: "a"}}, Error: &Failure{}, Run: &Run{}, LastRun: &RunResult{}, Current: &Credential{},
		Retiring: make([]Retiring, 1), Abandoned: make([]Abandoned, 1), Spent: make([]Spent, 1), ByHand: make([]ByHand, 1),
	}
	c := rec.Clone()
	*c.Request.Grace, c.Request.Next.KeyID, c.Error.Count, c.Run.KeyID, c.LastRun.KeyID, c.Current.KeyID = 0, "b", 1, "b", "b", "b"
	c.Retiring[0].KeyID, c.Abandoned[0].KeyID, c.Spent[0].Tries, c.ByHand[0].KeyID = "b", "b", 1, "b"
	if grace != time.Hour || rec.Request.Next.KeyID != "a" || rec.Error.Count != 0 || rec.Run.KeyID+rec.LastRun.KeyID+rec.Current.KeyID != "" ||
		rec.Retiring[0].KeyID+rec.Abandoned[0].KeyID+rec.ByHand[0].KeyID != "" || rec.Spent[0].Tries != 0 {
		t.Error("a change of the copy shows in the original")
	}
}
