package rotation_test

import (
	"strings"
	"testing"

	"rekey/shared/rotation"
)

// What the directory calls the target is kept as it can be shown; what it calls another application is not.
func TestTargetName(t *testing.T) {
	for _, tt := range []struct{ clientID, name, want string }{
		{strings.ToUpper(billing.ClientID), "Payroll", "Payroll"},
		{billing.ClientID, "\x1b[31mPay\u202e\u200broll\n", "[31mPayroll"},
		{billing.ClientID, strings.Repeat("ä", 101), strings.Repeat("ä", 100) + "…"},
		{former.ClientID, "Another", "before"},
		{billing.ClientID, "", "before"}, // a forecast
	} {
		rec := with(idle(), func(r *rotation.Record) { r.TargetName = "before" })
		if rec.LearnName(&rotation.ApplicationState{ClientID: tt.clientID, DisplayName: tt.name}); rec.TargetName != tt.want {
			t.Errorf("%q is kept as %q", tt.name, rec.TargetName)
		}
		if rec.LearnName(nil); rec.TargetName != tt.want {
			t.Errorf("without a read it is %q", rec.TargetName)
		}
	}
}

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
