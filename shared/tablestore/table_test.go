package tablestore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"

	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/tablestore"
)

func TestTableIsCreatedOnce(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	if due, err := f.Due(t.Context(), epoch, 10); err != nil || len(due) != 0 {
		t.Fatalf("Due on a missing table: %v, %v", due, err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := f.Create(t.Context(), rotation.Record{ID: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := f.service.Calls(table.OpCreate); n != 1 {
		t.Errorf("the table was created %d times", n)
	}
}

// A row that a person deleted or restored by hand must not block a connection.
func TestDriftIsHealed(t *testing.T) {
	event := rotation.Event{At: epoch, Kind: history.Issued, Message: "new"}
	for name, spoil := range map[string]func(t *testing.T, f *fixture, rec *rotation.Record){
		"the old wake-up is gone": func(t *testing.T, f *fixture, rec *rotation.Record) {
			f.remove(t, "due-20300102T030405Z-one")
		},
		"the new wake-up is there": func(t *testing.T, f *fixture, rec *rotation.Record) {
			r := f.row(t, "due-20300102T030405Z-one")
			r.RowKey = "due-20300102T040405Z-one"
			if err := f.service.Load([]table.Row{r}); err != nil {
				t.Fatal(err)
			}
		},
		"both, and the history row is there": func(t *testing.T, f *fixture, rec *rotation.Record) {
			r := f.row(t, "due-20300102T030405Z-one")
			f.remove(t, r.RowKey)
			r.RowKey = "due-20300102T040405Z-one"
			if err := f.service.Load([]table.Row{r}); err != nil {
				t.Fatal(err)
			}
			rec.Version-- // as if the record had been restored from a backup
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, table.Config{}, nil)
			rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1, WakeAt: epoch}, rotation.Event{At: epoch, Message: "old"})
			spoil(t, f, &rec)
			rec.Version++
			rec.WakeAt = epoch.Add(time.Hour)
			rec, err := f.Commit(t.Context(), rec, event)
			if err != nil {
				t.Fatalf("Commit: %v", err)
			}
			due, err := f.Due(t.Context(), epoch.AddDate(1, 0, 0), 10)
			if err != nil || len(due) != 1 || !due[0].Wake.Equal(rec.WakeAt) {
				t.Errorf("due: %v, %v", due, err)
			}
			events, _, err := f.History(t.Context(), "one", "", 10)
			if err != nil || len(events) != 2 || events[0].Message != "new" || events[1].Message != "old" {
				t.Errorf("history: %v, %v", events, err)
			}
			f.remove(t, "due-20300102T040405Z-one")
			if err := f.Remove(t.Context(), rec); err != nil {
				t.Errorf("Remove: %v", err)
			}
		})
	}
}

func TestLimitsAreCheckedBeforeSending(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
	full := rec
	full.Description = strings.Repeat("x", 32768-2) // two quotes
	if _, err := f.Commit(t.Context(), full); err != nil {
		t.Fatalf("64 KiB: %v", err)
	}
	rec, err := f.Load(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	f.service.ResetCalls()
	for code, change := range map[string]func(*rotation.Record){
		"PropertyValueTooLarge": func(r *rotation.Record) { r.Description = strings.Repeat("x", 32768-1) },
		"OutOfRangeInput":       func(r *rotation.Record) { r.ID = "a/b" },
	} {
		broken := rec
		broken.Version++
		change(&broken)
		_, err := f.Commit(t.Context(), broken)
		if e, ok := errors.AsType[*serviceerror.Error](err); !ok || e.Code != code || e.UnknownOutcome {
			t.Errorf("got %v, want %s", err, code)
		}
	}
	if n := f.service.Calls(table.OpBatch); n != 0 {
		t.Errorf("%d transactions were sent", n)
	}
}

func TestTakenErrorNamesTheHolder(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	mine := reservation.Row{Kind: reservation.Vault, Value: "v", Owner: "one", At: epoch}
	theirs := mine
	theirs.Owner = "two"
	if err := f.Reserve(t.Context(), mine, nil); err != nil {
		t.Fatal(err)
	}
	err := f.Reserve(t.Context(), theirs, nil)
	if taken, ok := errors.AsType[*tablestore.TakenError](err); !ok || taken.Holder != mine {
		t.Errorf("got %v, want a TakenError that names %v", err, mine)
	}
}

// A row that a person has spoilt hides no other: nor would one of a newer schema, which
// the conformance suite has.
func TestListLeavesSpoiltRowsOut(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	mustCreate(t, f, rotation.Record{ID: "one"})
	mustCreate(t, f, rotation.Record{ID: "two"})
	mustCreate(t, f, rotation.Record{ID: "three"})
	f.SetProperty(t, "one", "phase", "hush")
	f.SetProperty(t, "three", "schema", "hush")
	records, next, err := f.List(t.Context(), "", 10)
	unreadable, ok := errors.AsType[*tablestore.UnreadableError](err)
	if !ok || unreadable.LeftOut() != 2 || errors.Is(err, serviceerror.ErrNewerSchema) || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
	if len(records) != 1 || records[0].ID != "two" || next != "" {
		t.Errorf("listed %+v, and next %q", records, next)
	}
}

func TestForeignCursorsAreRefused(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	for _, cursor := range []string{"x", "s10.a", "s00.", "s00.a' or 'b"} {
		if _, _, err := f.List(t.Context(), cursor, 10); serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("List %q: %v", cursor, err)
		}
		if _, _, err := f.History(t.Context(), "one", cursor, 10); serviceerror.ClassOf(err) != serviceerror.Invalid {
			t.Errorf("History %q: %v", cursor, err)
		}
	}
}

