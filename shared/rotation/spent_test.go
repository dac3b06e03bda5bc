package rotation_test

import (
	"testing"

	"rekey/shared/rotation"
)

// What an attempt that is given up leaves: an orphan to look for, and a staged version to
// disable. Only one that was publishing may have been published.
func TestWhatAnAttemptLeaves(t *testing.T) {
	for name, row := range map[string]struct {
		rec       rotation.Record
		keyID     string
		published bool
		spent     rotation.Spent
	}{
		"verifying":  {verifying(), "new", false, rotation.Spent{VaultVersion: "s1"}},
		"publishing": {publishing(), "new", true, rotation.Spent{VaultVersion: "s1"}},
		"issuing":    {issuing(), "", false, rotation.Spent{Marker: "m", NextAt: now.Add(minute)}},
	} {
		rec := with(row.rec, asked(rotation.AskDelete))
		next, _ := rotation.DefaultRules().Apply(now, rec, rotation.BeginDelete{}, rotation.Outcome{})
		if len(next.Removals) != 1 || len(next.Spent) != 1 || next.Run != nil {
			t.Fatalf("%s: removals %+v, spent %+v, run %+v", name, next.Removals, next.Spent, next.Run)
		}
		m := next.Removals[0]
		if m.Kind != rotation.RemoveOrphan || m.Marker != "m" || m.KeyID != row.keyID || m.Published != row.published {
			t.Errorf("%s: %+v", name, m)
		}
		if got := next.Spent[0]; got != row.spent {
			t.Errorf("%s: spent %+v, want %+v", name, got, row.spent)
		}
	}
}

// Which staged versions are disabled: never one that the record goes on with.
func TestWhatIsSpent(t *testing.T) {
	tagged := func(version, marker string, days int) rotation.VaultSecret {
		made := now.Add(-minute).AddDate(0, 0, -days)
		return rotation.VaultSecret{Version: version, CreatedAt: made, Tags: map[string]string{rotation.TagMarker: marker}}
	}
	byMarker, all := rotation.Spent{Marker: "m"}, rotation.Spent{}
	next := func(r *rotation.Record) {
		r.Request = &rotation.Request{Kind: rotation.AskRebind, Next: &rotation.Credential{VaultVersion: "s7"}}
	}
	signsIn := func(r *rotation.Record) { r.Auth = &rotation.Auth{VaultVersion: "a1"} }
	listed := func(r *rotation.Record) { r.Spent = []rotation.Spent{{Marker: "m9"}} }
	for name, row := range map[string]struct {
		rec   rotation.Record
		spent rotation.Spent
		v     rotation.VaultSecret
		want  bool
	}{
		"the run's own version":                  {verifying(), byMarker, tagged("s1", "m", 1), false},
		"another one with its marker":            {verifying(), byMarker, tagged("s2", "m", 1), true},
		"one with another marker":                {verifying(), byMarker, tagged("s2", "m2", 1), false},
		"what the caller gave":                   {with(idle(), next), all, tagged("s7", "", 1), false},
		"what the connection authenticates with": {with(idle(), signsIn), all, tagged("a1", "", 1), false},
		"what is in use no more":                 {with(idle(), signsIn), all, tagged("a0", "", 1), true},
		"what is young may be about to be used":  {with(idle(), signsIn), all, tagged("a2", "", 0), false},
		"a marker that is listed has its turn":   {with(idle(), listed), all, tagged("s3", "m9", 1), false},
	} {
		if got := row.rec.IsSpent(now, row.spent, row.v); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
