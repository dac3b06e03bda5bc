package rotation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rekey/shared/activity"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// refusedWith is the error of a sign-in that was refused.
func refusedWith(class serviceerror.Class) error {
	return &serviceerror.Error{Op: "signing in", Class: class}
}

// aged is an attempt of that age.
func aged(d time.Duration) change { return run(func(r *rotation.Run) { r.IssuedAt = now.Add(-d) }) }

// overdue is an attempt whose time is over.
func overdue(r *rotation.Record) { r.Run.Deadline = now }

// lastRefused is what this pass has seen last: a refusal.
func lastRefused(wrong bool) change {
	return func(r *rotation.Record) {
		r.Proof = rotation.Proof{StagedVersion: "s1", Failures: 1, Wrong: wrong, NextAt: now.Add(minute)}
	}
}

// Rule R5: an attempt is given up if its time is over and the last refusal says that the
// value is wrong. What refuses for another reason says nothing about the credential.
func TestWhenAnAttemptIsGivenUp(t *testing.T) {
	ends := func(after time.Duration) change {
		return run(func(r *rotation.Run) { r.ExpiresAt = now.Add(after) })
	}
	settled := func(r *rotation.Record) { r.Unsettled = rotation.Unsettled{} }
	dead := func(r *rotation.Record) { r.Run.Stands, r.Proof.Dead = true, true } // no such application
	for name, row := range map[string]struct {
		rec  rotation.Record
		want bool
	}{
		"of no application":                             {with(publishing(), overdue, lastRefused(false), dead, ends(60*day)), false},
		"of no application, and a request ends it":      {with(publishing(), settled, overdue, lastRefused(false), dead, asked(rotation.AskRebind)), true},
		"wrong, and its time is over":                   {with(verifying(), overdue, lastRefused(true)), true},
		"wrong, and replicas may still learn of it":     {with(verifying(), lastRefused(true)), false},
		"its time is over, and this pass has not tried": {with(verifying(), overdue, unseen), false},
		"refused for another reason":                    {with(verifying(), overdue, lastRefused(false), ends(60*day)), false},
		"the same while it is published":                {with(publishing(), overdue, lastRefused(false), ends(60*day)), false},
		"refused until its own life ends":               {with(verifying(), overdue, lastRefused(false), ends(5*day-minute)), true},
		"refused for as long as it would do":            {with(verifying(), overdue, lastRefused(false), ends(5*day)), false},
		"given by the caller, and refused":              {with(rebinding(), settled, overdue, lastRefused(false), ends(60*day)), true},
	} {
		step := rotation.DefaultRules().Plan(now, &row.rec, mine)
		if _, is := step.(rotation.Withdraw); is != row.want {
			t.Errorf("%s: %+v", name, step)
		}
	}
}

// A refusal that is shown while an attempt is tried all the time makes no later pause longer.
func TestTheFirstPauseAfterItsTimeIsAnHour(t *testing.T) {
	rec := with(verifying(), unseen, aged(hour))
	out := rotation.Outcome{Err: refusedWith(serviceerror.CredentialInvalid)}
	for range 9 {
		rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Prove{}, out)
	}
	if rec, _ = rotation.DefaultRules().Apply(now, with(rec, overdue), rotation.Prove{}, out); rec.Error.RetryAt.After(now.Add(2 * hour)) {
		t.Errorf("the first pause is %s", rec.Error.RetryAt.Sub(now))
	}
}

// Credentials that were given and are refused end their run, on request or in time, and nothing of them stays on the
// record: what is current works as before.
func TestARefusedRebindLeavesNoError(t *testing.T) {
	settled := func(r *rotation.Record) { r.Unsettled = rotation.Unsettled{} }
	for name, changes := range map[string][]change{
		"in time": {overdue}, "since the old ones are given again": {asked(rotation.AskKeep)},
	} {
		out := rotation.Outcome{Err: refusedWith(serviceerror.CredentialInvalid)}
		rec, _ := rotation.DefaultRules().Apply(now, with(rebinding(), append(changes, settled, aged(hour))...), rotation.Prove{}, out)
		if rec.Error == nil {
			t.Fatalf("%s: the refusal is not shown", name)
		}
		at := rec.Error.RetryAt // no longer than until the next try
		if step := rotation.DefaultRules().Plan(at, &rec, mine); at.After(now.Add(minute)) || step != (rotation.Withdraw{}) {
			t.Errorf("%s: after %s %T", name, at.Sub(now), step)
		}
		rec, _ = rotation.DefaultRules().Apply(at, rec, rotation.Withdraw{}, rotation.Outcome{})
		if rec.Phase != rotation.Idle || rec.Error != nil || rec.Request != nil {
			t.Errorf("%s: %s, %+v, %+v", name, rec.Phase, rec.Error, rec.Request)
		}
	}
}