// Promise P6: what is due is found by 16 queries, whatever there is.
func TestCostOfDue(t *testing.T) {
	rotationtest.PlainOnly(t)
	const connections, due = 100_000, 10
	f := newFixture(t, table.Config{}, nil)
	record := map[string]any{"schema": rotation.Schema} // nothing of it is read
	partition := func(i int) string { return fmt.Sprintf("s%02x", i%16) }
	rows := make([]table.Row, 0, 2*connections)
	for i := range connections {
		id := fmt.Sprintf("%08d", i)
		wake := epoch.Add(time.Duration(i+1) * time.Hour)
		if i%(connections/due) == 0 {
			wake = epoch.Add(-time.Duration(i) * time.Second)
		}
		rows = append(rows,
			table.Row{Table: "rekey", PartitionKey: partition(i), RowKey: "conn-" + id, Properties: record},
			table.Row{Table: "rekey", PartitionKey: partition(i), RowKey: "due-" + wake.Format("20060102T150405Z") + "-" + id})
	}
	if err := f.service.Load(rows); err != nil {
		t.Fatal(err)
	}
	f.service.ResetCalls()
	got, err := f.Due(t.Context(), epoch, 1000)
	if err != nil || len(got) != due {
		t.Fatalf("%d are due, want %d (%v)", len(got), due, err)
	}
	queries := f.service.Calls(table.OpQuery)
	t.Logf("%d connections, %d due: %d queries", connections, len(got), queries)
	if others := f.service.Calls(table.OpGet) + f.service.Calls(table.OpBatch); queries != 16 || others != 0 {
		t.Errorf("%d queries and %d other requests, want 16 and none", queries, others)
	}
}

func TestCostOfPrune(t *testing.T) {
	rotationtest.PlainOnly(t)
	const days, old = 500, 250
	f := newFixture(t, table.Config{}, nil)
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1}, rotation.Event{At: epoch})
	for i := 1; i < days; i++ {
		rec.Version++
		var err error
		if rec, err = f.Commit(t.Context(), rec, rotation.Event{At: epoch.AddDate(0, 0, i), Kind: history.Published, RunID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	f.service.ResetCalls()
	n, more, err := f.Prune(t.Context(), epoch.AddDate(0, 0, old), 1000)
	if left := len(f.service.Rows("hist-one-")); err != nil || more || n != old || left != days-old || len(f.service.Rows("day-")) != left {
		t.Errorf("pruned %d, want %d, %d are left (%v)", n, old, left, err)
	}
	monday := rotation.WeekOf(epoch.AddDate(0, 0, old))
	whole := int(monday.Sub(epoch).Hours()/24) + 1 // epoch is no midnight
	if left := len(f.service.Rows("run-")); left != days-whole {
		t.Errorf("%d runs are left, want those since %v: %d", left, monday, days-whole)
	}
	queries, transactions := f.service.Calls(table.OpQuery), f.service.Calls(table.OpBatch)
	t.Logf("%d days of history, %d too old: %d queries, %d transactions", days, old, queries, transactions)
	if queries != 49+16 || transactions != 5+3+2 { // those of an older Rekey are indexed, too
		t.Errorf("%d queries and %d transactions, want 65 and 10", queries, transactions)
	}
	f.service.ResetCalls()
	if _, _, err := f.Prune(t.Context(), epoch.AddDate(0, 0, old), 1000); err != nil ||
		f.service.Calls(table.OpQuery) != 48 || f.service.Calls(table.OpBatch) != 0 {
		t.Errorf("looking in vain: %d queries, %v", f.service.Calls(table.OpQuery), err)
	}
}
