package rotation_test

import (
	"slices"
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
		stale     string // the staged version that is known; empty: it is looked for
	}{
		"verifying":  {verifying(), "new", false, "s1"},
		"publishing": {publishing(), "new", true, "s1"},
		"issuing":    {issuing(), "", false, ""},
	} {
		rec := with(row.rec, asked(rotation.AskDelete))
		next, _ := rotation.DefaultRules().Apply(now, rec, rotation.BeginDelete{}, rotation.Outcome{})
		if len(next.Removals) != 1 || !next.Stale.Pending() || next.Run != nil {
			t.Fatalf("%s: removals %+v, stale %+v, run %+v", name, next.Removals, next.Stale, next.Run)
		}
		m := next.Removals[0]
		if m.Kind != rotation.RemoveOrphan || m.Marker != "m" || m.KeyID != row.keyID || m.Published != row.published {
			t.Errorf("%s: %+v", name, m)
		}
		if s := next.Stale; row.stale == "" && s.LookAt.IsZero() || row.stale != "" && !slices.Equal(s.Versions, []string{row.stale}) {
			t.Errorf("%s: stale %+v, want %q", name, s, row.stale)
		}
	}
}
