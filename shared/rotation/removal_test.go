package rotation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// due is a credential that another one took the place of, with its grace period over.
func due() rotation.Removal {
	return rotation.Removal{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", Published: true, After: now.Add(-minute)}
}

// removedAgo is one that the directory has removed a while ago.
func removedAgo(ago time.Duration, reads int) rotation.Removal {
	m := due()
	m.RemovedAt, m.GoneReads = now.Add(-ago), reads
	return m
}

// orphaned is what an attempt may have issued some time ago.
func orphaned(ago time.Duration, keyID string) rotation.Removal {
	return rotation.Removal{Kind: rotation.RemoveOrphan, Target: billing, Marker: "m0", KeyID: keyID, Since: now.Add(-ago)}
}

// applied is what becomes of a record with one removal.
func applied(rec rotation.Record, m rotation.Removal, step rotation.Step, out rotation.Outcome) (rotation.Record, *rotation.Removal) {
	next, _ := rotation.DefaultRules().Apply(now, with(rec, retires(m)), step, out)
	return next, next.Removal(m.ID())
}

// shows is an application with these client secrets, by key id and name.
func shows(names ...[2]string) rotation.Outcome {
	app := rotation.ApplicationState{ClientID: billing.ClientID}
	for _, n := range names {
		app.Passwords = append(app.Passwords, rotation.Password{KeyID: n[0], DisplayName: n[1]})
	}
	return rotation.Outcome{Application: &app}
}

// The order of removals: not before the grace period's end, not before what is published is
// a minute old, the last credential of an application after all others.
func TestWhenACredentialIsRemoved(t *testing.T) {
	later := due()
	later.After = now.Add(hour)
	last := rotation.Removal{Kind: rotation.RemoveLast, Target: billing, KeyID: "last", Published: true}
	for name, row := range map[string]struct {
		rec  rotation.Record
		want rotation.Step
	}{
		"its grace period is over":          {with(idle(), retires(due())), rotation.Remove{ID: "old"}},
		"it is not":                         {with(idle(), retires(later)), rotation.Wait{Until: now.Add(hour)}},
		"current was published just now":    {with(idle(), retires(due()), currentSince(now.Add(-minute+1))), rotation.Wait{Until: now.Add(1)}},
		"current is a minute old":           {with(idle(), retires(due()), currentSince(now.Add(-minute))), rotation.Remove{ID: "old"}},
		"the others go before the last one": {with(idle(), retires(last, removedAgo(minute, 4))), rotation.ConfirmRemoved{ID: "old"}},
		"then the last one goes":            {with(idle(), retires(last)), rotation.Remove{ID: "last"}},
		"nothing goes while publishing": {
			with(publishing(), retires(due()), seen(0, 0, now.Add(minute))), rotation.Wait{Until: now.Add(minute)},
		},
	} {
		if step := rotation.DefaultRules().Plan(now, &row.rec, mine); step != row.want {
			t.Errorf("%s: %+v, want %+v", name, step, row.want)
		}
	}
}

// Neither what is current nor what is about to be is removed, whatever a list says.
func TestWhatMustStay(t *testing.T) {
	for keyID, want := range map[string]bool{"current": true, "new": true, "old": false} {
		rec, m := verifying(), due()
		m.KeyID = keyID
		if got := rec.MustStay(&m); got != want {
			t.Errorf("%s: %t", keyID, got)
		}
	}
	next, m := applied(idle(), due(), rotation.Remove{ID: "old"}, rotation.Outcome{Err: rotation.ErrNotRemovable})
	if m != nil || len(next.ByHand) != 0 {
		t.Errorf("what must stay is listed: %+v, %+v", m, next.ByHand)
	}
}

// What a try to remove a credential says of it, and of current.
func TestTryingToRemove(t *testing.T) {
	refused := func(r *rotation.Record) { r.Current.Refusals, r.Current.RefusedSince = 4, now.Add(-hour) }
	deleting := func(r *rotation.Record) { r.Phase = rotation.Deleting }
	wrong, forbidden := refusedWith(serviceerror.CredentialRefused), refusedWith(serviceerror.Permission)
	for name, row := range map[string]struct {
		rec      rotation.Record
		out      rotation.Outcome
		refusals int           // of current, in a row
		pause    time.Duration // at least, and at most a fifth more
		useless  bool          // nothing is left to remove it with
	}{
		"removed":                               {with(idle(), refused), rotation.Outcome{GateOpen: true}, 0, minute, false},
		"current is refused":                    {with(idle(), refused), rotation.Outcome{Err: wrong}, 5, minute, true},
		"current is refused, another is not":    {with(idle(), refused), rotation.Outcome{Err: wrong, OtherWorks: true}, 5, minute, false},
		"current works, the old one is refused": {with(idle(), refused), rotation.Outcome{Err: wrong, GateOpen: true}, 0, minute, true},
		"no permission":                         {idle(), rotation.Outcome{Err: forbidden, GateOpen: true}, 0, hour, false},
		"no permission, and it is deleted":      {with(idle(), deleting), rotation.Outcome{Err: forbidden, GateOpen: true}, 0, hour, true},
		"an outage":                             {idle(), rotation.Outcome{Err: refusedWith(serviceerror.Transient)}, 0, 5 * time.Second, false},
	} {
		next, m := applied(row.rec, due(), rotation.Remove{ID: "old"}, row.out)
		if m == nil || next.Current.Refusals != row.refusals {
			t.Fatalf("%s: %+v, %d refusals", name, m, next.Current.Refusals)
		}
		if pause := m.NextAt.Sub(now); pause < row.pause || pause > row.pause*6/5 {
			t.Errorf("%s: again after %s", name, pause)
		}
		if m.RemovedAt.IsZero() != (row.out.Err != nil) || m.GoneReads != 0 || m.RefusedSince.IsZero() == row.useless {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// Rule R7: five reads in a row that don't show it, a minute apart.
func TestConfirmingARemoval(t *testing.T) {
	it, other := [2]string{"old", ""}, [2]string{"other", ""}
	for name, row := range map[string]struct {
		m       rotation.Removal
		out     rotation.Outcome
		gone    bool
		reads   int
		removed bool // it counts as removed
	}{
		"the first read":                   {removedAgo(minute, 0), shows(other), false, 1, true},
		"the fourth":                       {removedAgo(minute, 3), shows(other), false, 4, true},
		"the fifth":                        {removedAgo(minute, 4), shows(other), true, 0, false},
		"a replica shows it":               {removedAgo(minute, 4), shows(it), false, 0, true},
		"it shows long after its removal":  {removedAgo(6*minute, 4), shows(it), false, 0, false},
		"the application can't be read":    {removedAgo(minute, 4), rotation.Outcome{Err: refusedWith(serviceerror.Transient)}, false, 4, true},
		"an orphan is gone":                {orphaned(16*minute, ""), shows(other), false, 1, false},
		"it may not have replicated":       {orphaned(14*minute, ""), shows(other), false, 0, false},
		"one with another marker is not":   {orphaned(16*minute, ""), shows([2]string{"other", "m1"}), false, 1, false},
		"what bears the marker was issued": {orphaned(16*minute, ""), shows([2]string{"found", "m0"}), false, 0, false},
	} {
		_, m := applied(idle(), row.m, rotation.ConfirmRemoved{ID: row.m.ID()}, row.out)
		if row.gone != (m == nil) {
			t.Errorf("%s: gone %t", name, m == nil)
		}
		if m != nil && (m.GoneReads != row.reads || m.RemovedAt.IsZero() == row.removed) {
			t.Errorf("%s: %+v", name, m)
		}
		if m != nil && m.KeyID != "found" && m.NextAt.Before(now.Add(5*time.Second)) {
			t.Errorf("%s: the next read comes after %s", name, m.NextAt.Sub(now))
		}
	}
	if _, m := applied(idle(), removedAgo(minute, 0), rotation.ConfirmRemoved{ID: "old"}, shows(other)); m.NextAt.Sub(now) != minute {
		t.Errorf("the reads of a removal are %s apart", m.NextAt.Sub(now))
	}
}

// Promise P2: of what bears the marker of an attempt only what must be Rekey's is removed.
func TestWhichOrphanIsRemoved(t *testing.T) {
	left := func(r *rotation.Record) { r.ByHand = []rotation.ByHand{{Target: billing, KeyID: "a"}} }
	a, b := [2]string{"a", "m0"}, [2]string{"b", "m0"}
	for name, row := range map[string]struct {
		rec  rotation.Record
		m    rotation.Removal
		out  rotation.Outcome
		want string // the key id that is going to be removed
		left int    // to a person
	}{
		"the only one":                       {idle(), orphaned(hour, ""), shows(a), "a", 0},
		"one of two":                         {idle(), orphaned(hour, ""), shows(a, b), "", 2},
		"the one whose key id is known":      {idle(), orphaned(hour, "b"), shows(a, b), "b", 1},
		"another than the one that is known": {idle(), orphaned(hour, "b"), shows(a), "b", 1},
		"one that was left to a person":      {with(idle(), left), orphaned(hour, ""), shows(a), "", 1},
	} {
		next, m := applied(row.rec, row.m, rotation.ConfirmRemoved{ID: "m0"}, row.out)
		if m == nil || m.KeyID != row.want || len(next.ByHand) != row.left {
			t.Errorf("%s: %+v, left to a person %+v", name, m, next.ByHand)
		}
	}
}

// The last credential of an application is gone when its value was refused five times over
// 15 minutes.
func TestConfirmingByRefusals(t *testing.T) {
	last := func(ago time.Duration, reads int) rotation.Removal {
		m := removedAgo(ago, reads)
		m.Kind = rotation.RemoveLast
		return m
	}
	wrong := rotation.Outcome{Err: refusedWith(serviceerror.CredentialRefused)}
	for name, row := range map[string]struct {
		m       rotation.Removal
		out     rotation.Outcome
		gone    bool
		reads   int
		removed bool
	}{
		"the first refusal":       {last(3*minute, 0), wrong, false, 1, true},
		"the fifth, too early":    {last(14*minute, 4), wrong, false, 5, true},
		"the fourth, late":        {last(hour, 3), wrong, false, 4, true},
		"the fifth":               {last(15*minute, 4), wrong, true, 0, false},
		"it works in between":     {last(minute, 4), rotation.Outcome{}, false, 0, true},
		"it works long afterward": {last(hour, 4), rotation.Outcome{}, false, 0, false},
		"an outage says nothing":  {last(hour, 4), rotation.Outcome{Err: refusedWith(serviceerror.Transient)}, false, 4, true},
	} {
		_, m := applied(idle(), row.m, rotation.ConfirmRefused{ID: "old"}, row.out)
		if row.gone != (m == nil) || m != nil && (m.GoneReads != row.reads || m.RemovedAt.IsZero() == row.removed) {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// Rule R7: what an application refuses for a day is left to a person, with all else of it
// whose grace period is over, as much as one commit has room for.
func TestManualRemovals(t *testing.T) {
	since := func(ago time.Duration) rotation.Removal {
		m := due()
		m.RefusedSince = now.Add(-ago)
		return m
	}
	other, waits := due(), due()
	other.KeyID, other.Target = "other", former
	waits.KeyID, waits.After = "waits", now.Add(hour)
	out := rotation.Outcome{Err: refusedWith(serviceerror.CredentialRefused)}
	for ago, want := range map[time.Duration]int{day - 1: 0, day: 1} {
		rec := with(idle(), retires(since(ago), other, waits))
		next, events := rotation.DefaultRules().Apply(now, rec, rotation.Remove{ID: "old"}, out)
		notices := 0
		for _, e := range events {
			if e.Kind == history.ByHand && e.Notice && e.Target == due().Target {
				notices++
			}
		}
		if len(next.ByHand) != want || len(next.Removals) != 3-want || notices != want {
			t.Errorf("after %s: %+v are left to a person, with %d notices; %+v", ago, next.ByHand, notices, next.Removals)
		}
	}
	out.Err = refusedWith(serviceerror.Transient) // something else than a refusal begins the day anew
	if _, m := applied(idle(), since(day-1), rotation.Remove{ID: "old"}, out); m == nil || !m.RefusedSince.IsZero() {
		t.Errorf("after an outage: %+v", m)
	}
	out.Err = refusedWith(serviceerror.CredentialRefused)
	many := with(idle(), retires(since(day)))
	for i := range 40 {
		m := due()
		m.KeyID = fmt.Sprint("k", i)
		many.Removals = append(many.Removals, m)
	}
	next, _ := rotation.DefaultRules().Apply(now, many, rotation.Remove{ID: "old"}, out)
	if len(next.ByHand) != 24 || len(next.Removals) != 17 {
		t.Errorf("of 41, %d are left to a person in one commit", len(next.ByHand))
	}
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

// What Rekey has removed is remembered when it is not listed any more: given again, it is
// refused with the time of its removal (rule R13).
func TestWhatWasRemovedIsRemembered(t *testing.T) {
	rec := with(idle(), func(r *rotation.Record) {
		r.Removals = []rotation.Removal{{Target: billing, KeyID: "old", Digest: "d", Published: true, After: now.Add(-minute)}}
	})
	rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Remove{ID: "old"}, rotation.Outcome{GateOpen: true})
	if rec.Removals[0].RemovedAt.IsZero() {
		t.Fatalf("it was not removed: %+v", rec.Removals)
	}
	rec.Removals = nil
	if again, at := rec.Recognise("d"); again != rotation.WasRemoved || !at.Equal(now) {
		t.Errorf("recognised as %v, removed at %s; want as removed, at %s", again, at, now)
	}
}

// The directory may go on showing a client secret, which is then removed once more, for hours. That
// is one memory: it pushes none of the others out, and what clients keep sending stays known.
func TestWhatIsRemovedOverAndOverIsRememberedOnce(t *testing.T) {
	rec := idle()
	rec.Given = "given"
	for i := range 5 {
		rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", Digest: fmt.Sprint(i)}}
		rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Remove{ID: "old"}, rotation.Outcome{GateOpen: true})
	}
	rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", Digest: "given"}}
	at := now
	for range 100 {
		at = at.Add(6 * minute)
		rec, _ = rotation.DefaultRules().Apply(at, rec, rotation.Remove{ID: "old"}, rotation.Outcome{GateOpen: true})
	}
	for i := range 5 {
		if what, when := rec.Recognise(fmt.Sprint(i)); what != rotation.WasRemoved || !when.Equal(now) {
			t.Errorf("digest %d: %v at %s", i, what, when)
		}
	}
	if former, ok := rec.Former(); !ok || len(former.Removed) != 6 {
		t.Errorf("%d are remembered", len(former.Removed))
	}
	if what, when := rec.Recognise("given"); what != rotation.GivenLast || !when.Equal(at) {
		t.Errorf("what was given: %v at %s, want %s", what, when, at)
	}
}

// A deletion does not wait for a credential that Entra refuses long enough to call it lost:
// it goes on as if nothing were published (rules R6 and R7).
func TestADeletionGoesOnWithoutWhatIsLost(t *testing.T) {
	refused := rotation.Outcome{Err: refusedWith(serviceerror.CredentialRefused)}
	rules := rotation.DefaultRules()
	for phase, gone := range map[rotation.Phase]bool{rotation.Deleting: true, rotation.Idle: false} {
		rec := with(idle(), func(r *rotation.Record) {
			r.Phase = phase
			r.Current.Refusals, r.Current.RefusedSince = rules.LossCount-1, now.Add(-rules.LossPeriod)
			r.Removals = []rotation.Removal{{Target: billing, KeyID: "old", Published: true, After: now.Add(-minute)}}
		})
		rec, events := rules.Apply(now, rec, rotation.Remove{ID: "old"}, refused)
		told := slices.ContainsFunc(events, func(e rotation.Event) bool { return e.Kind == history.Lost })
		if (rec.Current == nil) != gone || phase == rotation.Deleting && !told {
			t.Errorf("%s: current %+v, events %+v", phase, rec.Current, events)
		}
	}
}
