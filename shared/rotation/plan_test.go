package rotation_test

import (
	"slices"
	"testing"
	"time"

	"rekey/shared/rotation"
)

func TestPlanCreating(t *testing.T) {
	testPlan(t, mine, []planRow{
		{"the vault says whether the given secret arrived", creating(), rotation.AdoptGiven{}},
		{"a vault that failed is asked again after the pause", with(creating(), failed), waitFor(hour)},
		{"a request to rotate waits until it is known", with(creating(), asked(rotation.AskRotate)), rotation.AdoptGiven{}},
		{"so does an emergency", with(creating(), asked(rotation.AskEmergency)), rotation.AdoptGiven{}},
		{"and a rebind", with(creating(), asked(rotation.AskRebind)), rotation.AdoptGiven{}},
		{"a deletion does not", with(creating(), asked(rotation.AskDelete)), rotation.BeginDelete{}},
		{"not even after a failure", with(creating(), asked(rotation.AskDelete), failed), rotation.BeginDelete{}},
		{"nothing is removed before something is published", with(creating(), abandons(orphan())), rotation.AdoptGiven{}},
	})
}

func TestPlanIdle(t *testing.T) {
	testPlan(t, mine, []planRow{
		{"the next slot is waited for", idle(), waitFor(10 * day)},
		{"a slot that has come is served", with(idle(), slot(now)), rotation.BeginRun{}},
		{"a slot that was missed, too", with(idle(), slot(now.Add(-40*day))), rotation.BeginRun{}},
		{"R10: the end of current is not waited for, however late the slot is",
			with(idle(), slot(now.Add(90*day)), expires(now.Add(3*day))), rotation.BeginRun{}},
		{"R10: two days and the grace period before it are", with(idle(), slot(now.Add(90*day)), expires(now.Add(10*day))), waitFor(6 * day)},
		{"with rotation off only the warning is waited for", with(idle(), policyOff), waitFor(29 * day)},
		{"and nothing where the end is unknown", with(idle(), policyOff, expires(time.Time{})), forever},
		{"with rotation on and no slot nothing is due", with(idle(), slot(time.Time{}), expires(time.Time{})), forever},
		{"after a refusal a due slot waits for the pause", with(idle(), slot(now.Add(-hour)), failed), waitFor(hour)},
		{"and is served when that is over", with(idle(), slot(now.Add(-hour)), pausedEnough), rotation.BeginRun{}},
		{"a pause does not bring a slot forward", with(idle(), failed), waitFor(10 * day)},
		{"the named original is taken over at once", with(idle(), origin(rotation.OriginNamed)), rotation.BeginRun{}},
		{"but not while rotation is off", with(idle(), origin(rotation.OriginNamed), policyOff), waitFor(29 * day)},
		{"a refused take-over is tried again after the pause", with(idle(), origin(rotation.OriginNamed), failed), waitFor(hour)},
		{"a target without a credential of its own waits for its slot", with(idle(), empty, slot(now)), rotation.BeginRun{}},
		{"R6: nine refusals over an hour are no loss", with(idle(), refused(9, now.Add(-hour))), waitFor(10 * day)},
		{"R6: ten within 14 minutes neither", with(idle(), refused(10, now.Add(-14*minute))), waitFor(10 * day)},
		{"R6: ten over 15 minutes are: recover at once", with(idle(), refused(10, now.Add(-15*minute))), rotation.BeginRun{}},
		{"R6: even with rotation off, while it has the application",
			with(idle(), refused(10, now.Add(-15*minute)), policyOff, exclusive), rotation.BeginRun{}},
		{"R11: without the application nothing may be removed", with(idle(), refused(10, now.Add(-15*minute)), policyOff, lasting), forever},
		{"a recovery that was refused waits for the pause", with(idle(), refused(20, now.Add(-hour)), failed), waitFor(hour)},
		{"a phase of a newer version is left alone", with(idle(), func(r *rotation.Record) { r.Phase = "resting" }), forever},
	})
}

