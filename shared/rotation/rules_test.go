package rotation

import (
	"testing"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		name  string
		class serviceerror.Class
		count int
		base  time.Duration // and at most a fifth more
	}{
		{"what may pass by itself begins with seconds", serviceerror.Transient, 1, 5 * time.Second},
		{"and doubles", serviceerror.Transient, 2, 10 * time.Second},
		{"and doubles again", serviceerror.Throttled, 4, 40 * time.Second},
		{"up to a quarter of an hour", serviceerror.Concurrency, 9, 15 * time.Minute},
		{"for ever", serviceerror.Transient, 10_000, 15 * time.Minute},
		{"what a person has to change begins with an hour", serviceerror.Permission, 1, time.Hour},
		{"and doubles", serviceerror.PolicyForbidden, 2, 2 * time.Hour},
		{"and doubles again", serviceerror.Full, 4, 8 * time.Hour},
		{"up to a day", serviceerror.CredentialRefused, 6, 24 * time.Hour},
		{"for ever", serviceerror.VaultRefused, 1_000_000, 24 * time.Hour},
		{"no count is the first", serviceerror.Transient, 0, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, id := range []string{"a", "b", "c", "d"} {
				if got := Backoff(id, tt.class, tt.count); got < tt.base || got > tt.base+tt.base/5 {
					t.Errorf("%s, want %s to a fifth more", got, tt.base)
				}
			}
		})
	}
	spread := map[time.Duration]bool{}
	for c := range 20 {
		spread[Backoff(string(rune('a'+c)), serviceerror.Permission, 1)] = true
	}
	if len(spread) < 15 {
		t.Errorf("20 connections that failed together return at %d different times", len(spread))
	}
}

