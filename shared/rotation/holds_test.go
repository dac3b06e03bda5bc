package rotation_test

import (
	"testing"

	"rekey/shared/rotation"
)

// A record holds its own reservations, and those of every application that something under
// way is about.
func TestHolds(t *testing.T) {
	aside := rotation.Application{TenantID: "t", ClientID: "aside"}
	application, actor := rotation.ApplicationReservation(aside, "c"), rotation.ActorNote(aside, "c")
	about := func(app rotation.Application, kind rotation.RequestKind) rotation.Record {
		return rotation.Record{ID: "c", VaultName: "v", Actor: app, Target: app, Request: &rotation.Request{Kind: kind}}
	}
	idle := func(change func(rec *rotation.Record)) rotation.Record {
		rec := idle()
		change(&rec)
		return rec
	}
	for name, c := range map[string]struct {
		rec                rotation.Record
		application, actor bool
	}{
		"nothing under way":           {idle(func(*rotation.Record) {}), false, false},
		"its own, without a schedule": {about(aside, rotation.AskAbandon), false, true},
		"a rotation by hand":          {about(aside, rotation.AskRotate), true, true},
		"an emergency":                {about(aside, rotation.AskEmergency), true, true},
		"going over": {idle(func(rec *rotation.Record) {
			rec.Request = &rotation.Request{Kind: rotation.AskRebind, Target: aside}
		}), true, true},
		"a run": {idle(func(rec *rotation.Record) { rec.Run = &rotation.Run{Target: aside} }), true, true},
		"retiring": {idle(func(rec *rotation.Record) {
			rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, Target: aside}}
		}), true, true},
		"abandoned": {idle(func(rec *rotation.Record) {
			rec.Removals = []rotation.Removal{{Kind: rotation.RemoveOrphan, Target: aside}}
		}), true, true},
		"delegated": {idle(func(rec *rotation.Record) {
			rec.Via, rec.Removals = "parent", []rotation.Removal{{Kind: rotation.RemoveReplaced, Published: true, Target: aside}}
		}), true, false},
	} {
		if got := c.rec.Holds(application); got != c.application {
			t.Errorf("%s: holds the application: %t", name, got)
		}
		if got := c.rec.Holds(actor); got != c.actor {
			t.Errorf("%s: holds the note: %t", name, got)
		}
		if c.rec.Holds(rotation.Reservation{Kind: rotation.ReserveName, Value: application.Value, Owner: "c"}) {
			t.Errorf("%s: holds a name that is called like the application", name)
		}
	}
}
