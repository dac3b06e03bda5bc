package tablestore_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"rekey/shared/activity"
	"rekey/shared/emulator/table"
	"rekey/shared/history"
	"rekey/shared/rotation"
)

// Counting runs costs 16 queries of keys, and one more for each thousand runs of a partition; that a
// run is counted costs no request.
func TestCostOfActivity(t *testing.T) {
	const weeks, crowd = 12, 2500
	f := newFixture(t, table.Config{}, nil)
	monday := activity.WeekOf(epoch)
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
	var rows []table.Row
	for i := range crowd {
		key := fmt.Sprintf("run-%s-succeeded-id-%d", monday.AddDate(0, 0, -7*(i%weeks)).Format("20060102"), i)
		rows = append(rows, table.Row{Table: "rekey", PartitionKey: "s00", RowKey: key})
	}
	// Not within these weeks, or not written by Rekey.
	for i, key := range []string{"run-" + monday.AddDate(0, 0, -7*weeks).Format("20060102") + "-failed-id-r",
		"run-" + monday.AddDate(0, 0, 7).Format("20060102") + "-failed-id-r",
		"run-" + monday.AddDate(0, 0, -6).Format("20060102") + "-failed-id-r",
		"run-" + monday.Format("20060102") + "-other-id-r"} {
		rows = append(rows, table.Row{Table: "rekey", PartitionKey: fmt.Sprintf("s%02x", i), RowKey: key})
	}
	if err := f.service.Load(rows); err != nil {
		t.Fatal(err)
	}
	f.service.ResetCalls()
	rec.Version++
	if _, err := f.Commit(t.Context(), rec, rotation.Event{At: epoch, Kind: history.Failed, RunID: "r"}); err != nil {
		t.Fatal(err)
	}
	if n := f.service.Calls(table.OpBatch); n != 1 || f.service.Calls(table.OpGet)+f.service.Calls(table.OpQuery) != 0 {
		t.Errorf("the end of a run took %d transactions, and reads", n)
	}
	got, err := f.Activity(t.Context(), epoch, weeks)
	sum := activity.Week{}
	for _, week := range got {
		sum.Succeeded += week.Succeeded
		sum.Failed += week.Failed
	}
	if err != nil || len(got) != weeks || got[weeks-1].Start != monday || sum.Succeeded != crowd || sum.Failed != 1 ||
		got[weeks-1].Failed != 1 {
		t.Errorf("%+v: %+v, %v", sum, got, err)
	}
	if n := f.service.Calls(table.OpQuery); n != 16+2 || f.service.Calls(table.OpGet) != 0 {
		t.Errorf("%d queries, want 18", n)
	}
}

// Two instances end runs of different connections in one partition at the same time: neither is in
// the other's way, and both are counted.
func TestRunsOfAPartitionEndAtOnce(t *testing.T) {
	const n = 40
	f := newFixture(t, table.Config{}, nil)
	var all sync.WaitGroup
	for i := range n {
		rec := mustCreate(t, f, rotation.Record{ID: fmt.Sprint("c", i), Version: 1})
		all.Go(func() {
			rec.Version++
			if _, err := f.Commit(t.Context(), rec, rotation.Event{At: epoch, Kind: history.Published, RunID: "r"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := f.Activity(t.Context(), epoch, 1)
	if want := []activity.Week{{Start: activity.WeekOf(epoch), Succeeded: n}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("counted %+v, %v", got, err)
	}
}
