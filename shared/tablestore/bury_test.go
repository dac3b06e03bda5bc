package tablestore_test

import (
	"testing"
	"time"

	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// What tests do with the records of processes that they killed works on a real table, whose
// lists tell no ETags to write with; and what is due then is found.
func TestBuryOnATable(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	rec := rotation.Record{ID: "dead", Version: 1, WakeAt: epoch.Add(time.Hour),
		Lease: rotation.Lease{Token: "t", Until: epoch.Add(time.Hour)}}
	if _, err := f.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := rotationtest.Bury(t.Context(), f, epoch, func(rotation.Lease) bool { return true }); err != nil {
		t.Fatal(err)
	}
	got, err := f.Load(t.Context(), "dead")
	if err != nil || !got.Lease.Until.Before(epoch) {
		t.Errorf("lease until %s, %v", got.Lease.Until, err)
	}
	if due, err := f.Due(t.Context(), epoch, 10); err != nil || len(due) != 1 || due[0].ID != "dead" {
		t.Errorf("due %+v, %v", due, err)
	}
}
