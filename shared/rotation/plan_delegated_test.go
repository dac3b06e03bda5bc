package rotation_test

import (
	"errors"
	"testing"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

var acting = rotation.Application{TenantID: "t", ClientID: "acting", ObjectID: "a"}

// through is an application that is rotated through another connection.
func through(rec rotation.Record) rotation.Record {
	rec.Via, rec.Actor = "parent", acting
	return rec
}

// signsIn is a connection that authenticates with something of its own and rotates
// nothing.
func signsIn(a rotation.Auth) rotation.Record {
	return rotation.Record{ID: "c", Phase: rotation.Idle, Acknowledged: true, Actor: acting, Auth: &a}
}

// wakes: those that it authenticates for have to be told at a time.
func wakes(at time.Time) change { return func(r *rotation.Record) { r.WakeTargets = at } }

func TestPlanDelegated(t *testing.T) {
	testPlan(t, mine, []planRow{
		{"an application without a credential of ours gets its first at once", with(through(idle()), empty), rotation.BeginRun{}},
		{"after a failure at the retry time", with(through(idle()), empty, failed), waitFor(hour)},
		{"not with rotation off", with(through(idle()), empty, policyOff), forever},
		{"then it follows the schedule", through(idle()), waitFor(10 * day)},
		{"its old credentials are removed like any other", with(through(idle()), retires(old(now))), rotation.Remove{ID: "old"}},
		{"and what an abandoned first attempt left", with(through(idle()), empty, policyOff, abandons(orphan())), rotation.Remove{ID: "x"}},
		{"by hand also with rotation off", with(through(idle()), empty, policyOff, asked(rotation.AskRotate)), rotation.BeginRun{}},
		{"deleted with revoke, its last credential goes too", with(through(deleting()), revoking), rotation.RevokeCurrent{}},
		{"one that rotates nothing and never ends waits for ever", signsIn(rotation.Auth{}), forever},
		{"what the caller gave is looked for", func() rotation.Record {
			rec := signsIn(rotation.Auth{})
			rec.Phase = rotation.Creating
			return rec
		}(), rotation.AdoptGiven{}},
	})
}

func TestPlanRefusedRequest(t *testing.T) {
	testPlan(t, mine, []planRow{
		{"a rotation that was refused waits for its retry time", with(idle(), asked(rotation.AskRotate), failedFor("q")), waitFor(hour)},
		{"and so does the slot", with(idle(), asked(rotation.AskRotate), failedFor("q"), slot(now.Add(-minute))), waitFor(hour)},
		{"then it is tried again",
			with(idle(), asked(rotation.AskRotate), pausedEnough, func(r *rotation.Record) { r.Error.Request = "q" }), rotation.BeginRun{}},
		{"an emergency likewise", with(idle(), asked(rotation.AskEmergency), failedFor("q")), waitFor(hour)},
		{"a new request does not wait for the failure of another",
			with(idle(), asked(rotation.AskRotate), failedFor("another")), rotation.BeginRun{}},
		{"removals go on meanwhile", with(idle(), asked(rotation.AskRotate), failedFor("q"), retires(old(now))), rotation.Remove{ID: "old"}},
		{"a new request waits as long as a service has asked for",
			with(idle(), asked(rotation.AskRotate), failedFor("another"), throttled(minute)), waitFor(minute)},
		{"an emergency, too", with(idle(), asked(rotation.AskEmergency), failedFor("another"), throttled(minute)), waitFor(minute)},
		{"and no longer", with(idle(), asked(rotation.AskRotate), failedFor("another"), throttled(0)), rotation.BeginRun{}},
	})
}

// A rotation that is asked for again is tried at once: of an emergency that was refused it remains one.
// What a service has asked for is waited for all the same.
func TestAskedAgain(t *testing.T) {
	for name, row := range map[string]struct {
		rec  rotation.Record
		asks rotation.RequestKind
		took bool
		id   string // whose request is pending then
		at   time.Duration
	}{
		"a refused rotation": {with(idle(), asked(rotation.AskRotate), failedFor("q")), rotation.AskRotate, true, "new", 0},
		"a refused emergency": {
			with(idle(), asked(rotation.AskEmergency), failedFor("q")), rotation.AskEmergency, true, "new", 0},
		"a refused emergency, as any rotation": {with(idle(), asked(rotation.AskEmergency), failedFor("q")), rotation.AskRotate, true, "q", 0},
		"an emergency that was not tried":      {with(idle(), asked(rotation.AskEmergency)), rotation.AskRotate, false, "q", 0},
		"while a service has asked for a pause": {
			with(idle(), asked(rotation.AskEmergency), failedFor("q"), throttled(minute)), rotation.AskRotate, true, "q", minute},
	} {
		rec := row.rec
		if took := rec.Ask(rotation.Request{Kind: row.asks, ID: "new", At: now}); took != row.took || rec.Request.ID != row.id {
			t.Errorf("%s: taken %t, pending %s", name, took, rec.Request.ID)
		}
		if wake := rotation.DefaultRules().Wake(now, &rec); !wake.Equal(now.Add(row.at)) {
			t.Errorf("%s: tried at %s", name, wake)
		}
	}
}

// A run that pauses goes on at once when a rotation is asked for, or an emergency; not before a service
// wants it.
func TestAskedWhilePausing(t *testing.T) {
	for _, pause := range []time.Duration{0, minute} {
		for kind, step := range map[rotation.RequestKind]rotation.Step{
			rotation.AskRotate: rotation.DropRequest{}, rotation.AskEmergency: rotation.MakeEmergency{},
		} {
			rec := with(verifying(), unseen, asked(kind), failed, throttled(pause))
			next, _ := rotation.DefaultRules().Apply(now, rec, step, rotation.Outcome{})
			if next.Request != nil || !next.Error.RetryAt.Equal(now.Add(pause)) {
				t.Errorf("%s, with a pause of %s: goes on at %s", kind, pause, next.Error.RetryAt)
			}
		}
	}
}

func TestPlanSignIn(t *testing.T) {
	testPlan(t, mine, []planRow{
		{"a certificate that ends in 40 days is warned of in 10", signsIn(rotation.Auth{ExpiresAt: now.Add(40 * day)}), waitFor(10 * day)},
		{"at 30 days", signsIn(rotation.Auth{ExpiresAt: now.Add(30 * day)}), rotation.WarnOfSignInEnd{}},
		{"its targets are told of new credentials", with(signsIn(rotation.Auth{Generation: 3}), wakes(now)), rotation.WakeTargets{Generation: 3}},
		{"those of one that authenticates with what it rotates, too", with(idle(), wakes(now)), rotation.WakeTargets{}},
		{"again, when some could not be told", with(signsIn(rotation.Auth{}), wakes(now.Add(minute))), waitFor(minute)},
		{"once", signsIn(rotation.Auth{ExpiresAt: now.Add(30 * day), Warned: 30}), waitFor(16 * day)},
		{"at 14 days", signsIn(rotation.Auth{ExpiresAt: now.Add(14 * day), Warned: 30}), rotation.WarnOfSignInEnd{}},
		{"with one warning for several that were missed",
			signsIn(rotation.Auth{ExpiresAt: now.Add(2 * day), Warned: 30}), rotation.WarnOfSignInEnd{}},
		{"after the last there is nothing to wait for", signsIn(rotation.Auth{ExpiresAt: now.Add(hour), Warned: 1}), forever},
		{"rotation does not prevent it", func() rotation.Record {
			rec := idle()
			rec.Auth = &rotation.Auth{ExpiresAt: now.Add(3 * day)}
			return rec
		}(), rotation.WarnOfSignInEnd{}},
		{"a refresh token is renewed when its time has come", signsIn(rotation.Auth{RenewAt: now}), rotation.RenewSignIn{}},
		{"and not before", signsIn(rotation.Auth{RenewAt: now.Add(day)}), waitFor(day)},
		{"no sign-in is renewed for a connection that is being deleted", func() rotation.Record {
			rec := signsIn(rotation.Auth{RenewAt: now, ExpiresAt: now})
			rec.Phase = rotation.Deleting
			return rec
		}(), rotation.Purge{}},
		{"replaced credentials are disabled", func() rotation.Record {
			rec := signsIn(rotation.Auth{VaultVersion: "v2"})
			rec.Replace(now.Add(-rotation.StaleAge))
			return rec
		}(), rotation.DisableStale{}},
	})
}

// Names are one connection's alone, and a target is found by its parent.
func TestReservations(t *testing.T) {
	own := idle()
	own.Name, own.Project = "billing", "p"
	target := through(idle())
	with := signsIn(rotation.Auth{})
	with.Name, with.VaultName = "ci", "v"
	for name, tt := range map[string]struct {
		rec  rotation.Record
		want map[reservation.Kind]int
	}{
		"one that rotates itself": {own, map[reservation.Kind]int{reservation.Name: 1, reservation.Vault: 2}},
		"one that is rotated":     {target, map[reservation.Kind]int{reservation.Vault: 2, reservation.Target: 1}},
		"one that only signs in":  {with, map[reservation.Kind]int{reservation.Name: 1, reservation.Vault: 3}},
		"a target with rotation off": {func() rotation.Record { rec := target; rec.Policy.Enabled = false; return rec }(),
			map[reservation.Kind]int{reservation.Vault: 2, reservation.Target: 1}},
	} {
		got := map[reservation.Kind]int{}
		for _, res := range tt.rec.Reservations() {
			got[res.Kind]++
			if !tt.rec.Holds(res) || tt.rec.Holds(reservation.Row{Kind: reservation.Name, Value: res.Value + "2", Owner: res.Owner}) {
				t.Errorf("%s: what it holds is not what it reserves", name)
			}
		}
		for kind, n := range tt.want {
			if got[kind] != n {
				t.Errorf("%s: %d of %s, want %d", name, got[kind], kind, n)
			}
			delete(got, kind)
		}
		if len(got) > 0 {
			t.Errorf("%s also reserves %v", name, got)
		}
	}
}

func TestScheduleNext(t *testing.T) {
	s := schedule.Schedule{Interval: 30, Hours: 3, Zone: "UTC"}
	for name, tt := range map[string]struct{ done, want time.Time }{
		"a whole interval after the last":         {now.Add(-5 * day), time.Date(2026, 4, 5, 3, 0, 0, 0, time.UTC)},
		"at the next time of day if that is past": {now.Add(-90 * day), time.Date(2026, 3, 11, 3, 0, 0, 0, time.UTC)},
		"never rotated is just now":               {time.Time{}, time.Date(2026, 4, 10, 3, 0, 0, 0, time.UTC)},
	} {
		if got := s.Next(tt.done, now); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	s.Hours = 13
	if got := s.Next(now.Add(-90*day), now); !got.Equal(now.Add(hour)) {
		t.Errorf("the time of day is still to come: %s", got)
	}
}

// What becomes of new credentials that the targets have to be told of.
func TestApplyWakeTargets(t *testing.T) {
	failed := errors.New("the table does not answer")
	for name, tt := range map[string]struct {
		generation int
		due        time.Time
		err        error
		want       time.Time
	}{
		"all were told":                      {3, now, nil, time.Time{}},
		"some were not":                      {3, now, failed, now.Add(minute)},
		"it was given others meanwhile":      {4, now.Add(-minute), nil, now.Add(-minute)},
		"others, and some could not be told": {4, now.Add(-minute), failed, now.Add(-minute)},
	} {
		t.Run(name, func(t *testing.T) {
			rec, events := rotation.DefaultRules().Apply(now, with(signsIn(rotation.Auth{Generation: tt.generation}), wakes(tt.due)),
				rotation.WakeTargets{Generation: 3}, rotation.Outcome{Err: tt.err})
			if !rec.WakeTargets.Equal(tt.want) || len(events) > 0 {
				t.Errorf("to be told at %s, want %s; events %v", rec.WakeTargets, tt.want, events)
			}
		})
	}
}

// New credentials let go on what waited for them, and nothing else.
func TestReconnectAndGoOn(t *testing.T) {
	waits := &rotation.Failure{Class: serviceerror.ActorRefused, Count: 9, RetryAt: now.Add(day)}
	parent := signsIn(rotation.Auth{Generation: 2, VaultVersion: "old"})
	parent.Error = waits
	is := rotation.Application{TenantID: "t", ClientID: "another"}
	parent = parent.Clone()
	parent.Reconnect(now, is, rotation.Auth{VaultVersion: "new"})
	if a := parent.Auth; a.Generation != 3 || a.VaultVersion != "new" || !parent.WakeTargets.Equal(now) || !parent.Actor.Same(is) ||
		!parent.Error.RetryAt.Equal(now) {
		t.Errorf("reconnected: %+v of %+v, error %+v", a, parent.Actor, parent.Error)
	}
	resists := func(class serviceerror.Class) change {
		return func(r *rotation.Record) {
			r.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", Problem: class, NextAt: now.Add(day)}}
		}
	}
	for name, tt := range map[string]struct {
		rec   rotation.Record
		actor rotation.Application
		want  bool
	}{
		"it waits":                     {with(through(idle()), failed), acting, true},
		"it does not wait":             {through(idle()), acting, false},
		"another application acts":     {through(idle()), is, true},
		"it has waited for long":       {with(through(idle()), pausedEnough), acting, false},
		"it waits, and another's acts": {with(through(idle()), failed), is, true},
		"a removal of it waits":        {with(through(idle()), resists(serviceerror.ActorRefused)), acting, true},
		"Entra asked that one to wait": {with(through(idle()), resists(serviceerror.Throttled)), acting, false},
	} {
		t.Run(name, func(t *testing.T) {
			rec := tt.rec.Clone()
			if got := rec.GoOn(now, tt.actor); got != tt.want || got && !rec.WakeAt.Equal(now) {
				t.Errorf("goes on: %t, wakes at %s", got, rec.WakeAt)
			}
			if !rec.Actor.Same(tt.actor) || rec.Error != nil && rec.Error.RetryAt.After(now) {
				t.Errorf("actor %+v, error %+v", rec.Actor, rec.Error)
			}
		})
	}
}

// Its targets may have been refused with the credential that it had: they are told when
// it has another one because that one was lost or the caller gave a new one, and not at
// each scheduled rotation.
func TestPublishingWakesTargets(t *testing.T) {
	for name, tt := range map[string]struct {
		rec  rotation.Record
		want time.Time
	}{
		"the caller gave it":          {rebinding(), now},
		"the one before was lost":     {with(publishing(), run(func(r *rotation.Run) { r.Trigger = rotation.OnLoss })), now},
		"by its schedule":             {with(publishing(), run(func(r *rotation.Run) { r.Trigger = rotation.OnSchedule })), time.Time{}},
		"another authenticates there": {with(through(publishing()), run(func(r *rotation.Run) { r.Trigger = rotation.OnLoss })), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			out := rotation.Outcome{Proven: true, PublishedVersion: "v2", Next: &rotation.Credential{Target: billing, KeyID: "new"}}
			rec, _ := rotation.DefaultRules().Apply(now, tt.rec, rotation.Publish{}, out)
			if rec.Phase != rotation.Idle || rec.Current.KeyID != "new" || !rec.WakeTargets.Equal(tt.want) {
				t.Errorf("phase %s, current %+v; targets are told at %s, want %s", rec.Phase, rec.Current, rec.WakeTargets, tt.want)
			}
		})
	}
}