func TestPlanIssuing(t *testing.T) {
	underMine := run(func(r *rotation.Run) { r.IssuedUnder = "mine" })
	testPlan(t, mine, []planRow{
		{"R1: an intent of this very lease is carried out", with(issuing(), underMine), rotation.IssueCredential{}},
		{"R1: one of another lease may have been: reconcile", issuing(), rotation.Reconcile{}},
		{"R1: one of an unknown outcome has no lease: reconcile",
			with(issuing(), run(func(r *rotation.Run) { r.IssuedUnder = "" })), rotation.Reconcile{}},
		{"R3: what may still arrive is waited for",
			with(issuing(), run(func(r *rotation.Run) { r.NextCheck = now.Add(50 * time.Second) })), waitFor(50 * time.Second)},
		{"without a marker the next intent is written first",
			with(issuing(), run(func(r *rotation.Run) { r.Marker = "" })), rotation.BeginAttempt{}},
		{"even under this lease", with(issuing(), underMine, run(func(r *rotation.Run) { r.Marker = "" })), rotation.BeginAttempt{}},
		{"a failure pauses issuing", with(issuing(), underMine, failed), waitFor(hour)},
		{"and reconciling", with(issuing(), failed), waitFor(hour)},
		{"and the next attempt", with(issuing(), failed, run(func(r *rotation.Run) { r.Marker = "" })), waitFor(hour)},
	})
	testPlan(t, none, []planRow{
		{"R1: without a lease nothing is issued", with(issuing(), run(func(r *rotation.Run) { r.IssuedUnder = "" })), rotation.Reconcile{}},
	})
}

func TestPlanProof(t *testing.T) {
	for _, phase := range []struct {
		name   string
		fresh  func() rotation.Record
		proven rotation.Step
	}{{"verifying", verifying, rotation.Promote{}}, {"publishing", publishing, rotation.Publish{}},
		{"rebinding", rebinding, rotation.Publish{}}} {
		t.Run(phase.name, func(t *testing.T) {
			on := func(f func(*rotation.Run), changes ...change) rotation.Record {
				return with(with(phase.fresh(), run(f)), changes...)
			}
			unchanged := func(*rotation.Run) {}
			testPlan(t, mine, []planRow{
				{"R4: three tokens in a row and the age: go on", phase.fresh(), phase.proven},
				{"R4: two are too few", on(unchanged, seen(2, 0, now)), rotation.Prove{}},
				{"R4: the next token is not asked for before its time", on(unchanged, seen(2, 0, now.Add(5*time.Second))), waitFor(5 * time.Second)},
				{"R4: the proof of another credential does not count", on(func(r *rotation.Run) { r.StagedVersion = "s2" }, settled), rotation.Prove{}},
				{"R4: a proven one that is too young grows older",
					on(func(r *rotation.Run) { r.Trigger, r.IssuedAt = rotation.OnCreation, now.Add(-5*time.Second) }), waitFor(10 * time.Second)},
				{"one that was refused is asked again while it grows older",
					on(func(r *rotation.Run) { r.IssuedAt = now }, seen(0, 1, now)), rotation.Prove{}},
				{"R4: the first token is asked for when the last can come at its age",
					on(func(r *rotation.Run) { r.Trigger, r.IssuedAt = rotation.OnSchedule, now }, unseen), waitFor(5*minute - 10*time.Second)},
				{"R5: at the deadline without proof it is withdrawn",
					on(func(r *rotation.Run) { r.Deadline = now }, wrong, settled), rotation.Withdraw{}},
				{"R5: which does not wait for the next check",
					on(func(r *rotation.Run) { r.Deadline = now }, seen(0, 1, now.Add(minute)), wrong, settled), rotation.Withdraw{}},
				{"R5: the deadline is waited for where it comes first",
					on(func(r *rotation.Run) { r.Deadline = now.Add(minute) }, seen(0, 1, now.Add(hour)), wrong), waitFor(minute)},
				{"R5: one that this pass has not tried is tried first, however late it comes",
					on(func(r *rotation.Run) { r.Deadline = now.Add(-day) }, seen(0, 0, time.Time{})), rotation.Prove{}},
				{"R5: and goes on once it is proven", on(func(r *rotation.Run) { r.Deadline = now.Add(-day) }), phase.proven},
				{"a failure pauses what comes next", with(phase.fresh(), failed), waitFor(hour)},
			})
			testPlan(t, none, []planRow{
				{"the next pass, which has seen nothing yet, proves it itself", on(unchanged, unseen), rotation.Prove{}},
			})
		})
	}
	age := func(trigger rotation.Trigger, age time.Duration) rotation.Record {
		return with(verifying(), run(func(r *rotation.Run) { r.Trigger, r.IssuedAt = trigger, now.Add(-age) }))
	}
	testPlan(t, mine, []planRow{
		{"R4: a scheduled run waits for five minutes", age(rotation.OnSchedule, 4*minute), waitFor(minute)},
		{"R4: a manual one, too", age(rotation.OnRequest, 4*minute), waitFor(minute)},
		{"R4: creation waits for 15 seconds", age(rotation.OnCreation, 14*time.Second), waitFor(time.Second)},
		{"R4: an emergency, too", age(rotation.OnEmergency, 14*time.Second), waitFor(time.Second)},
		{"R4: and recovery", age(rotation.OnLoss, 14*time.Second), waitFor(time.Second)},
		{"R4: then they go on", age(rotation.OnEmergency, 15*time.Second), rotation.Promote{}},
		{"R8: no token before another write has settled",
			with(announced(verifying()), run(func(r *rotation.Run) { r.StagedVersion = "s2" }), unseen),
			waitFor(13*minute + 50*time.Second)},
	})
}

