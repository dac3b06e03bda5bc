package tablestore_test

import (
	"fmt"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/emulator/table"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// That a connection is created or deleted is audited at no request, and a page of the audit costs 16
// queries, whatever there is besides.
func TestCostOfTheAudit(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	var rows []table.Row
	for i := range 1000 {
		rows = append(rows, table.Row{Table: "rekey", PartitionKey: fmt.Sprintf("s%02x", i%16),
			RowKey: fmt.Sprintf("audit-%015d-x", 600_000_000_000_000+i), Properties: map[string]any{"event": `{"kind":"console.refused"}`}})
	}
	if err := f.service.Load(rows); err != nil {
		t.Fatal(err)
	}
	f.service.ResetCalls()
	mustCreate(t, f, rotation.Record{ID: "one", Version: 1}, rotation.Event{At: epoch, Kind: history.Created, By: "ann"})
	if n := f.service.Calls(table.OpBatch); n != 1 || f.service.Calls(table.OpGet)+f.service.Calls(table.OpQuery) != 0 {
		t.Errorf("a creation took %d transactions, and reads", n)
	}
	events, next, err := f.Audit(t.Context(), audit.Query{Limit: 20})
	if err != nil || len(events) != 20 || next == "" || events[0].By != "ann" {
		t.Errorf("%d events, next %q, %v", len(events), next, err)
	}
	if n := f.service.Calls(table.OpQuery); n != 16 || f.service.Calls(table.OpGet) != 0 {
		t.Errorf("%d queries, want 16", n)
	}
	for more := true; more; {
		if _, more, err = f.Prune(t.Context(), epoch.Add(time.Millisecond), 300); err != nil {
			t.Fatal(err)
		}
	}
	if left := f.service.Rows("audit-"); len(left) != 0 {
		t.Errorf("%d lines are left for ever", len(left))
	}
}
