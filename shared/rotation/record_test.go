package rotation_test

import (
	"testing"

	"rekey/shared/rotation"
)

// A connection is settled if nothing is overdue.
func TestWhatIsOverdueIsNotSettled(t *testing.T) {
	waiting := due()
	waiting.After = now.Add(hour)
	for name, row := range map[string]struct {
		rec  rotation.Record
		want bool
	}{
		"its slot is to come":                  {idle(), true},
		"its slot has come":                    {with(idle(), slot(now)), false},
		"its slot has come, and is turned off": {with(idle(), slot(now), policyOff), true},
		"its current is about to end":          {with(idle(), expires(now.Add(day))), false},
		"a run is under way":                   {verifying(), false},
		"a request waits":                      {with(idle(), asked(rotation.AskRotate)), false},
		"an orphan is to be found":             {with(idle(), retires(orphanedLater())), false},
		"the original is still published":      {with(idle(), origin(rotation.OriginNamed)), false},
		"a removal is overdue":                 {with(idle(), retires(due())), false},
		"a removal waits":                      {with(idle(), retires(waiting)), true},
	} {
		if got := row.rec.Settled(now); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// orphanedLater is an orphan that nothing is due for now.
func orphanedLater() rotation.Removal {
	m := orphaned(hour, "")
	m.After, m.NextAt = now.Add(hour), now.Add(hour)
	return m
}

func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		name string
		rec  rotation.Record
		want bool
	}{
		{"idle", idle(), true},
		{"a grace period may run", with(idle(), retires(old(now.Add(hour)))), true},
		{"nothing may be overdue", with(idle(), retires(old(now))), false},
		{"nor abandoned", with(idle(), abandons(lostTrack(now.Add(hour)))), false},
		{"nor asked for", with(idle(), asked(rotation.AskRotate)), false},
		{"nor under way", verifying(), false},
	} {
		if got := tt.rec.Settled(now); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