// A rotation by hand that can't be begun is refused, not put off. One whose refusal no
// caller can be told of begins all the same.
func TestPlanRotationByHand(t *testing.T) {
	crowd := func(n int) change {
		return func(r *rotation.Record) {
			r.Removals = slices.Repeat([]rotation.Removal{old(now.Add(hour))}, n)
		}
	}
	unidentified := func(r *rotation.Record) { r.Request.Unidentified = true }
	identify := asked(rotation.AskIdentify)
	rotate, emergency, given := asked(rotation.AskRotate), asked(rotation.AskEmergency), origin(rotation.OriginGiven)
	testPlan(t, mine, []planRow{
		{"with 31 old ones there is room", with(idle(), rotate, crowd(31)), rotation.BeginRun{}},
		{"with 32 there is none", with(idle(), rotate, crowd(32)), rotation.RefuseRequest{}},
		{"which a pause does not put off", with(idle(), rotate, crowd(32), failed), rotation.RefuseRequest{}},
		{"R12: an emergency ends the grace periods first", with(idle(), emergency, crowd(32)), rotation.EndGracePeriods{}},
		{"R12: and begins", with(idle(), emergency, crowd(32), hastened), rotation.BeginRun{}},
		{"so does a slot", with(idle(), slot(now), crowd(40)), rotation.BeginRun{}},
		{"R6: and recovery", with(idle(), refused(10, now.Add(-hour)), crowd(40)), rotation.BeginRun{}},
		{"a run that is under way is the answer all the same", with(verifying(), rotate, crowd(32)), rotation.DropRequest{}},
		{"R14: a given secret is identified first", with(idle(), given, rotate), rotation.IdentifyCurrent{}},
		{"R14: without room it is not", with(idle(), given, rotate, crowd(32)), rotation.RefuseRequest{}},
		{"R14: also where that is all that is asked for", with(idle(), given, identify), rotation.IdentifyCurrent{}},
		{"R14: what is identified need not be", with(idle(), identify), rotation.DropRequest{}},
		{"R14: a new request does not wait for the failure of another",
			with(idle(), given, identify, failedFor("another")), rotation.IdentifyCurrent{}},
		{"R14: one that has failed waits", with(idle(), given, identify, failedFor("q")), waitFor(hour)},
		{"R14: a run goes first", with(verifying(), given, identify), rotation.Promote{}},
		{"R12: an emergency tries it, too", with(idle(), given, emergency), rotation.IdentifyCurrent{}},
		{"R12: and begins if that is in vain", with(idle(), given, emergency, unidentified), rotation.BeginRun{}},
		{"R6: recovery does not try it", with(idle(), given, refused(10, now.Add(-hour))), rotation.BeginRun{}},
		{"so does a slot that comes", with(idle(), given, slot(now)), rotation.BeginRun{}},
	})
}

