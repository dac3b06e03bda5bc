package rebuild_test

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/connection"
	"rekey/shared/rebuild"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// rotating is a connection that was rotated on creation.
func (w *world) rotating() *subject {
	s := w.subject()
	s.make(s.input())
	w.sweep(hour)
	return s
}

// Looking writes nothing, not even a refresh token that it got by the way.
func TestScanWritesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		s, p := w.rotating(), w.subject()
		p.make(p.person())
		w.sweep(2 * day)
		w.LoseTable(nil)
		if n := w.writes(func() {
			plan := w.scan()
			want(t, plan, s.id, rebuild.Missing)
			want(t, plan, p.id, rebuild.Missing)
			if plan.NeedsPerson() {
				t.Error("a person is needed")
			}
		}); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

// What the tags say is on the record again, and what is in its grace period stays for
// all of it.
func TestRecord(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		if _, err := w.service().Rotate(w.t.Context(), s.id, connection.RotateOptions{By: "tester"}); err != nil {
			t.Fatal(err)
		}
		w.sweep(hour)
		was := s.record()
		w.LoseTable(nil)
		now := time.Now()
		w.rebuild("")
		got := s.record()
		for what, pair := range map[string][2]any{
			"name": {got.Name, was.Name}, "project": {got.Project, was.Project}, "method": {got.Method, was.Method},
			"vault name": {got.VaultName, was.VaultName},
			"target":     {got.Target, was.Target}, "actor": {got.Actor, was.Actor}, "policy": {got.Policy.Schedule, was.Policy.Schedule},
			"grace": {got.Policy.Grace, was.Policy.Grace},
			"slot":  {got.NextSlot, was.NextSlot}, "key": {got.Current.KeyID, was.Current.KeyID},
			"version": {got.Current.VaultVersion, was.Current.VaultVersion},
			"marker":  {got.Current.Marker, was.Current.Marker}, "hint": {got.Current.Hint, was.Current.Hint},
			"end": {got.Current.ExpiresAt, was.Current.ExpiresAt}, "origin": {got.Current.Origin, was.Current.Origin},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s %v, want %v", what, pair[0], pair[1])
			}
		}
		if len(got.Replaced()) != 1 || got.Replaced()[0].KeyID != was.Replaced()[0].KeyID || got.Replaced()[0].After.Before(now.Add(48*hour)) {
			t.Errorf("retiring %+v, want %+v for 48 hours more", got.Replaced(), was.Replaced())
		}
		events, _, err := w.StorePort().History(w.t.Context(), s.id, "", 10)
		if err != nil || len(events) != 1 || events[0].Kind != rebuild.EventRebuilt || events[0].By != rebuild.By {
			t.Errorf("history: %+v, %v", events, err)
		}
		w.sweep(47 * hour)
		if !w.IsLive(was.Replaced()[0].KeyID) {
			t.Error("the old client secret was removed within its grace period")
		}
		w.sweep(3 * hour)
		if w.IsLive(was.Replaced()[0].KeyID) {
			t.Error("the old client secret is still alive")
		}
		w.settled(s)
	})
}

// A record that is there is not touched; run twice, the second run finds all of it. The
// reservations are those from before.
func TestPartAndTwice(t *testing.T) {
	inBubble(t, func(w *world) {
		kept, lost := w.rotating(), w.rotating()
		reserved := w.Reserved()
		was := kept.record()
		w.LoseTable(func(id string) bool { return id == kept.id })
		plan := w.rebuild("")
		want(t, plan, kept.id, rebuild.Present)
		want(t, plan, lost.id, rebuild.Rebuilt)
		if got := kept.record(); !reflect.DeepEqual(got, was) {
			t.Errorf("it was changed: %+v", got)
		}
		if got := w.Reserved(); !maps.Equal(got, reserved) {
			t.Errorf("reservations %v, want %v", got, reserved)
		}
		once := lost.record()
		plan = w.rebuild("")
		want(t, plan, lost.id, rebuild.Present)
		if got := lost.record(); !reflect.DeepEqual(got, once) {
			t.Errorf("it was changed: %+v", got)
		}
		for _, res := range was.Reservations() {
			if err := w.StorePort().Release(w.t.Context(), res); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range was.Claimed {
			if err := w.StorePort().Unclaim(w.t.Context(), was.ClaimRow(c)); err != nil {
				t.Fatal(err)
			}
		}
		w.rebuild("")
		if got := w.Reserved(); !maps.Equal(got, reserved) {
			t.Errorf("reservations of a record that was there: %v, want %v", got, reserved)
		}
		w.settled(kept, lost)
	})
}

// Two operators at once, over a timer that never stops.
func TestTwoAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		s, other := w.rotating(), w.rotating()
		w.LoseTable(nil)
		done := make(chan *rebuild.Plan)
		for range 2 {
			go func() { plan, _ := w.rebuilder().Rebuild(w.t.Context(), ""); done <- plan }()
		}
		for range 2 {
			if plan := <-done; plan.Count(rebuild.Rebuilt)+plan.Count(rebuild.Present) != 2 {
				t.Errorf("outcomes: %+v", plan.Connections)
			}
		}
		w.settled(s, other)
	})
}

