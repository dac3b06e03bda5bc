package rotation_test

import (
	"reflect"
	"testing"

	"rekey/shared/rotation"
)

// Whatever a record says of a client secret, it knows it.
func TestKnown(t *testing.T) {
	a := rotation.Application{TenantID: "T", ClientID: "A", ObjectID: "o"}
	b := rotation.Application{TenantID: "t", ClientID: "b"}
	rec := rotation.Record{
		Target:  a,
		Current: &rotation.Credential{Target: a, KeyID: "CURRENT", Marker: "rekey/d/c/1"},
		Run:     &rotation.Run{Target: a, Marker: "rekey/d/c/2"},
		Request: &rotation.Request{Next: &rotation.Credential{Target: b, KeyID: "given"}},
		Removals: []rotation.Removal{
			{Target: a, KeyID: "replaced"}, {Target: a, KeyID: "orphan", Marker: "rekey/d/c/3"}, {Target: a, Marker: "rekey/d/c/0"},
		},
		Retire: []string{"Retired"},
		ByHand: []rotation.ByHand{{Target: b, KeyID: "by-hand"}, {Target: a, KeyID: "current"}},
	}
	want := map[string]rotation.Known{
		"t a": {[]string{"current", "orphan", "replaced", "retired"}, []string{"rekey/d/c/0", "rekey/d/c/2"}},
		"t b": {[]string{"by-hand", "given"}, nil},
	}
	if got := rec.Known(); !reflect.DeepEqual(got, want) {
		t.Errorf("knows %v, want %v", got, want)
	}
	rec.Run.KeyID = "staged"
	if got := rec.Known()["t a"]; len(got.KeyIDs) != 5 || len(got.Markers) != 1 {
		t.Errorf("with the key id of what it issues it knows %v", got)
	}
	if got := new(rotation.Record).Known(); len(got) != 0 {
		t.Errorf("an empty record knows %v", got)
	}
}
