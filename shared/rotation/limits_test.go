package rotation_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// Who is refused for want of room is told when the first old credential goes, in whatever
// order they wait.
func TestCrowdedSaysUntilWhen(t *testing.T) {
	rec := idle()
	for i := range rotation.MaxReplaced {
		if said := rec.Crowded(); said != "" {
			t.Fatalf("with %d: %s", i, said)
		}
		rec.Removals = append(rec.Removals, rotation.Removal{Kind: rotation.RemoveReplaced, Published: true,
			After: now.Add(time.Duration((i+5)%rotation.MaxReplaced) * hour)})
	}
	if said := rec.Crowded(); !strings.Contains(said, "32 older") || !strings.Contains(said, "the first after "+now.Format(time.RFC3339)) {
		t.Error(said)
	}
}

// What is left to a person is on the list until a read shows that the person has removed it: each row says what
// the list of one has after a read of its application.
func TestRemovedByHand(t *testing.T) {
	named := rotation.ByHand{Target: billing, KeyID: "Old", Since: now.Add(-hour)}
	unnamed := rotation.ByHand{Target: billing, Since: now.Add(-hour)}
	shows := func(clientID string, keyIDs ...string) *rotation.ApplicationState {
		app := &rotation.ApplicationState{ObjectID: "o", ClientID: clientID}
		for _, id := range keyIDs {
			app.Passwords = append(app.Passwords, rotation.Password{KeyID: id})
		}
		return app
	}
	fresh := named
	fresh.Since = now.Add(-10 * minute) // a replica may not have it yet
	for name, tt := range map[string]struct {
		left rotation.ByHand
		app  *rotation.ApplicationState
		stay bool
	}{
		"it shows":                             {named, shows("billing", "current", "old"), true},
		"it shows no more":                     {named, shows("billing", "current", "foreign"), false},
		"it may not show yet":                  {fresh, shows("billing", "current"), true},
		"another application was read":         {named, shows("former", "current"), true},
		"nothing was read":                     {named, nil, true},
		"without a key id, among known ones":   {unnamed, shows("billing", "current"), false},
		"without a key id, and one is unknown": {unnamed, shows("billing", "current", "foreign"), true},
	} {
		rec := idle()
		rec.ByHand = []rotation.ByHand{tt.left}
		rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "gone", RemovedAt: now.Add(-hour)}}
		got, events := rotation.DefaultRules().Apply(now, rec, rotation.ConfirmRemoved{ID: "gone"}, rotation.Outcome{Application: tt.app,
			Err: &serviceerror.Error{Class: serviceerror.Transient}})
		if stays := len(got.ByHand) == 1; stays != tt.stay || len(events) == 0 != tt.stay {
			t.Errorf("%s: stays %t, events %+v", name, stays, events)
		}
	}
}