// One connection by its id; a target after the one that authenticates for it.
func TestOnly(t *testing.T) {
	inBubble(t, func(w *world) {
		parent, s, other := w.subject(), w.subject(), w.rotating()
		in := parent.certificate()
		parent.make(in)
		s.target(parent.id, in.ClientID)
		w.sweep(hour)
		w.LoseTable(nil)
		want(t, w.rebuild(s.id), s.id, rebuild.Held)
		if plan := w.rebuild(parent.id); len(plan.Connections) != 1 {
			t.Errorf("%d connections", len(plan.Connections))
		}
		want(t, w.rebuild(s.id), s.id, rebuild.Rebuilt)
		if _, ok := w.Record(other.id); ok {
			t.Error("another one was rebuilt")
		}
		w.settled(parent, s)
	})
}

// What another deployment has in the same vault is none of ours.
func TestOtherDeployment(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		w.LoseTable(nil)
		r := w.rebuilder()
		r.Deployment = "other"
		n := 0
		n = w.writes(func() {
			plan, err := r.Rebuild(w.t.Context(), "")
			if err != nil || len(plan.Connections) != 0 {
				t.Errorf("plan %+v, %v", plan, err)
			}
		})
		if n != 0 {
			t.Errorf("%d writes", n)
		}
		want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		w.settled(s)
	})
}

// A connection that was deleted stays so, while its published secret stays for its
// consumers.
func TestDeletedStays(t *testing.T) {
	inBubble(t, func(w *world) {
		rotated, given, acting := w.rotating(), w.subject(), w.subject()
		in := given.input()
		in.Rotate = false
		given.make(in)
		acting.make(rotatingFor(acting))
		w.sweep(hour)
		for _, s := range []*subject{rotated, given, acting} {
			s.delete()
		}
		w.sweep(3 * day)
		if n := len(w.Records()); n != 0 {
			t.Fatalf("%d records are left", n)
		}
		plan := w.rebuild("") // the history tells
		for _, s := range []*subject{rotated, given, acting} {
			want(t, plan, s.id, rebuild.Deleted)
		}
		w.LoseTable(nil) // the vault tells, where it can
		plan = w.rebuild("")
		want(t, plan, rotated.id, rebuild.Deleted)
		want(t, plan, acting.id, rebuild.Deleted)
		want(t, plan, given.id, rebuild.Rebuilt)
		if plan.NeedsPerson() {
			t.Errorf("a person is needed: %+v", plan)
		}

		w.Purge("rekey-" + rotated.id + "-staged") // its retention has ended
		want(t, w.rebuild(""), rotated.id, rebuild.Deleted)
		want(t, w.rebuild(rotated.id), rotated.id, rebuild.Rebuilt) // who names it knows better
		w.settled(rotated)
	})
}

func rotatingFor(s *subject) connection.Input {
	in := s.certificate()
	in.Target, in.Rotate, in.Schedule = connection.Target{ClientID: s.app.ClientID}, true, plan
	return in
}

// Tags without a connection, and applications that Rekey stands on.
func TestNotToBeRebuilt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.Seed(rotation.VaultSecret{Name: "odd", Value: secret.New("x"),
			Tags: map[string]string{vaulttag.Deployment: rotationtest.Deployment, vaulttag.Connection: "../odd"}})
		s := w.rotating()
		w.LoseTable(nil)
		r := w.rebuilder()
		r.Refused = map[string]string{s.app.ClientID: "Rekey's own identity"}
		plan, err := r.Rebuild(w.t.Context(), "")
		if err != nil || len(plan.ByPerson) != 1 || !strings.Contains(plan.ByPerson[0], "odd") {
			t.Errorf("plan %+v, %v", plan, err)
		}
		want(t, plan, s.id, rebuild.Held)
	})
}

// A name that another caller has taken meanwhile stays theirs.
func TestNameIsTaken(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		name := s.record().Name
		w.LoseTable(nil)
		again := w.subject()
		in := again.input()
		in.Name = name
		again.make(in)
		reserved := w.Reserved()
		want(t, w.rebuild(""), s.id, rebuild.Held)
		if got := w.Reserved(); !maps.Equal(got, reserved) {
			t.Errorf("reservations %v, want %v", got, reserved)
		}
		w.settled(again)
	})
}