// What a try shows says whether the value is wrong, and when to try again.
func TestWhatATryShows(t *testing.T) {
	slow := &serviceerror.Error{Op: "signing in", Class: serviceerror.Throttled, RetryAfter: 7 * minute}
	unknown, disabled := refusedWith(serviceerror.CredentialRefused), refusedWith(serviceerror.CredentialInvalid)
	for name, row := range map[string]struct {
		rec   rotation.Record
		err   error
		wrong bool
		pause time.Duration // at least
		shown bool          // to a person
	}{
		"not known yet":                 {with(verifying(), unseen), unknown, true, 5 * time.Second, false},
		"not known for long":            {with(verifying(), unseen, aged(hour)), unknown, true, 5 * time.Second, false},
		"expired":                       {with(verifying(), unseen), refusedWith(serviceerror.CredentialExpired), true, 5 * time.Second, false},
		"disabled, at first":            {with(verifying(), unseen, aged(4*minute)), disabled, false, 5 * time.Second, false},
		"disabled, for a time":          {with(verifying(), unseen, aged(5*minute)), disabled, false, 5 * time.Second, true},
		"disabled, after its time":      {with(verifying(), unseen, aged(hour), overdue), disabled, false, hour, true},
		"the service asks for a pause":  {with(verifying(), unseen), slow, false, 7 * minute, true},
		"the staged version is missing": {with(verifying(), unseen), fmt.Errorf("reading: %w", serviceerror.ErrNotFound), true, 0, false},
	} {
		next, _ := rotation.DefaultRules().Apply(now, row.rec, rotation.Prove{}, rotation.Outcome{Err: row.err})
		p := next.Proof
		if p.Failures != 1 || p.Successes != 0 || p.Wrong != row.wrong || row.pause > 0 && p.NextAt.Before(now.Add(row.pause)) {
			t.Errorf("%s: %+v", name, p)
		}
		if e := next.Error; (e != nil) != row.shown || e != nil && !e.RetryAt.Equal(p.NextAt) {
			t.Errorf("%s: shown %+v", name, e)
		}
		if gone := row.pause == 0; gone != next.Run.Deadline.Equal(now) && !row.rec.Run.Deadline.Equal(now) {
			t.Errorf("%s: it is tried until %s", name, next.Run.Deadline)
		}
	}
}

// After three attempts the run fails, and the next one waits the longer the more of them
// have failed in a row. Only a proof ends that.
func TestRunsWithoutAProofWaitLonger(t *testing.T) {
	attempt := func(n int) change { return run(func(r *rotation.Run) { r.Attempt = n }) }
	rules := rotation.DefaultRules()
	for n := 1; n < 3; n++ {
		rec := with(verifying(), overdue, lastRefused(true), attempt(n))
		if next, _ := rules.Apply(now, rec, rotation.Withdraw{}, rotation.Outcome{}); next.Phase != rotation.Issuing || len(next.Orphans()) != 1 {
			t.Errorf("after attempt %d: %s, orphans %+v", n, next.Phase, next.Orphans())
		}
	}
	last := time.Duration(0)
	for unproven := range 4 {
		rec := with(verifying(), overdue, lastRefused(true), attempt(3), func(r *rotation.Record) { r.Unproven = unproven })
		next, events := rules.Apply(now, rec, rotation.Withdraw{}, rotation.Outcome{})
		if ended := activity.EndedRuns(events); len(ended) != 1 || ended[0].ID != rec.Run.ID || !ended[0].Failed {
			t.Errorf("after run %d the history says that these ended: %+v", unproven, ended)
		}
		if next.Phase != rotation.Idle || next.LastRun.Outcome != "failed" || next.Unproven != unproven+1 || next.Error == nil {
			t.Fatalf("after run %d: %s, %+v, %+v", unproven, next.Phase, next.LastRun, next.Error)
		}
		pause := next.Error.RetryAt.Sub(now)
		if pause < hour || pause <= last {
			t.Errorf("after run %d the next waits %s, after the one before %s", unproven, pause, last)
		}
		last = pause
	}
	proven := with(publishing(), func(r *rotation.Record) { r.Unproven = 3 })
	out := rotation.Outcome{Proven: true, PublishedVersion: "v2", Next: &rotation.Credential{Target: billing, KeyID: "new"}}
	if next, _ := rules.Apply(now, proven, rotation.Publish{}, out); next.Unproven != 0 {
		t.Errorf("after a proof: %d", next.Unproven)
	}
}

