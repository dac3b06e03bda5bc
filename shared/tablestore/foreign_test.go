package tablestore_test

import (
	"errors"
	"net/http"
	"testing"

	"rekey/shared/reservation"
	"rekey/shared/serviceerror"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
)

// The table names a code with every "not found". A 404 without one is of something in
// front of it: the row may well be there, and no caller may conclude that it is not.
func TestNotFoundOfAnotherServer(t *testing.T) {
	f, on := faulty(t, table.OpGet, &fault.Effect{Status: http.StatusNotFound, Code: "no such page"})
	mustCreate(t, f, rotation.Record{ID: "one"})
	on.Store(true)
	for what, read := range map[string]func() error{
		"a record":      func() error { _, err := f.Load(t.Context(), "one"); return err },
		"a reservation": func() error { _, err := f.Find(t.Context(), reservation.Name, "billing"); return err },
	} {
		err := read()
		e, ok := errors.AsType[*serviceerror.Error](err)
		if errors.Is(err, serviceerror.ErrNotFound) || !ok || e.Class != serviceerror.Transient {
			t.Errorf("%s: got %v, want a transient error", what, err)
		}
	}
	on.Store(false)
	if _, err := f.Find(t.Context(), reservation.Name, "billing"); !errors.Is(err, serviceerror.ErrNotFound) {
		t.Errorf("the table's own answer: %v", err)
	}
}
