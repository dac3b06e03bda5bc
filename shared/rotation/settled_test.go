package rotation_test

import (
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
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

// Rule R12: an emergency, and a deletion, end every grace period and every pause of a
// removal, in whatever phase they come.
func TestWhatEndsGracePeriods(t *testing.T) {
	waiting, paused := due(), due()
	waiting.After = now.Add(day)
	paused.KeyID, paused.NextAt, paused.Tries = "paused", now.Add(day), 7
	begin := rotation.Outcome{RunID: "r1", Marker: "m1", LeaseToken: "mine"}
	for name, row := range map[string]struct {
		rec  rotation.Record
		step rotation.Step
		out  rotation.Outcome
	}{
		"an emergency begins":       {with(idle(), asked(rotation.AskEmergency)), rotation.BeginRun{}, begin},
		"a run becomes one":         {with(verifying(), asked(rotation.AskEmergency)), rotation.MakeEmergency{}, rotation.Outcome{}},
		"it waits for a rebind":     {with(rebinding(), asked(rotation.AskEmergency)), rotation.EndGracePeriods{}, rotation.Outcome{}},
		"the connection is deleted": {with(idle(), asked(rotation.AskDelete)), rotation.BeginDelete{}, rotation.Outcome{}},
	} {
		next, _ := rotation.DefaultRules().Apply(now, with(row.rec, retires(waiting, paused)), row.step, row.out)
		for _, m := range next.Removals {
			if m.After.After(now) || m.NextAt.After(now) {
				t.Errorf("%s: %s waits until %s and %s", name, m.KeyID, m.After, m.NextAt)
			}
		}
		if next.Run != nil && next.Run.Trigger == rotation.OnEmergency && next.Run.Grace != 0 {
			t.Errorf("%s: what it replaces has %s", name, next.Run.Grace)
		}
	}
	rec := with(idle(), asked(rotation.AskEmergency), retires(paused))
	if step := rotation.DefaultRules().Plan(now, &rec, mine); step != (rotation.EndGracePeriods{}) {
		t.Errorf("an emergency with a removal that pauses: %+v", step)
	}
	rec = with(idle(), asked(rotation.AskEmergency), retires(due()))
	if step := rotation.DefaultRules().Plan(now, &rec, mine); step != (rotation.Remove{ID: "old"}) {
		t.Errorf("an emergency with a removal that is due: %+v", step) // the application may be full
	}
}

// A run by schedule uses up the slot that it serves, and no other.
func TestTheSlotAfterARun(t *testing.T) {
	out := rotation.Outcome{Proven: true, PublishedVersion: "v2", Next: &rotation.Credential{Target: billing, KeyID: "new"}}
	for name, slot := range map[string]time.Time{"it was due": now.Add(-minute), "it is to come": now.Add(5 * day)} {
		rec := with(publishing(), func(r *rotation.Record) { r.NextSlot, r.Run.Slot = slot, slot })
		next, _ := rotation.DefaultRules().Apply(now, rec, rotation.Publish{}, out)
		if came := slot.After(now); !next.NextSlot.After(now) || came != next.NextSlot.Equal(slot) {
			t.Errorf("%s: the next one is %s", name, next.NextSlot)
		}
	}
}

// Rule R10: a lifetime that the policy refuses is halved until it is accepted, and what was
// accepted is asked for the next time.
func TestALifetimeThatIsRefused(t *testing.T) {
	rules, rec := rotation.DefaultRules(), issuing()
	refused := rotation.Outcome{Err: refusedWith(serviceerror.PolicyLifetime), SentAt: now}
	asked := rec.Lifetime()
	next, _ := rules.Apply(now, rec, rotation.IssueCredential{}, refused)
	if next.Phase != rotation.Issuing || next.Lifetime() != asked/2 || next.Run.Marker != "" {
		t.Fatalf("after %s was refused: %s, %s, marker %q", asked, next.Phase, next.Lifetime(), next.Run.Marker)
	}
	next.Run.Marker, next.Run.IssuedUnder = "m2", "mine"
	issued := rotation.Outcome{
		SentAt: now, IssuedAt: now, Application: &rotation.ApplicationState{}, Issued: &rotation.Issued{KeyID: "new"}, StagedVersion: "s1",
	}
	next, _ = rules.Apply(now, next, rotation.IssueCredential{}, issued)
	if next.LongestAccepted != asked/2 {
		t.Errorf("accepted: %s, want %s", next.LongestAccepted, asked/2)
	}
}
