package rotation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// toRetire is a target without a credential of ours that was created to retire those.
func toRetire(keyIDs ...string) change {
	return func(r *rotation.Record) {
		r.Via, r.Actor, r.Current, r.Retire = "parent", acting, nil, keyIDs
	}
}

// published is the outcome of publishing the run's credential.
func published() rotation.Outcome {
	next := rotation.Credential{Target: billing, KeyID: "new", Origin: rotation.OriginIssued}
	return rotation.Outcome{Proven: true, PublishedVersion: "v9", Next: &next}
}

// What a target was created to retire is removed like any credential that was replaced: behind
// the gate, and when the grace period of the run is over that has published the first one.
func TestWhatATargetRetires(t *testing.T) {
	grace := func(d time.Duration) change { return run(func(r *rotation.Run) { r.Grace = d }) }
	for name, row := range map[string]struct {
		rec   rotation.Record
		after time.Duration
	}{
		"with the grace period of its run": {with(publishing(), toRetire("a", "b"), grace(48*hour)), 48 * hour},
		"which a caller may choose": {with(publishing(), toRetire("a", "b"), grace(0),
			func(r *rotation.Record) { r.SetOriginalGrace(hour) }), 0},
	} {
		next, events := rotation.DefaultRules().Apply(now, row.rec, rotation.Publish{}, published())
		if len(next.Retire) != 0 || len(next.Removals) != 2 || len(next.ByHand) != 0 {
			t.Fatalf("%s: retires %v; to be removed %+v; by hand %+v", name, next.Retire, next.Removals, next.ByHand)
		}
		for i, want := range []string{"a", "b"} {
			m := next.Removals[i]
			if m.KeyID != want || m.Kind != rotation.RemoveReplaced || !m.Published || m.Target != billing || !m.After.Equal(now.Add(row.after)) {
				t.Errorf("%s: %+v", name, m)
			}
		}
		told := slices.IndexFunc(events, func(e rotation.Event) bool { return e.Kind == history.Published })
		if until := now.Add(row.after).Format(time.RFC3339); told < 0 || !strings.Contains(events[told].Message, "a, b") ||
			!strings.Contains(events[told].Message, until) {
			t.Errorf("%s: the history says %+v", name, events)
		}
	}
	_, events := rotation.DefaultRules().Apply(now, publishing(), rotation.Publish{}, published())
	if events[0].Kind != history.Published || events[0].Message != "" {
		t.Errorf("of an ordinary rotation the history says %+v", events)
	}
}

// Nothing is retired where a deletion was asked for before anything was published: it would end
// the grace period at once.
func TestADeletionThatWaitsForThePublicationRetiresNothing(t *testing.T) {
	for kind, want := range map[rotation.RequestKind]int{rotation.AskDelete: 0, rotation.AskAbandon: 1} {
		rec := with(publishing(), toRetire("a"), asked(kind))
		next, events := rotation.DefaultRules().Apply(now, rec, rotation.Publish{}, published())
		if len(next.Removals) != want || len(next.Retire) != 0 || next.Current == nil || (events[0].Message != "") != (want == 1) {
			t.Errorf("%s: current %+v, to be removed %+v, retires %v, events %+v", kind, next.Current, next.Removals, next.Retire, events)
		}
	}
}

