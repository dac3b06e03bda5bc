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
		"a refusal while it is deleted": {Record{Phase: Deleting, Error: failed(serviceerror.VaultRefused, 9)},
			history.Attention, troubleFailing},
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
		"well, and being deleted": {Record{Phase: Deleting, Told: troubleFailing}, "", troubleFailing},
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