// Requests, by rank, in every phase (rule R12).
func TestPlanRequests(t *testing.T) {
	phases := []struct {
		name  string
		fresh func() rotation.Record
		quiet rotation.Step // what is done without a request
		want  map[rotation.RequestKind]rotation.Step
	}{
		{"idle", idle, waitFor(10 * day), map[rotation.RequestKind]rotation.Step{
			rotation.AskDelete: rotation.BeginDelete{}, rotation.AskRebind: rotation.BeginRebind{}, rotation.AskEmergency: rotation.BeginRun{},
			rotation.AskAbandon: rotation.DropRequest{}, rotation.AskRotate: rotation.BeginRun{}, "dance": rotation.DropRequest{}}},
		{"issuing", issuing, rotation.Reconcile{}, map[rotation.RequestKind]rotation.Step{
			rotation.AskDelete: rotation.BeginDelete{}, rotation.AskRebind: rotation.EndRun{}, rotation.AskEmergency: rotation.MakeEmergency{},
			rotation.AskAbandon: rotation.EndRun{}, rotation.AskRotate: rotation.DropRequest{}, "dance": rotation.DropRequest{}}},
		{"verifying", verifying, rotation.Promote{}, map[rotation.RequestKind]rotation.Step{
			rotation.AskDelete: rotation.BeginDelete{}, rotation.AskRebind: rotation.EndRun{}, rotation.AskEmergency: rotation.MakeEmergency{},
			rotation.AskAbandon: rotation.EndRun{}, rotation.AskRotate: rotation.DropRequest{}, "dance": rotation.DropRequest{}}},
		{"publishing", publishing, rotation.Publish{}, map[rotation.RequestKind]rotation.Step{
			rotation.AskDelete: rotation.Withdraw{}, rotation.AskRebind: rotation.Withdraw{}, rotation.AskEmergency: rotation.MakeEmergency{},
			rotation.AskAbandon: rotation.Withdraw{}, rotation.AskRotate: rotation.DropRequest{}, "dance": rotation.DropRequest{}}},
		{"rebinding", rebinding, rotation.Publish{}, map[rotation.RequestKind]rotation.Step{
			rotation.AskDelete: rotation.Withdraw{}, rotation.AskRebind: rotation.Withdraw{}, rotation.AskEmergency: rotation.Publish{},
			rotation.AskAbandon: rotation.DropRequest{}, rotation.AskRotate: rotation.Publish{}, "dance": rotation.DropRequest{}}},
		{"deleting", deleting, rotation.Purge{}, map[rotation.RequestKind]rotation.Step{
			rotation.AskDelete: rotation.DropRequest{}, rotation.AskRebind: rotation.DropRequest{}, rotation.AskEmergency: rotation.DropRequest{},
			rotation.AskAbandon: rotation.DropRequest{}, rotation.AskRotate: rotation.DropRequest{}, "dance": rotation.DropRequest{}}},
	}
	for _, p := range phases {
		t.Run(p.name, func(t *testing.T) {
			rows := []planRow{{"without a request it goes on", p.fresh(), p.quiet}}
			for kind, want := range p.want {
				fresh := p.fresh
				if (want == rotation.Withdraw{}) {
					rows = append(rows,
						planRow{"R8: while its value may land it goes on, asked to " + string(kind), with(p.fresh(), asked(kind)), rotation.Publish{}},
						planRow{"R8: or waits until it can't any more, asked to " + string(kind), with(p.fresh(), asked(kind), failed), waitFor(14 * minute)})
					fresh = func() rotation.Record { return with(p.fresh(), settled) }
				}
				rows = append(rows, planRow{"asked to " + string(kind), with(fresh(), asked(kind)), want})
				switch want {
				case rotation.Publish{}: // the phase goes on, and has its pause
					rows = append(rows, planRow{"after a failure, asked to " + string(kind), with(fresh(), asked(kind), failed), waitFor(hour)})
				case rotation.Withdraw{}: // it is tried at once, once
					rows = append(rows,
						planRow{"after another failure, at once asked to " + string(kind), with(fresh(), asked(kind), failedFor("other")), want},
						planRow{"after it has failed itself, the pause holds when asked to " + string(kind), with(fresh(), asked(kind), failedFor("q")),
							waitFor(hour)})
				default:
					rows = append(rows, planRow{"after a failure, at once asked to " + string(kind), with(fresh(), asked(kind), failed), want})
				}
			}
			testPlan(t, mine, rows)
		})
	}
	testPlan(t, mine, []planRow{
		{"an emergency while rebinding ends the grace periods",
			with(rebinding(), asked(rotation.AskEmergency), retires(old(now.Add(hour)))), rotation.EndGracePeriods{}},
		{"once: then rebinding goes on", with(rebinding(), asked(rotation.AskEmergency), retires(old(now))), rotation.Publish{}},
		{"a deadline while a rotation waits for rebinding",
			with(rebinding(), asked(rotation.AskRotate), run(func(r *rotation.Run) { r.Deadline = now }), wrong, settled), rotation.Withdraw{}},
	})
}

