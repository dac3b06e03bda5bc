package rotation

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/serviceerror"
)

// The specification of what a person is told, and when.
func TestTell(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	failed := func(class serviceerror.Class, count int) *Failure { return &Failure{Class: class, Count: count} }
	old := func(class serviceerror.Class, tries int) []Removal {
		return []Removal{{Kind: RemoveReplaced, KeyID: "old", Problem: class, Tries: tries}}
	}
	orphan := func(class serviceerror.Class, tries int) []Removal {
		return []Removal{{Kind: RemoveOrphan, Marker: "m", KeyID: "orphan", Problem: class, Tries: tries}}
	}
	refusedNow := &Failure{Class: serviceerror.VaultRefused, Count: 1, At: now}
	asked := func(ago time.Duration, told string) Record {
		return Record{Phase: Idle, Auth: &Auth{Problem: refusedNow}, Request: &Request{Kind: AskDelete, At: now.Add(-ago)}, Told: told}
	}
	for name, tt := range map[string]struct {
		rec  Record
		want string // the kinds of the notices
		told string // afterwards
	}{
		"nothing": {Record{Phase: Idle}, "", ""},
		"a refusal": {Record{Phase: Idle, Error: failed(serviceerror.Permission, 1)},
			history.Attention, troubleFailing},
		"a refusal that was told": {Record{Phase: Idle, Error: failed(serviceerror.Permission, 2), Told: troubleFailing},
			"", troubleFailing},
		"four failures": {Record{Phase: Issuing, Error: failed(serviceerror.Transient, 4)}, "", ""},
		"five failures": {Record{Phase: Issuing, Error: failed(serviceerror.Transient, 5)},
			history.Attention, troubleFailing},
		"a refusal while it is created": {Record{Phase: Creating, Error: failed(serviceerror.VaultRefused, 9)}, "", ""},
		"a refusal while it is deleted": {Record{Phase: Deleting, Error: refusedNow}, history.Attention, troubleDeletion},
		"no sign-in": {Record{Phase: Idle, Auth: &Auth{Problem: failed(serviceerror.SignInExpired, 1)}},
			history.Attention, troubleSignIn},
		"no sign-in, and so a refusal": {Record{Phase: Idle, Error: failed(serviceerror.ActorRefused, 1),
			Auth: &Auth{Problem: failed(serviceerror.SignInExpired, 1)}, Told: troubleFailing}, history.Attention, "failing,sign-in"},
		"a removal is refused": {Record{Phase: Idle, Removals: old(serviceerror.Permission, 1)},
			history.Attention, troubleNotRemoved},
		"a removal fails for the fourth time": {Record{Phase: Idle, Removals: old(serviceerror.Throttled, 4)}, "", ""},
		"a removal fails for the fifth time": {Record{Phase: Idle, Removals: old(serviceerror.Throttled, 5)},
			history.Attention, troubleNotRemoved},
		"a removal waits": {Record{Phase: Idle, Removals: old("", 9)}, "", ""},
		"an orphan's removal is refused": {Record{Phase: Idle, Removals: orphan(serviceerror.Permission, 1)},
			history.Attention, troubleNotRemoved},
		"both are refused": {Record{Phase: Idle,
			Removals: append(old(serviceerror.Permission, 1), orphan(serviceerror.Permission, 1)...)}, history.Attention, troubleNotRemoved},
		"disabling is refused": {Record{Phase: Idle, Stale: Stale{Tries: 1}}, "", ""},
		"disabling is refused for an hour": {Record{Phase: Idle, Stale: Stale{Tries: 2, Problem: serviceerror.VaultRefused}},
			history.Attention, troubleNotDisabled},
		"all is well again":                    {Record{Phase: Idle, Told: "failing,sign-in"}, history.Recovered, ""},
		"well, but a new attempt is under way": {Record{Phase: Issuing, Run: &Run{}, Told: troubleFailing}, "", troubleFailing},
		"well, but the last failure is recent": {Record{Phase: Idle, Error: failed(serviceerror.Transient, 1), Told: troubleFailing},
			"", troubleFailing},
		"one of two is well again": {Record{Phase: Idle, Error: failed(serviceerror.Permission, 2), Told: "failing,sign-in"},
			"", "failing,sign-in"},
		"a deletion is under way": {Record{Phase: Deleting, DeletingSince: now.Add(-time.Hour + 1)}, "", ""},
		"a deletion lasts":        {Record{Phase: Deleting, DeletingSince: now.Add(-time.Hour)}, history.Attention, troubleDeletion},
		"a deletion lasts, and why is told": {Record{Phase: Deleting, DeletingSince: now.Add(-time.Hour),
			Removals: old(serviceerror.Permission, 1)}, history.Attention, troubleDeletion},
		"a deletion fails, as rotations did": {Record{Phase: Deleting, Error: refusedNow, Told: troubleFailing},
			history.Attention, "failing,deletion"},
		"the creation that is undone had failed": {Record{Phase: Deleting, DeletingSince: now, Error: refusedNow}, "", ""},
		"a deletion of what fails is asked for":  {asked(0, ""), "", ""},
		"and of what was told of":                {asked(0, troubleFailing), "", troubleFailing},
		"and does not begin":                     {asked(time.Hour, troubleFailing), history.Attention, "failing,deletion"},
		"well, and being deleted":                {Record{Phase: Deleting, Told: troubleFailing}, "", troubleFailing},
		"another thing than what was told of is": {Record{Phase: Idle, Removals: old(serviceerror.Permission, 1), Told: troubleFailing},
			history.Attention, "failing,not-removed"},
	} {
		t.Run(name, func(t *testing.T) {
			var kinds []string
			for _, e := range Tell(&tt.rec, now) {
				kinds = append(kinds, e.Kind)
				if !e.Notice || !e.At.Equal(now) || e.Message == "" && e.Kind == history.Recovered {
					t.Errorf("notice %+v", e)
				}
			}
			if got := strings.Join(kinds, " "); got != tt.want || tt.rec.Told != tt.told {
				t.Errorf("notices %q, told of %q; want %q, %q", got, tt.rec.Told, tt.want, tt.told)
			}
			if again := Tell(&tt.rec, now); len(again) != 0 {
				t.Errorf("told again: %+v", again)
			}
		})
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
		{"so does one that its end brings forward", on(end.Add(day), false), 2 * day, 0, -1},
		{"nor one that has failed so far", on(end.Add(-day), true), 2 * day, 3, -1},
		{"nor a slot while rotation is off", func() *Record { r := on(end.Add(-day), false); r.Policy.Enabled = false; return r }(), 2 * day, 3,
			-1},
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
	}{{serviceerror.Transient, 1}, {serviceerror.Throttled, 2}, {serviceerror.Transient, 3}, {serviceerror.Permission, 1},
		{serviceerror.PolicyForbidden, 2}, {serviceerror.Transient, 1}} {
		rec.Error = DefaultRules().failure(now, &rec, &serviceerror.Error{Class: tt.class})
		if rec.Error.Count != tt.count {
			t.Errorf("%s: count %d, want %d", tt.class, rec.Error.Count, tt.count)
		}
	}
}
