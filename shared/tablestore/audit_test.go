package tablestore_test

import (
	"fmt"
	"math"
	"slices"
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

// A line that this version can't read, of the audit or of a history, hides no other: it stands there with its
// time. A history is pruned past it.
func TestUnreadableLines(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	rec := mustCreate(t, f, rotation.Record{ID: "one"}, rotation.Event{At: epoch, Kind: history.Created, By: "ann"})
	lines, past := f.service.Rows("audit-"), f.service.Rows("hist-")
	at := epoch.Add(time.Minute)
	for i, spoilt := range []map[string]any{{"event": "{"}, {"event": int32(7)}, {"event": "{}"}, {}} {
		line := lines[0]
		line.RowKey = fmt.Sprintf("audit-%015d-x%d", 500_000_000_000_000-at.UnixMilli(), i)
		line.Properties = spoilt
		lines = append(lines, line)
	}
	for i, spoilt := range []map[string]any{
		{"at": at.Format(time.RFC3339), "events": "["}, {"at": at.Format(time.RFC3339), "events": int32(7)}, {"at": "today"},
	} {
		row := past[0]
		row.RowKey = fmt.Sprintf("hist-one-%019d", math.MaxInt64-rec.Version-int64(i)-1)
		row.Properties = spoilt
		past = append(past, row)
	}
	if err := f.service.Load(slices.Concat(lines[1:], past[1:])); err != nil {
		t.Fatal(err)
	}
	trail, next, err := f.Audit(t.Context(), audit.Query{})
	if err != nil || next != "" || len(trail) != len(lines) || trail[len(lines)-1].By != "ann" {
		t.Fatalf("%+v, %q, %v", trail, next, err)
	}
	for _, e := range trail[:len(lines)-1] {
		if e.Kind != history.Unreadable || !e.At.Equal(at) {
			t.Errorf("%+v", e)
		}
	}
	var events []rotation.Event
	for cursor := ""; ; {
		page, next, err := f.History(t.Context(), "one", cursor, 1)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page...)
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(events) != len(past) || events[len(past)-1].Kind != history.Created {
		t.Fatalf("%+v", events)
	}
	for i, e := range events[:len(past)-1] { // of the newest not even the time can be read
		if e.Kind != history.Unreadable || e.At.IsZero() != (i == 0) || i > 0 && !e.At.Equal(at) {
			t.Errorf("%+v", e)
		}
	}
	rec.Version += int64(len(past))
	if _, err := f.Commit(t.Context(), rec, rotation.Event{At: at, Kind: history.Changed}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Prune(t.Context(), epoch.AddDate(0, 0, 2), 100); err != nil {
		t.Fatal(err)
	}
	if left := len(f.service.Rows("hist-")) + len(f.service.Rows("audit-")); left != 0 {
		t.Errorf("%d rows are left for ever", left)
	}
}
