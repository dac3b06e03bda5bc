package attention_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rekey/shared/attention"
	"rekey/shared/rotation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func in(days int) time.Time { return noon.AddDate(0, 0, days) }

// The specification of what a person is called for.
func TestAttention(t *testing.T) {
	daily := rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 1, Zone: "UTC"}}
	failure := func(class serviceerror.Class, count int) *rotation.Failure {
		return &rotation.Failure{Class: class, Count: count}
	}
	ends := func(days int) *rotation.Credential { return &rotation.Credential{ExpiresAt: in(days)} }
	removal := func(class serviceerror.Class, tries int) rotation.Removal {
		return rotation.Removal{Problem: class, Tries: tries}
	}
	deleted := func(ago time.Duration, why *rotation.Failure) rotation.Record {
		if why != nil {
			why.At = noon
		}
		// Nothing else of what is being deleted is a person's business.
		return rotation.Record{Phase: rotation.Deleting, DeletingSince: noon.Add(-ago), Error: why, ByHand: []rotation.ByHand{{}},
			Current: ends(0)}
	}
	refused := deleted(time.Minute, nil)
	refused.Removals = []rotation.Removal{removal(serviceerror.Permission, 1)}
	asked := func(ago time.Duration) rotation.Record {
		return rotation.Record{Phase: rotation.Idle, Request: &rotation.Request{Kind: rotation.AskDelete, At: noon.Add(-ago)}, Current: ends(0)}
	}
	abandoned := &rotation.RunResult{Outcome: "abandoned"}
	for name, tt := range map[string]struct {
		rec  rotation.Record
		want string
	}{
		"nothing":                             {rotation.Record{}, ""},
		"new":                                 {rotation.Record{Phase: rotation.Creating}, ""},
		"rotates tomorrow":                    {rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(2)}, ""},
		"ends in 14 days, nothing rotates it": {rotation.Record{Current: ends(14)}, "expiring"},
		"ends in 15 days, nothing rotates it": {rotation.Record{Current: ends(15)}, ""},
		"has ended":                           {rotation.Record{Current: ends(0)}, "expired"},
		"has ended although it rotates": {
			rotation.Record{Policy: daily, NextSlot: in(-1), Current: ends(0), Run: &rotation.Run{}}, "expired",
		},
		"end unknown":                 {rotation.Record{Current: &rotation.Credential{}}, ""},
		"certificate ends in 30 days": {rotation.Record{Auth: &rotation.Auth{ExpiresAt: in(30)}}, "expiring"},
		"certificate ends in 31 days": {rotation.Record{Auth: &rotation.Auth{ExpiresAt: in(31)}}, ""},
		"certificate ended, and is refused": {
			rotation.Record{Auth: &rotation.Auth{ExpiresAt: in(-1), Problem: failure(serviceerror.CertificateRefused, 1)}}, "expired sign-in",
		},
		"signed out": {
			rotation.Record{Auth: &rotation.Auth{Problem: failure(serviceerror.SignInExpired, 1)}}, "sign-in",
		},
		"failed for a person to repair": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.Permission, 1)}, "failing",
		},
		"failed, which may pass": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.Transient, 4)}, "",
		},
		"failed often, which may pass": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.Transient, 5)}, "failing",
		},
		"failed, and ends soon": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(5), Error: failure(serviceerror.Full, 1)}, "failing expiring",
		},
		"the first rotation was abandoned": {rotation.Record{Policy: daily, Phase: rotation.Idle, LastRun: abandoned}, "failing"},
		"the same, rotation off":           {rotation.Record{Phase: rotation.Idle, LastRun: abandoned}, "failing"},
		"the same, and the next is under way": {
			rotation.Record{Phase: rotation.Verifying, LastRun: abandoned, Run: &rotation.Run{StartedAt: noon}}, "",
		},
		"a later one was abandoned": {rotation.Record{Phase: rotation.Idle, LastRun: abandoned, Current: ends(90)}, ""},
		"lost": {
			rotation.Record{Policy: daily, NextSlot: in(1), Current: ends(90), Error: failure(serviceerror.CredentialLost, 1)}, "lost",
		},
		"an hour late": {rotation.Record{Policy: daily, NextSlot: noon.Add(-time.Hour), Current: ends(90)}, ""},
		"more than an hour late": {
			rotation.Record{Policy: daily, NextSlot: noon.Add(-61 * time.Minute), Current: ends(90)}, "overdue",
		},
		"more than an hour late, but at it": {
			rotation.Record{Policy: daily, NextSlot: noon.Add(-61 * time.Minute), Current: ends(90), Run: &rotation.Run{}}, "",
		},
		"late, but off":         {rotation.Record{NextSlot: in(-1), Current: ends(90)}, ""},
		"to be removed by hand": {rotation.Record{ByHand: []rotation.ByHand{{KeyID: "k"}}}, "remove-by-hand"},
		"waits for its grace period": {
			rotation.Record{Removals: []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, KeyID: "k"}}}, "",
		},
		"removal refused": {
			rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Permission, 1)}}, "not-removed",
		},
		"removal failed, which may pass": {rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Throttled, 4)}}, ""},
		"removal failed often":           {rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Throttled, 5)}}, "not-removed"},
		"removal of an abandoned one refused": {
			rotation.Record{Removals: []rotation.Removal{removal(serviceerror.Permission, 1)}}, "not-removed",
		},
		"being deleted":                 {deleted(59*time.Minute, nil), ""},
		"being deleted for an hour":     {deleted(time.Hour, nil), "deletion"},
		"a deletion that may yet go on": {deleted(time.Minute, failure(serviceerror.Transient, 4)), ""},
		"a deletion that is refused":    {deleted(time.Minute, failure(serviceerror.VaultRefused, 1)), "deletion"},
		"a creation that is undone":     {deleted(0, failure(serviceerror.Permission, 1)), ""}, // it is the creation's
		"a deletion's removal refused":  {refused, "deletion"},
		"a deletion that has not begun": {asked(time.Hour), "deletion"},
		"a deletion that is to begin":   {asked(time.Minute), ""},
		"disabling failed for an hour":  {rotation.Record{Stale: rotation.Stale{Problem: serviceerror.VaultRefused}}, "not-disabled"},
	} {
		if got := strings.Join(attention.Of(&tt.rec, noon), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// What is kept beside a record says from when on a person should look, to the nanosecond and for
// whatever record: a list of what needs attention would leave out what that comes too late for.
func TestFromAgreesWithOf(t *testing.T) {
	const seed, records = 1, 20_000
	some := draw{rand.New(rand.NewPCG(seed, 1))}
	found := 0
	for range records {
		rec := some.record()
		from := attention.From(&rec)
		for _, now := range []time.Time{some.moment(), noon, from, from.Add(-1), from.Add(1)} {
			if now.Year() < 1900 {
				continue // no clock shows it
			}
			words, since := attention.Of(&rec, now), !from.IsZero() && !now.Before(from)
			if (len(words) > 0) != since {
				t.Fatalf("at %v there is %q, and a reason from %v on: %+v", now, words, from, rec)
			}
			if since {
				found++
			}
		}
	}
	if found < records || found > 4*records {
		t.Errorf("%d times there was a reason", found)
	}
}

// draw makes records of every sort.
type draw struct{ *rand.Rand }

func (d draw) in(n int) bool { return d.IntN(n) == 0 }

func (d draw) moment() time.Time {
	if d.in(4) {
		return time.Time{}
	}
	return noon.Add(time.Duration(d.IntN(120*24)-60*24) * time.Hour)
}

func (d draw) failure() *rotation.Failure {
	return &rotation.Failure{Class: d.class(), Count: 1 + d.IntN(6)}
}

func (d draw) class() serviceerror.Class {
	return []serviceerror.Class{serviceerror.Transient, serviceerror.Permission, serviceerror.CredentialLost}[d.IntN(3)]
}

func (d draw) record() rotation.Record {
	rec := rotation.Record{NextSlot: d.moment(), Unproven: max(0, d.IntN(12)-10)}
	rec.Policy.Enabled, rec.Policy.Grace = d.in(2), time.Duration(d.IntN(48))*time.Hour
	if d.in(2) {
		rec.Current = &rotation.Credential{ExpiresAt: d.moment(), Since: d.moment()}
	}
	if d.in(4) {
		rec.Auth = &rotation.Auth{ExpiresAt: d.moment()}
		if d.in(4) {
			rec.Auth.Problem = d.failure()
		}
	}
	if d.in(2) {
		rec.Phase = rotation.Idle
	}
	if d.in(4) {
		rec.LastRun = &rotation.RunResult{Outcome: []string{"success", "failed", "abandoned"}[d.IntN(3)]}
	}
	if d.in(4) {
		rec.Run = &rotation.Run{StartedAt: d.moment()}
	}
	if d.in(4) {
		rec.Error = d.failure()
	}
	if d.in(6) {
		rec.Removals = []rotation.Removal{{Problem: d.class(), Tries: 1 + d.IntN(6)}}
	}
	if d.in(12) {
		rec.Stale.Problem = serviceerror.VaultRefused
	}
	if d.in(12) {
		rec.ByHand = []rotation.ByHand{{}}
	}
	switch {
	case d.in(6):
		rec.Phase, rec.DeletingSince = rotation.Deleting, d.moment()
	case d.in(12):
		rec.Request = &rotation.Request{Kind: rotation.AskDelete, At: d.moment()}
	}
	return rec
}