func TestRequestsByRank(t *testing.T) {
	order := []rotation.RequestKind{rotation.AskIdentify, rotation.AskRotate, rotation.AskAbandon, rotation.AskEmergency, rotation.AskRebind,
		rotation.AskKeep, rotation.AskDelete}
	for i, pending := range order {
		for j, next := range order {
			rec := with(idle(), asked(pending))
			took := rec.Ask(rotation.Request{Kind: next, ID: "next"})
			waits := (pending == rotation.AskRebind || pending == rotation.AskKeep) && next == rotation.AskEmergency // and is served afterwards
			if want := j > i; took != want && !waits || (rec.Request.ID == "next") != want {
				t.Errorf("%s while %s is pending: replaced %t, want %t", next, pending, took, want)
			}
			if after := rec.Outranked; waits != (after != nil && after.ID == "next") ||
				(pending == rotation.AskEmergency && (next == rotation.AskRebind || next == rotation.AskKeep)) != (after != nil && after.ID != "next") {
				t.Errorf("%s while %s is pending: served afterwards: %+v", next, pending, after)
			}
		}
		rec := idle()
		if !rec.Ask(rotation.Request{Kind: pending}) || rec.Request.Kind != pending {
			t.Errorf("%s while nothing is pending is not taken", pending)
		}
	}
}

func TestPlanRemovals(t *testing.T) {
	later := func(o rotation.Removal, next time.Time) rotation.Removal { o.NextAt = next; return o }
	gone := func(o rotation.Removal) rotation.Removal { o.RemovedAt = now.Add(-minute); return o }
	testPlan(t, mine, []planRow{
		{"an old credential stays for its grace period", with(idle(), retires(old(now.Add(hour)))), waitFor(hour)},
		{"then it is removed", with(idle(), retires(old(now))), rotation.Remove{ID: "old"}},
		{"R6: not before current is 60 seconds old",
			with(idle(), retires(old(now)), currentSince(now.Add(-45*time.Second))), waitFor(15 * time.Second)},
		{"R6: a removal that was postponed waits", with(idle(), retires(later(old(now.Add(-hour)), now.Add(minute)))), waitFor(minute)},
		{"R7: what was removed is looked for", with(idle(), retires(removed(now))), rotation.ConfirmRemoved{ID: "old"}},
		{"R7: at its time", with(idle(), retires(removed(now.Add(minute)))), waitFor(minute)},
		{"R7: reading need not wait for current's age",
			with(idle(), retires(removed(now)), currentSince(now)), rotation.ConfirmRemoved{ID: "old"}},
		{"the first that is due goes first",
			with(idle(), retires(old(now.Add(hour)), removed(now.Add(minute)), old(now))), rotation.Remove{ID: "old"}},
		{"the one that is due next is waited for", with(idle(), retires(old(now.Add(hour)), removed(now.Add(minute)))), waitFor(minute)},
		{"R3: a marker that was given up is looked for", with(idle(), abandons(lostTrack(now))), rotation.ConfirmRemoved{ID: "x"}},
		{"R3: whatever else waits", with(idle(), retires(old(now.Add(hour))), abandons(lostTrack(now))), rotation.ConfirmRemoved{ID: "x"}},
		{"R3: at its time", with(idle(), abandons(lostTrack(now.Add(minute)))), waitFor(minute)},
		{"R3: what bears it is removed", with(idle(), abandons(lostTrack(now.Add(minute)), orphan())), rotation.Remove{ID: "x"}},
		{"R6: not before current is 60 seconds old, either", with(idle(), abandons(orphan()), currentSince(now)), waitFor(minute)},
		{"R3: and then looked for again", with(idle(), abandons(gone(orphan()))), rotation.ConfirmRemoved{ID: "x"}},
		{"a failure of the run does not stop removals", with(idle(), retires(old(now)), failed), rotation.Remove{ID: "old"}},
		{"a run that waits does not, either",
			with(verifying(), retires(old(now)), seen(1, 0, now.Add(5*time.Second))), rotation.Remove{ID: "old"}},
		{"the phase goes first", with(verifying(), retires(old(now))), rotation.Promote{}},
		{"P1: while publishing nothing is removed", with(publishing(), retires(old(now)), abandons(orphan()), failed), waitFor(hour)},
		{"P1: nor while rebinding", with(rebinding(), retires(old(now)), abandons(orphan()), failed), waitFor(hour)},
		{"P1: nor read, for want of a use", with(publishing(), retires(removed(now)), abandons(lostTrack(now)), failed), waitFor(hour)},
	})
}

