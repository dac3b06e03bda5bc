package inventory_test

import (
	"encoding/json"
	"testing"
	"time"

	"rekey/shared/inventory"
)

func TestIDs(t *testing.T) {
	const id = "0f3a5b7c-0000-4000-8000-00000000000a"
	for text, want := range map[string]bool{
		id: true, "": false, "0F3a5b7c-0000-4000-8000-00000000000a": false, id + "-": false, id[1:]: false,
	} {
		if inventory.ValidID(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
	for text, want := range map[string]string{
		inventory.ScanID(id, "x-Y_1"): id, inventory.ScanID(id, "-"): id, id: "", id + "-": "", id + "-a/b": "", "x" + id[1:] + "-a": "", "": "",
	} {
		if got, ok := inventory.TenantOfScan(text); ok != (want != "") || ok && got != want {
			t.Errorf("the tenant of the scan %q is %q, %t", text, got, ok)
		}
	}
	if got, ok := inventory.ParseDueID(inventory.DueID(id)); !ok || got != id {
		t.Errorf("of a due row: %q, %t", got, ok)
	}
}

// Whatever times a directory has, an application can be written as JSON, and the caller's own
// is left as it is.
func TestStorable(t *testing.T) {
	late, early := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)
	usual := time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	app := inventory.Application{CreatedAt: late, FirstSeenAt: early, ChangedAt: usual, Credentials: []inventory.Credential{
		{KeyID: "a", EndsAt: late, StartsAt: early, UsedAt: usual}, {KeyID: "b"}}}
	data, err := json.Marshal(app.Storable())
	if err != nil {
		t.Fatal(err)
	}
	var got inventory.Application
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	c := got.Credentials
	if c[0].EndsAt.Year() != 9999 || c[0].StartsAt.IsZero() || !c[0].UsedAt.Equal(usual) || !c[1].EndsAt.IsZero() ||
		got.CreatedAt.Year() != 9999 || got.FirstSeenAt.IsZero() || !got.ChangedAt.Equal(usual) {
		t.Errorf("stored as %s", data)
	}
	if app.Credentials[0].EndsAt != late || app.CreatedAt != late {
		t.Error("the caller's application was changed")
	}
}
