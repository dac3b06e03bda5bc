package index_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/index"
	"rekey/shared/rotation"
)

// A record is found by every name it has, and by the key id of every client secret that it has to do with: one that stands
// in a log leads to it, published or not.
func TestText(t *testing.T) {
	app := rotation.Application{TenantID: "tenant", ClientID: "Client"}
	rec := rotation.Record{ID: "Id", Via: "via", Name: "Straße", VaultName: "vault", TargetName: "Billing", Target: app,
		Current:  &rotation.Credential{Target: app, KeyID: "CURRENT"},
		Run:      &rotation.Run{Target: app, KeyID: "issued"},
		Removals: []rotation.Removal{{Target: app, KeyID: "replaced"}, {Target: app, Marker: "orphan"}},
		ByHand:   []rotation.ByHand{{Target: app, KeyID: "left"}},
		Retire:   []string{"named"},
	}
	want := []string{"billing", "client", "current", "id", "issued", "left", "named", "replaced", "straße", "vault", "via"}
	if got := strings.Split(index.Of(&rec).Text, "\n"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// One that was removed is found as long as the record remembers it.
	rec = rotation.Record{ID: "id", Target: app, Phase: rotation.Idle, Removals: []rotation.Removal{{Target: app, KeyID: "gone"}}}
	rules := rotation.DefaultRules()
	rec, _ = rules.Apply(time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), rec, rotation.Remove{ID: "gone"}, rotation.Outcome{GateOpen: true})
	rec.Removals = nil
	if got := index.Of(&rec).Text; got != "client\ngone\nid" {
		t.Errorf("after its removal: %q", got)
	}
}

// The longest lists that a record has fit in.
func TestTextOfFullLists(t *testing.T) {
	rec := rotation.Record{ID: "zz-last"}
	for i := range 48 + rotation.MaxByHand {
		rec.ByHand = append(rec.ByHand, rotation.ByHand{Target: rotation.Application{ClientID: "c"}, KeyID: fmt.Sprintf("%036d", i)})
	}
	for i := range 48 {
		rec.Removals = append(rec.Removals, rotation.Removal{Target: rotation.Application{ClientID: "c"}, KeyID: fmt.Sprintf("%036d", 1000+i)})
	}
	if text := index.Of(&rec).Text; !strings.HasSuffix(text, "\nzz-last") {
		t.Errorf("%d bytes end with %q", len(text), text[len(text)-20:])
	}
}
