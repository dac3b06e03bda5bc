package rotation_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
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
	unnamed := rotation.ByHand{Target: billing, Since: now.Add(-hour), Hint: "abc"}
	unlisted := unnamed // it may be one of the service principal, which no such read shows
	unlisted.Unlisted = true
	shows := func(clientID string, keyIDs ...string) *rotation.ApplicationState {
		app := &rotation.ApplicationState{ObjectID: "o", ClientID: clientID}
		for _, id := range keyIDs {
			id, hint, _ := strings.Cut(id, ":")
			app.Passwords = append(app.Passwords, rotation.Password{KeyID: id, Hint: hint})
		}
		return app
	}
	fresh := named
	fresh.Since = now.Add(-10 * minute) // a replica may not have it yet
	for name, tt := range map[string]struct {
		left     rotation.ByHand
		app      *rotation.ApplicationState
		stay     bool
		unlisted bool // of one that stays
	}{
		"it shows":                                   {named, shows("billing", "current", "old"), true, false},
		"it shows no more":                           {named, shows("billing", "current", "foreign"), false, false},
		"it may not show yet":                        {fresh, shows("billing", "current"), true, false},
		"another application was read":               {named, shows("former", "current"), true, false},
		"nothing was read":                           {named, nil, true, false},
		"without a key id, among known ones":         {unnamed, shows("billing", "current:abc"), false, false},
		"without a key id, and one is unknown":       {unnamed, shows("billing", "current", "foreign"), true, false},
		"without a key id, and one begins like it":   {unnamed, shows("billing", "current", "foreign:abc"), true, false},
		"without a key id, and none begins like it":  {unnamed, shows("billing", "current", "foreign:xyz"), false, false},
		"without a key id, and it never showed":      {unlisted, shows("billing", "current"), true, true},
		"without a key id, and shows the first time": {unlisted, shows("billing", "foreign:abc"), true, false},
	} {
		rec := idle()
		rec.ByHand = []rotation.ByHand{tt.left}
		rec.Removals = []rotation.Removal{{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "gone", RemovedAt: now.Add(-hour)}}
		got, events := rotation.DefaultRules().Apply(now, rec, rotation.ConfirmRemoved{ID: "gone"}, rotation.Outcome{Application: tt.app,
			Err: &serviceerror.Error{Class: serviceerror.Transient}})
		if stays := len(got.ByHand) == 1; stays != tt.stay || stays && got.ByHand[0].Unlisted != tt.unlisted {
			t.Errorf("%s: %+v", name, got.ByHand)
		}
		if len(events) == 0 != tt.stay || !tt.stay && events[0].Kind != history.RemovedByHand {
			t.Errorf("%s: events %+v", name, events)
		}
		if rec.ByHand[0] != tt.left {
			t.Errorf("%s: the record before is changed: %+v", name, rec.ByHand)
		}
	}
}

// What was given without its key id is known to be of the application as soon as a read while it is current shows one
// that it could be: a person may remove it before the next read. One that Entra refuses is of no use any more, wherever it is.
func TestWhatIsLeftWithoutItsKeyID(t *testing.T) {
	lost := func(r *rotation.Record) { r.Current.Refusals, r.Current.RefusedSince = 99, now.Add(-day) }
	for name, tt := range map[string]struct {
		change func(*rotation.Record)
		hint   string // of what the application shows beside
		listed bool
	}{
		"it shows":                       {func(*rotation.Record) {}, "abc", true},
		"it shows no hint":               {func(*rotation.Record) {}, "", true},
		"another one shows":              {func(*rotation.Record) {}, "xyz", false},
		"another one shows, and is lost": {lost, "xyz", true},
	} {
		rec := with(idle(), func(r *rotation.Record) {
			r.Current.Origin, r.Current.KeyID, r.Current.Hint = rotation.OriginGiven, "", "abc"
		}, tt.change, asked(rotation.AskEmergency))
		shown := &rotation.ApplicationState{ClientID: billing.ClientID, Passwords: []rotation.Password{{KeyID: "one", Hint: tt.hint}}}
		rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.IdentifyCurrent{}, rotation.Outcome{Application: shown})
		rec.Phase, rec.Request = rotation.Publishing, nil
		rec.Run = &rotation.Run{ID: "run", Trigger: rotation.OnEmergency, Target: billing, KeyID: "new", Origin: rotation.OriginIssued}
		rec, _ = rotation.DefaultRules().Apply(now, rec, rotation.Publish{}, rotation.Outcome{Proven: true, PublishedVersion: "v",
			Next: &rotation.Credential{Target: billing, KeyID: "new", Origin: rotation.OriginIssued}})
		if len(rec.ByHand) != 1 || rec.ByHand[0].Hint != "abc" || rec.ByHand[0].Unlisted == tt.listed {
			t.Errorf("%s: %+v", name, rec.ByHand)
		}
	}
}
