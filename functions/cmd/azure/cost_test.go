package main_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
)

// TestCostOfATimerPass counts the requests of a timer pass with 10 due among few and
// among 100,000 connections (promise P6): 16 range queries, others once a day, and a constant for each
// that is due.
func TestCostOfATimerPass(t *testing.T) {
	t.Parallel()
	few, many := passCost(t, 0), passCost(t, 100_000)
	for _, name := range slices.Sorted(maps.Keys(many)) {
		t.Logf("%-26s %4d", name, many[name])
	}
	const looks = 16 + 48 // at what is due, and once a day at which history, counted runs and lines of the audit are too old
	if many[table.OpQuery] != looks {
		t.Errorf("%d range queries, want %d", many[table.OpQuery], looks)
	}
	for name, n := range many {
		// How often a proof has to be repeated depends on the clock.
		if few[name] != n && !strings.HasPrefix(name, "entra.") {
			t.Errorf("%s: %d requests among 100,000 connections, %d among ten", name, n, few[name])
		}
	}
}

// passCost runs one timer pass over ten due connections among others, and returns
// the requests by operation.
func passCost(t *testing.T, others int) map[string]int {
	t.Helper()
	w := newWorldOn(t, &watch{}, "")
	c := newCrowd(t, w, 10)
	rows := make([]table.Row, 0, 2*others+1)
	rows = append(rows, // no older Rekey has written this table
		table.Row{Table: "rekey", PartitionKey: "s00", RowKey: "index-4", Properties: map[string]any{"cursor": "done"}})
	for i := range others {
		id, shard := fmt.Sprintf("other-%08d", i), fmt.Sprintf("s%02x", i%16)
		wake := time.Now().UTC().Add(time.Duration(i+1) * time.Hour)
		rows = append(rows,
			table.Row{Table: "rekey", PartitionKey: shard, RowKey: "conn-" + id, Properties: map[string]any{"schema": 1}},
			table.Row{Table: "rekey", PartitionKey: shard, RowKey: "due-" + wake.Format("20060102T150405Z") + "-" + id})
	}
	if err := w.Table.Load(rows); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	calls := map[string]int{}
	w.Break(func(op string, _ *http.Request) *fault.Effect {
		mu.Lock()
		defer mu.Unlock()
		calls[op]++
		return nil
	})
	swept, err := c.app.Rotator.Sweep(t.Context())
	if err != nil || swept.Due != 10 || swept.Passes != 10 {
		t.Fatalf("%+v %v", swept, err)
	}
	if left := c.pending(t); left != 0 {
		t.Fatalf("%d of the ten are not done", left)
	}
	mu.Lock()
	defer mu.Unlock()
	delete(calls, table.OpGet) // a wait that is longer than planned reads again
	return calls
}
