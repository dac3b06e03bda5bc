package tablestore_test

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// The row of what is kept of a connection is found by the row of its last day, and by nothing
// else. So a prune that ends between two transactions must leave that day until the row is gone.
func TestAPruneThatEndsEarlyLeavesNoFormerRowBehind(t *testing.T) {
	rotationtest.PlainOnly(t)
	const rows = 99 // of history: with that many, the hundredth operation is the day's
	var batches, allowed atomic.Int64
	allowed.Store(1 << 30)
	f := newFixture(t, table.Config{Hook: func(called string, _ *http.Request) *fault.Effect {
		if called == table.OpBatch && batches.Add(1) > allowed.Load() {
			return &fault.Effect{Status: http.StatusInternalServerError, Code: "InternalError"}
		}
		return nil
	}}, nil)
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1}, rotation.Event{At: epoch})
	for range rows - 2 {
		rec.Version++
		var err error
		if rec, err = f.Commit(t.Context(), rec, rotation.Event{At: epoch}); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(`{"removed":[{"digest":"x","at":"2030-01-01T00:00:00Z"}]}`), &rec); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(t.Context(), rec, rotation.Event{At: epoch}); err != nil {
		t.Fatal(err)
	}
	if n := len(f.service.Rows("hist-")); n != rows || len(f.service.Rows("former-")) != 1 {
		t.Fatalf("%d rows of history, %d of what is kept", n, len(f.service.Rows("former-")))
	}
	allowed.Store(batches.Load() + 1)
	before := epoch.AddDate(0, 0, 1)
	if _, _, err := f.Prune(t.Context(), before, 100); err == nil {
		t.Fatal("the second transaction did not fail")
	}
	if days := len(f.service.Rows("day-")); days != 1 {
		t.Errorf("%d days are left after the first transaction", days)
	}
	allowed.Store(1 << 30)
	if _, _, err := f.Prune(t.Context(), before, 100); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"hist-", "day-", "former-"} {
		if n := len(f.service.Rows(prefix)); n != 0 {
			t.Errorf("%d rows %s are left for ever", n, prefix)
		}
	}
}