// The first run of a target takes over what its consumers use today, so that it has the grace period of any other, if its
// creator has not said another one. That of the original is for a client secret that was given.
func TestTheGracePeriodOfAFirstRun(t *testing.T) {
	begin := rotation.Outcome{RunID: "r1", Marker: "m1", LeaseToken: "mine"}
	original := func(r *rotation.Record) { r.Policy.OriginalGrace = 2 * hour }
	chosen := func(r *rotation.Record) { asked(rotation.AskRotate)(r); r.Request.Grace = new(3 * hour) }
	said := func(r *rotation.Record) { r.SetOriginalGrace(5 * hour) }
	none := func(r *rotation.Record) { r.SetOriginalGrace(0) }
	for name, row := range map[string]struct {
		rec  rotation.Record
		want time.Duration
	}{
		"of a target":                {with(idle(), toRetire("a"), original), 48 * hour},
		"of a named original":        {with(idle(), origin(rotation.OriginNamed), original), 2 * hour},
		"on request":                 {with(idle(), toRetire("a"), policyOff, asked(rotation.AskRotate)), 48 * hour},
		"on request, with its own":   {with(idle(), toRetire("a"), said, chosen), 3 * hour},
		"in an emergency, with none": {with(idle(), toRetire("a"), said, asked(rotation.AskEmergency)), 0},
		"of a target, as was said":   {with(idle(), toRetire("a"), original, said), 5 * hour},
		"which may be none":          {with(idle(), toRetire("a"), original, none), 0},
		"on request, as was said":    {with(idle(), toRetire("a"), said, policyOff, asked(rotation.AskRotate)), 5 * hour},
		"after the first one":        {with(idle(), said, func(r *rotation.Record) { r.Via = "parent" }), 48 * hour},
	} {
		next, _ := rotation.DefaultRules().Apply(now, row.rec, rotation.BeginRun{}, begin)
		if next.Run == nil || next.Run.Grace != row.want || len(next.Retire) != len(row.rec.Retire) {
			t.Errorf("%s: %+v, retires %v; want %s", name, next.Run, next.Retire, row.want)
		}
	}
}

// A rotation by hand that is refused is tried again with the grace period that its caller named, and where none was
// named with that of the policy at that time.
func TestTheGracePeriodOfARetry(t *testing.T) {
	rules := rotation.DefaultRules()
	refused := rotation.Outcome{NotSent: true, Err: refusedWith(serviceerror.Permission)}
	for want, changes := range map[time.Duration][]change{
		0:        {func(r *rotation.Record) { r.Request.Grace = new(time.Duration) }},
		3 * hour: {func(r *rotation.Record) { r.Request.Grace = new(3 * hour) }},
		9 * hour: nil,
	} {
		rec := with(idle(), append([]change{asked(rotation.AskRotate)}, changes...)...)
		begin := rotation.Outcome{Marker: "m1", LeaseToken: "mine"}
		rec, _ = rules.Apply(now, rec, rotation.BeginRun{}, begin)
		rec, _ = rules.Apply(now, rec, rotation.IssueCredential{}, refused)
		rec.Policy.Grace = 9 * hour
		if rec.Request == nil {
			t.Fatalf("%s: the request is gone", want)
		}
		if rec, _ = rules.Apply(now, rec, rotation.BeginRun{}, begin); rec.Run.Grace != want {
			t.Errorf("the retry has a grace period of %s, want %s", rec.Run.Grace, want)
		}
	}
}