// R10: the lifetime that is asked for.
func TestLifetime(t *testing.T) {
	every := func(days int, grace time.Duration) Policy {
		return Policy{Enabled: true, Schedule: schedule.Schedule{Interval: days}, Grace: grace}
	}
	for _, tt := range []struct {
		name     string
		policy   Policy
		run      Run
		accepted time.Duration
		want     time.Duration
	}{
		{"two intervals and three days", every(30, 2*day), Run{}, 0, 63 * day},
		{"or interval and grace, if that is longer", every(1, 30*day), Run{}, 0, 34 * day},
		{"the longer grace counts", every(1, 2*day), Run{Grace: 10 * day}, 0, 14 * day},
		{"without a schedule about half a year", Policy{}, Run{}, 0, 183 * day},
		{"what the tenant's policy has refused is not asked for again in this run", every(30, 0), Run{Lifetime: 31 * day}, 0, 31 * day},
		{"nor in a later one", every(30, 0), Run{}, 15 * day, 15 * day},
		{"which may have to ask for less", every(30, 0), Run{Lifetime: 7 * day}, 15 * day, 7 * day},
		{"a long acceptance does not lengthen a short one", every(1, 0), Run{}, 90 * day, 5 * day},
	} {
		rec := Record{Policy: tt.policy, Run: &tt.run, LongestAccepted: tt.accepted}
		if got := rec.Lifetime(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// R10: a rotation is due at the slot, or before current expires.
func TestDue(t *testing.T) {
	since := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name        string
		slot, lives time.Duration // after since; 0: none, or not known
		grace       time.Duration
		want        time.Duration // after since
	}{
		{"the slot comes first", 30 * day, 63 * day, 2 * day, 30 * day},
		{"the end comes first: two days and the grace period before it", 90 * day, 17 * day, 2 * day, 13 * day},
		{"with a grace period longer than its life, after half of it", 90 * day, 10 * day, 30 * day, 5 * day},
		{"one of a day rotates after half a day", 30 * day, day, 0, day / 2},
		{"an unknown end: the slot alone", 90 * day, 0, 2 * day, 90 * day},
		{"no slot: before the end", 0, 17 * day, 0, 15 * day},
	} {
		rec := Record{Policy: Policy{Enabled: true, Grace: tt.grace}, Current: &Credential{Since: since}}
		if tt.slot != 0 {
			rec.NextSlot = since.Add(tt.slot)
		}
		if tt.lives != 0 {
			rec.Current.ExpiresAt = since.Add(tt.lives)
		}
		if got := rec.Due(); !got.Equal(since.Add(tt.want)) {
			t.Errorf("%s: after %s, want %s", tt.name, got.Sub(since), tt.want)
		}
		if rec.Policy.Enabled = false; tt.slot != 0 && !rec.Due().Equal(rec.NextSlot) {
			t.Errorf("%s: with rotation off %s", tt.name, rec.Due())
		}
	}
}

// R10: no pause is longer than a quarter of what current has left, nor shorter than what a
// service asked for.
func TestPausesLeaveCurrentTime(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		left     time.Duration
		asked    time.Duration
		min, max time.Duration
	}{
		{"a long life has the usual pause", 60 * day, 0, time.Hour, 72 * time.Minute},
		{"an hour that is left is tried four times", time.Hour, 0, 15 * time.Minute, 15 * time.Minute},
		{"but not all the time", time.Minute, 0, time.Minute, time.Minute},
		{"what has ended has the usual pause", -time.Minute, 0, time.Hour, 72 * time.Minute},
		{"a pause that the service asked for is kept", time.Hour, 20 * time.Minute, 20 * time.Minute, 20 * time.Minute},
		{"though it be long", 60 * day, serviceerror.MaxPause, time.Hour, 72 * time.Minute},
	} {
		rec := Record{ID: "c", Policy: Policy{Enabled: true}, Current: &Credential{ExpiresAt: now.Add(tt.left)}}
		f := DefaultRules().failure(now, &rec, &serviceerror.Error{Class: serviceerror.Permission, RetryAfter: tt.asked})
		if pause := f.RetryAt.Sub(now); pause < tt.min || pause > tt.max {
			t.Errorf("%s: %s, want %s to %s", tt.name, pause, tt.min, tt.max)
		}
		// A person who asks again waits for that, and never for as long as an absurd answer says.
		if rec.Error = f; !rec.RetryNow(now) && tt.asked == 0 || rec.Error.RetryAt.After(now.Add(min(tt.asked, 5*time.Minute))) {
			t.Errorf("%s: asked again, it is tried after %s", tt.name, rec.Error.RetryAt.Sub(now))
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

// A call that is admitted ends at least two skews before another pass may begin.
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
		t.Error("a lease that was given back keeps other passes out")
	}
}

// Clone shares nothing, so that a change that is not committed leaves no trace.
func TestClone(t *testing.T) {
	grace := time.Hour
	rec := Record{
		Request: &Request{Grace: &grace, Next: &Credential{KeyID: "a"}}, Error: &Failure{}, Run: &Run{AskedGrace: new(time.Duration)}, LastRun: &RunResult{},
		Current: &Credential{}, Labels: &Labels{},
		Removals: make([]Removal, 1), Retire: make([]string, 1), RetireGrace: new(time.Duration),
		Stale: Stale{Versions: make([]string, 1)}, ByHand: make([]ByHand, 1),
	}
	c := rec.Clone()
	*c.Request.Grace, c.Request.Next.KeyID, c.Error.Count, c.Run.KeyID, c.LastRun.KeyID, c.Current.KeyID = 0, "b", 1, "b", "b", "b"
	c.Removals[0].KeyID, c.Stale.Versions[0], c.ByHand[0].KeyID, c.Labels.Environment, c.Retire[0] = "b", "b", "b", "b", "b"
	*c.RetireGrace, *c.Run.AskedGrace = 1, 1
	if grace != time.Hour || rec.Request.Next.KeyID != "a" || rec.Error.Count != 0 ||
		rec.Run.KeyID+rec.LastRun.KeyID+rec.Current.KeyID+rec.Labels.Environment != "" ||
		rec.Removals[0].KeyID+rec.ByHand[0].KeyID+rec.Retire[0] != "" || *rec.RetireGrace+*rec.Run.AskedGrace != 0 || rec.Stale.Versions[0] != "" {
		t.Error("a change of the copy shows in the original")
	}
}

// The next rotation is the slot, but where one that was asked for was refused, it is when that is
// tried again: the slot waits for it.
func TestNextRotation(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	slot, retry := now.AddDate(0, 0, 30), now.Add(18*time.Hour)
	asked := &Request{ID: "q", Kind: AskEmergency}
	for name, c := range map[string]struct {
		on   bool
		req  *Request
		err  *Failure
		want time.Time
	}{
		"the slot":                           {true, nil, nil, slot},
		"a refused emergency":                {true, asked, &Failure{Request: "q", RetryAt: retry}, retry},
		"an emergency that was not tried":    {true, asked, nil, slot},
		"a failure of an earlier request":    {true, asked, &Failure{Request: "p", RetryAt: retry}, slot},
		"a failed slot waits":                {true, nil, &Failure{RetryAt: slot.Add(time.Hour)}, slot.Add(time.Hour)},
		"rotation is off, whatever is asked": {false, asked, &Failure{Request: "q", RetryAt: retry}, time.Time{}},
	} {
		rec := Record{NextSlot: slot, Request: c.req, Error: c.err, Policy: Policy{Enabled: c.on}}
		if got := rec.NextRotation(now); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