// Rule R5: while three orphans are not removed nothing new is issued, unless current is
// about to end, was lost, or the operator says that it is an emergency.
func TestOrphansHoldNewCredentialsBack(t *testing.T) {
	orphans := func(n int, removedAt time.Time) change {
		return func(r *rotation.Record) {
			for i := range n {
				r.Removals = append(r.Removals, rotation.Removal{
					Kind: rotation.RemoveOrphan, Target: billing, Marker: fmt.Sprint("m", i), KeyID: fmt.Sprint("k", i), Published: true,
					Since: now.Add(-hour), NextAt: now.Add(hour), RemovedAt: removedAt,
				})
			}
		}
	}
	overdueSlot, never := slot(now.Add(-minute)), time.Time{}
	hastened := func(r *rotation.Record) { r.Request.Hastened = true }
	lost := func(r *rotation.Record) { r.Current.Refusals, r.Current.RefusedSince = 10, now.Add(-hour) }
	between := func(trigger rotation.Trigger) rotation.Record {
		return with(issuing(), run(func(r *rotation.Run) { r.Marker, r.IssuedUnder, r.Trigger = "", "", trigger }))
	}
	waits := rotation.Wait{Until: now.Add(hour)}
	for name, row := range map[string]struct {
		rec  rotation.Record
		want rotation.Step
	}{
		"three hold a slot back":          {with(idle(), overdueSlot, orphans(3, never)), waits},
		"two do not":                      {with(idle(), overdueSlot, orphans(2, never)), rotation.BeginRun{}},
		"what is removed does not count":  {with(idle(), overdueSlot, orphans(3, now.Add(-minute))), rotation.BeginRun{}},
		"current is about to end":         {with(idle(), overdueSlot, orphans(3, never), expires(now.Add(3*day-minute))), rotation.BeginRun{}},
		"current is not":                  {with(idle(), overdueSlot, orphans(3, never), expires(now.Add(3*day))), waits},
		"current is lost":                 {with(idle(), lost, orphans(3, never)), rotation.BeginRun{}},
		"an emergency":                    {with(idle(), orphans(3, never), asked(rotation.AskEmergency), hastened), rotation.BeginRun{}},
		"a rotation by hand is refused":   {with(idle(), orphans(3, never), asked(rotation.AskRotate)), rotation.RefuseRequest{}},
		"they hold the next attempt back": {with(between(rotation.OnSchedule), orphans(3, never)), waits},
		"but not that of an emergency":    {with(between(rotation.OnEmergency), orphans(3, never)), rotation.BeginAttempt{}},
		"nor the one after a loss":        {with(between(rotation.OnLoss), orphans(3, never)), rotation.BeginAttempt{}},
	} {
		if step := rotation.DefaultRules().Plan(now, &row.rec, mine); step != row.want {
			t.Errorf("%s: %+v, want %+v", name, step, row.want)
		}
	}
}

// An application that looks full shortly after a removal has room: the run waits for it.
func TestFullRightAfterARemoval(t *testing.T) {
	full := rotation.Outcome{NotSent: true, Err: &serviceerror.Error{Op: "adding a password", Class: serviceerror.Full}}
	removedAt := func(at time.Time) change {
		return retires(rotation.Removal{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", RemovedAt: at, NextAt: now.Add(minute)})
	}
	for name, row := range map[string]struct {
		rec  rotation.Record
		want rotation.Phase
	}{
		"just removed": {with(issuing(), removedAt(now.Add(-minute))), rotation.Issuing},
		"long ago":     {with(issuing(), removedAt(now.Add(-hour))), rotation.Idle},
		"never":        {issuing(), rotation.Idle},
	} {
		if next, _ := rotation.DefaultRules().Apply(now, row.rec, rotation.IssueCredential{}, full); next.Phase != row.want {
			t.Errorf("%s: %s, want %s", name, next.Phase, row.want)
		}
	}
}

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