// Every line that the history has of a run which a caller has asked for names the caller.
func TestARunIsTheCallers(t *testing.T) {
	rec, begun := rotation.DefaultRules().Apply(now, with(idle(), asked(rotation.AskRotate), func(r *rotation.Record) { r.Request.By = "ann" }),
		rotation.BeginRun{}, rotation.Outcome{Marker: "m1", LeaseToken: "mine"})
	issued := rotation.Outcome{Issued: &rotation.Issued{KeyID: "new"}, StagedVersion: "s1", Application: &rotation.ApplicationState{}}
	refused := rotation.Outcome{NotSent: true, Err: refusedWith(serviceerror.Permission)}
	for name, out := range map[string]rotation.Outcome{"issued": issued, "refused": refused} {
		_, events := rotation.DefaultRules().Apply(now, rec, rotation.IssueCredential{}, out)
		for _, e := range append(slices.Clone(begun), events...) {
			if e.RunID == rec.Run.ID && e.By != "ann" {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if len(events) == 0 {
			t.Errorf("%s: no line", name)
		}
	}
}

// Until something is published nothing of it is removed, and nothing is forgotten: whatever
// becomes of the runs before, and also if the target is deleted.
func TestWhatWaitsForTheFirstPublication(t *testing.T) {
	nothing := rotation.Outcome{}
	ended := func(r *rotation.Record) { r.Run.Attempt, r.Run.Deadline = 3, now; wrong(r) }
	silent := rotation.Outcome{Proven: true, Err: refusedWith(serviceerror.Transient)}
	refusing := rotation.Outcome{Err: refusedWith(serviceerror.Permission), NotSent: true}
	for name, row := range map[string]struct {
		rec  rotation.Record
		step rotation.Step
		out  rotation.Outcome
	}{
		"the third attempt is given up": {with(verifying(), toRetire("a"), ended), rotation.Withdraw{}, nothing},
		"the run is refused":            {with(issuing(), toRetire("a")), rotation.IssueCredential{}, refusing},
		"a creation is undone": {
			with(issuing(), toRetire("a"), func(r *rotation.Record) { r.Acknowledged, r.Run.Trigger = false, rotation.OnCreation }),
			rotation.IssueCredential{}, refusing,
		},
		"it is abandoned":            {with(verifying(), toRetire("a"), asked(rotation.AskAbandon)), rotation.EndRun{}, nothing},
		"the vault does not answer":  {with(publishing(), toRetire("a")), rotation.Publish{}, silent},
		"it becomes an emergency":    {with(verifying(), toRetire("a"), asked(rotation.AskEmergency)), rotation.MakeEmergency{}, nothing},
		"it is deleted":              {with(idle(), toRetire("a"), asked(rotation.AskDelete)), rotation.BeginDelete{}, nothing},
		"it is deleted during a run": {with(verifying(), toRetire("a"), asked(rotation.AskDelete)), rotation.BeginDelete{}, nothing},
	} {
		next, _ := rotation.DefaultRules().Apply(now, row.rec, row.step, row.out)
		if len(next.Retire) != 1 || slices.ContainsFunc(next.Removals, func(m rotation.Removal) bool { return m.KeyID == "a" }) {
			t.Errorf("%s: retires %v, to be removed %+v", name, next.Retire, next.Removals)
		}
	}
	for _, phase := range []rotation.Record{with(idle(), policyOff), with(deleting(), revoking)} {
		rec := with(phase, toRetire("a"))
		switch step := rotation.DefaultRules().Plan(now, &rec, mine); step {
		case forever, rotation.Purge{}:
		default:
			t.Errorf("phase %s: %+v is planned", rec.Phase, step)
		}
	}
}

// As many as may wait for their grace period have room; none is ended, and none is left to a
// person.
func TestATargetRetiresAsManyAsThereIsRoomFor(t *testing.T) {
	var many []string
	for i := range rotation.MaxReplaced {
		many = append(many, fmt.Sprint("k", i))
	}
	rec := with(publishing(), toRetire(many...), run(func(r *rotation.Run) { r.Grace = hour }))
	next, events := rotation.DefaultRules().Apply(now, rec, rotation.Publish{}, published())
	if len(next.Removals) != len(many) || len(next.ByHand) != 0 || len(events) != 1 {
		t.Errorf("%d are to be removed, by hand %+v, events %+v", len(next.Removals), next.ByHand, events)
	}
	for _, m := range next.Removals {
		if !m.After.Equal(now.Add(hour)) {
			t.Errorf("%s goes after %s", m.KeyID, m.After)
		}
	}
}

// A forecast removes them when the grace period is over.
func TestAForecastRetires(t *testing.T) {
	var keys []string
	for _, f := range rotation.DefaultRules().Forecast(now, with(idle(), toRetire("a", "b"), policyOff, asked(rotation.AskRotate))) {
		if remove, ok := f.Step.(rotation.Remove); ok {
			keys = append(keys, fmt.Sprint(remove.ID, " after ", f.At.Sub(now)))
		}
	}
	if want := []string{"a after 48h5m0s", "b after 48h5m0s"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
}