func TestPlanLastCredential(t *testing.T) {
	proving := func(next time.Time) rotation.Removal {
		o := last()
		o.RemovedAt, o.NextAt = now.Add(-minute), next
		return o
	}
	of := func(a rotation.Application, o rotation.Removal) rotation.Removal { o.Target = a; return o }
	testPlan(t, mine, []planRow{
		{"the last one of an application that was left is removed", with(idle(), retires(last())), rotation.Remove{ID: "last"}},
		{"R7: its going is proven by refusals", with(idle(), retires(proving(now))), rotation.ConfirmRefused{ID: "last"}},
		{"R7: at their time", with(idle(), retires(proving(now.Add(3*minute)))), waitFor(3 * minute)},
		{"it goes after the others of that application", with(idle(), retires(last(), of(former, removed(now.Add(minute))))), waitFor(minute)},
		{"also after those that were lost track of", with(idle(), retires(last()),
			abandons(func() rotation.Removal { o := lostTrack(now.Add(minute)); o.Target = former; return o }())), waitFor(minute)},
		{"those of another application do not hold it back",
			with(idle(), retires(last(), removed(now.Add(minute)))), rotation.Remove{ID: "last"}},
	})
}

func TestPlanStale(t *testing.T) {
	known := rotation.Stale{Versions: []string{"s0"}}
	testPlan(t, mine, []planRow{
		{"a staged version that is done with is disabled", with(idle(), stale(known)), rotation.DisableStale{}},
		{"in every phase", with(publishing(), stale(known), failed), rotation.DisableStale{}},
		{"what nothing knows of is looked for when it must have arrived",
			with(idle(), stale(rotation.Stale{LookAt: now.Add(minute)})), waitFor(minute)},
		{"also while a run has staged nothing yet", with(issuing(), stale(rotation.Stale{LookAt: now}), failed), rotation.DisableStale{}},
		{"a failure has its own pause", with(idle(), stale(rotation.Stale{Versions: []string{"s0"}, NextAt: now.Add(minute)})), waitFor(minute)},
		{"which holds for looking, too", with(idle(), stale(rotation.Stale{LookAt: now.Add(-minute), NextAt: now.Add(minute)})), waitFor(minute)},
		{"it comes before removals", with(idle(), retires(old(now)), stale(known)), rotation.DisableStale{}},
	})
}