// A reservation, or a claim, whose owner has died long ago is void; one of a connection
// that is there is not.
func TestReservationIsHeld(t *testing.T) {
	inBubble(t, func(w *world) {
		s, next := w.rotating(), w.rotating()
		name := rotation.NameReservation("", s.record().Name, "0b8ab8a7-0000-4000-8000-000000000009")
		app := rotation.ClaimRow{
			Claim: rotation.Claim{ID: "claim", Kind: rotation.Shared, App: next.app.Key()}, Owner: "0b8ab8a7-0000-4000-8000-000000000009",
		}
		w.LoseTable(nil)
		time.Sleep(20 * time.Minute)
		app.At = time.Now()
		for _, err := range []error{w.StorePort().Reserve(w.t.Context(), name, nil), w.StorePort().Claim(w.t.Context(), app)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		r := w.rebuilder()
		plan, err := r.Rebuild(w.t.Context(), "") // which waits for less than ten minutes
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range []*subject{s, next} {
			want(t, plan, of.id, rebuild.Held)
		}
		time.Sleep(20 * time.Minute)
		plan = w.rebuild("")
		for _, of := range []*subject{s, next} {
			want(t, plan, of.id, rebuild.Rebuilt)
		}
		w.settled(s, next)
	})
}

// A service that does not answer makes a connection unclear, and another run clears it.
func TestUnclear(t *testing.T) {
	inBubble(t, func(w *world) {
		s, other := w.rotating(), w.rotating()
		name := s.record().VaultName
		w.LoseTable(nil)
		r := w.rebuilder()
		r.Vault = flaky{r.Vault, name, time.Now().Add(hour)}
		plan, err := r.Rebuild(w.t.Context(), "")
		if err != nil || !plan.NeedsPerson() {
			t.Errorf("needs a person %t, %v", plan.NeedsPerson(), err)
		}
		want(t, plan, s.id, rebuild.Unclear)
		want(t, plan, other.id, rebuild.Rebuilt)
		want(t, w.rebuild(""), s.id, rebuild.Rebuilt)
		w.settled(s, other)

		w.Vault.Refuse = true
		if _, err := w.rebuilder().Scan(w.t.Context(), ""); serviceerror.ClassOf(err) != serviceerror.VaultRefused {
			t.Errorf("a vault that refuses: %v", err)
		}
		w.Vault.Refuse = false
	})
}

// What was unclear when the wait began is not written after it: whether it was under
// way is unknown.
func TestUnclearAtFirst(t *testing.T) {
	inBubble(t, func(w *world) {
		parent, s, other := w.subject(), w.subject(), w.rotating()
		in := parent.certificate()
		parent.make(in)
		s.target(parent.id, in.ClientID)
		w.sweep(hour)
		rec := parent.record()
		w.LoseTable(nil)
		r := w.rebuilder()
		r.Vault = flaky{r.Vault, rec.AuthName(), time.Now().Add(time.Minute)}
		plan, err := r.Rebuild(w.t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		want(t, plan, other.id, rebuild.Rebuilt)
		want(t, plan, parent.id, rebuild.Unclear)
		want(t, plan, s.id, rebuild.Unclear)
		if n := len(w.Records()); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
		plan = w.rebuild("")
		want(t, plan, s.id, rebuild.Rebuilt)
		w.settled(parent, s, other)
	})
}

// Who stops it gets an error, and finds nothing written.
func TestStopped(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.rotating()
		w.LoseTable(nil)
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		if _, err := w.rebuilder().Rebuild(ctx, ""); err == nil {
			t.Error("no error")
		}
		if _, ok := w.Record(s.id); ok {
			t.Error("it was written before its time")
		}
	})
}

// flaky is a vault that does not answer for one secret, for a while.
type flaky struct {
	rebuild.Vault
	name  string
	until time.Time
}

func (f flaky) List(ctx context.Context, name string) ([]rotation.VaultSecret, error) {
	if name == f.name && time.Now().Before(f.until) {
		return nil, &serviceerror.Error{Op: "listing versions", Class: serviceerror.Transient, Status: 503}
	}
	return f.Vault.List(ctx, name)
}

// Every write of rebuilding fails once, is done and seems to fail, or is the last: run
// again, all of it is there.
func TestRebuildDies(t *testing.T) {
	for _, f := range rotationtest.Faults {
		for n := 1; n <= 12; n++ {
			t.Run(string(f), func(t *testing.T) {
				inBubble(t, func(w *world) {
					parent, s := w.subject(), w.subject()
					in := parent.certificate()
					parent.make(in)
					s.target(parent.id, in.ClientID)
					w.sweep(hour)
					w.LoseTable(nil)
					w.Break(n, f)
					w.rebuilder().Rebuild(w.t.Context(), "")
					w.Break(0, rotationtest.NoFault)
					w.Restart()
					plan := w.rebuild("")
					for _, of := range []*subject{parent, s} {
						if _, ok := w.Record(of.id); !ok {
							t.Errorf("%s is not there: %+v", of.id, plan)
						}
					}
					w.settled(parent, s)
				})
			})
		}
	}
}