func TestPlanDeleting(t *testing.T) {
	testPlan(t, mine, []planRow{
		{"with nothing left the connection goes", deleting(), rotation.Purge{}},
		{"and current stays where it is", with(deleting(), origin(rotation.OriginNamed)), rotation.Purge{}},
		{"asked to revoke, current goes first", with(deleting(), revoking), rotation.RevokeCurrent{}},
		{"P2: unless Rekey did not issue it", with(deleting(), revoking, origin(rotation.OriginNamed)), rotation.Purge{}},
		{"or there is none", with(deleting(), revoking, empty), rotation.Purge{}},
		{"R12: what is retiring goes before current", with(deleting(), revoking, retires(old(now))), rotation.Remove{ID: "old"}},
		{"R12: until it is seen to be gone", with(deleting(), revoking, retires(removed(now.Add(minute)))), waitFor(minute)},
		{"R12: what was abandoned does, too", with(deleting(), revoking, abandons(lostTrack(now.Add(minute)))), waitFor(minute)},
		{"what may be on its way to the vault is waited for",
			with(deleting(), revoking, stale(rotation.Stale{LookAt: now.Add(minute)})), waitFor(minute)},
		{"but not that anything can be disabled: it goes with its secret", with(deleting(),
			stale(rotation.Stale{Versions: []string{"s"}, LookAt: now.Add(-day), NextAt: now.Add(hour), Tries: 9})), rotation.Purge{}},
		{"in the order in which they were listed", with(deleting(), abandons(orphan()), retires(old(now))), rotation.Remove{ID: "x"}},
		{"a vault that failed is asked again after the pause", with(deleting(), failed), waitFor(hour)},
		{"which does not hold removals back", with(deleting(), failed, retires(old(now))), rotation.Remove{ID: "old"}},
		{"no notice warns of its end", with(deleting(), failed, expires(now.Add(hour))), waitFor(hour)},
		{"the very last is removed without anything published", with(deleting(), empty,
			retires(func() rotation.Removal { o := old(now); o.Kind = rotation.RemoveLast; return o }())), rotation.Remove{ID: "old"}},
	})
}

func TestPlanWarnings(t *testing.T) {
	warned := func(days int) change { return func(r *rotation.Record) { r.WarnedAt = days } }
	testPlan(t, mine, []planRow{
		{"an end within two weeks that nothing prevents", with(idle(), policyOff, expires(now.Add(10*day))), rotation.WarnOfExpiry{}},
		{"is said once", with(idle(), policyOff, expires(now.Add(10*day)), warned(14)), waitFor(3 * day)},
		{"after the last warning there is nothing to wait for", with(idle(), policyOff, expires(now.Add(hour)), warned(1)), forever},
		{"a rotation that comes before the end prevents it", with(idle(), slot(now.Add(day)), expires(now.Add(6*day))), waitFor(day)},
		{"a rotation that keeps failing does not", with(idle(), slot(now.Add(-day)), expires(now.Add(3*day)), failed), rotation.WarnOfExpiry{}},
		{"removals come first", with(idle(), policyOff, expires(now.Add(3*day)), retires(old(now))), rotation.Remove{ID: "old"}},
	})
}

// The wake-up of a connection that is put down is when Plan would act, for any pass.
func TestWake(t *testing.T) {
	for _, tt := range []struct {
		name string
		rec  rotation.Record
		want time.Time
	}{
		{"a slot", idle(), now.Add(10 * day)},
		{"work that is left is due now", with(idle(), slot(now.Add(-hour))), now},
		{"a request is due now", with(idle(), asked(rotation.AskRotate)), now},
		{"the age that a credential lacks", with(verifying(), run(func(r *rotation.Run) { r.IssuedAt = now.Add(-4 * minute) })), now.Add(minute)},
		{"a pause", with(issuing(), failed), now.Add(hour)},
		{"the earlier of phase and duties", with(issuing(), failed, retires(old(now.Add(minute)))), now.Add(minute)},
		{"never, where nothing will ever have to be done", with(idle(), policyOff, expires(time.Time{})), time.Time{}},
	} {
		if got := rotation.DefaultRules().Wake(now, &tt.rec); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

type planRow struct {
	name string
	rec  rotation.Record
	want rotation.Step
}

func testPlan(t *testing.T, lease rotation.Lease, rows []planRow) {
	t.Helper()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			if got := rotation.DefaultRules().Plan(now, &tt.rec, lease); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
