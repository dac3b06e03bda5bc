package tablestore_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"rekey/shared/emulator/table"
	"rekey/shared/index"
	"rekey/shared/rotation"
)

// indexPrefixes are what the keys of the rows beside a record begin with.
var indexPrefixes = []string{"list-", "plist-", "tlist-", "tplist-", "attn-", "tattn-", "next-", "ends-"}

// indexed are the keys and contents of the rows beside all records.
func (f *fixture) indexed() (rows []string) {
	for _, prefix := range indexPrefixes {
		for _, row := range f.service.Rows(prefix) {
			rows = append(rows, fmt.Sprint(row.PartitionKey, " ", row.RowKey, " ", row.Properties["text"], row.Properties["states"]))
		}
	}
	slices.Sort(rows)
	return rows
}

// asBefore makes the table one that an older Rekey has written: beside a record are no rows but
// those of the lists of connections, which say nothing more.
func (f *fixture) asBefore(t *testing.T) {
	t.Helper()
	for _, prefix := range indexPrefixes {
		for _, row := range f.service.Rows(prefix) {
			f.remove(t, row.RowKey)
			if prefix == "list-" || prefix == "plist-" {
				row.Properties = nil
				if err := f.service.Load([]table.Row{row}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// owned is a record that has every row.
func owned(id, via string) rotation.Record {
	return rotation.Record{ID: id, Name: "app-" + id, Via: via, Version: 1, Phase: rotation.Idle, NextSlot: epoch,
		Policy: rotation.Policy{Enabled: true}, Current: &rotation.Credential{KeyID: "k", ExpiresAt: epoch.AddDate(0, 0, 9)}}
}

// What an older Rekey has written is found once the timer has gone through it, which it does once.
func TestRecordsOfAnOlderRekeyAreIndexed(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	for i := range 7 {
		via := ""
		if i%2 == 1 {
			via = "other"
		}
		mustCreate(t, f, owned(fmt.Sprint("old-", i), via))
	}
	want := f.indexed()
	f.asBefore(t)
	f.SetProperty(t, "old-6", "schema", rotation.Schema+1)
	rounds := 0
	for more := true; more; rounds++ {
		var err error
		if _, more, err = f.Prune(t.Context(), epoch.AddDate(-9, 0, 0), 2); err != nil || rounds > 9 {
			t.Fatal(rounds, err)
		}
	}
	newer := func(row string) bool { return strings.Contains(row, "old-6") } // the Rekey that wrote it knows its rows
	want = slices.DeleteFunc(want, newer)
	if got := slices.DeleteFunc(f.indexed(), newer); !slices.Equal(got, want) || rounds < 3 {
		t.Errorf("after %d rounds there are\n%q, want\n%q", rounds, got, want)
	}
	f.service.ResetCalls()
	if _, _, err := f.Prune(t.Context(), epoch.AddDate(-9, 0, 0), 2); err != nil || f.service.Calls(table.OpGet) != 1 ||
		f.service.Calls(table.OpBatch) != 0 || f.service.Calls(table.OpQuery) != 48 {
		t.Errorf("afterwards it costs %d reads and %d transactions (%v)", f.service.Calls(table.OpGet), f.service.Calls(table.OpBatch), err)
	}
}

// An older Rekey that still runs beside the newer one for a while changes records that are indexed
// already. They are found in the end, too.
func TestRecordsOfAnOlderRekeyThatStillRuns(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	mustCreate(t, f, owned("one", "other"))
	want := f.indexed()
	for _, row := range []struct {
		later time.Duration
		found bool
	}{{0, true}, {time.Minute, false}, {2 * time.Hour, true}, {48 * time.Hour, false}} {
		f.asBefore(t)
		f.later = row.later
		if _, more, err := f.Prune(t.Context(), epoch.AddDate(-9, 0, 0), 10); err != nil || more {
			t.Fatal(more, err)
		}
		if found := slices.Equal(f.indexed(), want); found != row.found {
			t.Errorf("after %s: found %t, want %t", row.later, found, row.found)
		}
	}
}

// A commit of a record that is not indexed yet is not refused for the rows that are not there.
func TestARecordOfAnOlderRekeyIsWritten(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	rec := mustCreate(t, f, owned("one", "other"))
	f.asBefore(t)
	rec.NextSlot, rec.Version, rec.Current = rec.NextSlot.Add(time.Hour), 2, nil
	rec, err := f.Commit(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	f.asBefore(t)
	if err := f.Remove(t.Context(), rec); err != nil || len(f.indexed()) != 0 {
		t.Errorf("removed: %v, %q", err, f.indexed())
	}
}

// Another writer of a record is neither overwritten nor left without the rows.
func TestIndexingMeetsAnotherWriter(t *testing.T) {
	var meet func()
	f := newFixture(t, table.Config{}, func(next policy.Transporter) policy.Transporter {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if do := meet; do != nil && strings.HasSuffix(r.URL.Path, "$batch") {
				meet = nil
				do()
			}
			return next.Do(r)
		})
	})
	rec := mustCreate(t, f, owned("one", "other"))
	f.asBefore(t)
	meet = func() {
		rec.Description, rec.Version = "written meanwhile", 2
		if _, err := f.Commit(t.Context(), rec); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := f.Prune(t.Context(), epoch.AddDate(-9, 0, 0), 10); err != nil {
		t.Fatal(err)
	}
	records, _, err := f.Page(t.Context(), index.Query{Targets: true, Limit: 5})
	if err != nil || len(records) != 1 || records[0].Description != "written meanwhile" || len(f.indexed()) != 5 {
		t.Errorf("%+v, %v, %q", records, err, f.indexed())
	}
}

// A row that says what was so once, such as one that an older Rekey has left behind, shows nothing.
func TestARowThatIsStaleShowsNothing(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	rec := owned("one", "")
	rec.ByHand = []rotation.ByHand{{KeyID: "k"}}
	rec = mustCreate(t, f, rec)
	urgent := index.Query{Attention: epoch, Limit: 5}
	active := index.Query{State: index.Active, Limit: 5}
	stale := append(f.service.Rows("attn-"), f.service.Rows("list-")...)
	rec.ByHand, rec.Policy.Enabled, rec.Current, rec.Version = nil, false, nil, 2
	if _, err := f.Commit(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if err := f.service.Load(stale); err != nil || len(stale) != 2 {
		t.Fatal(stale, err)
	}
	for _, q := range []index.Query{urgent, active} {
		if records, _, err := f.Page(t.Context(), q); err != nil || len(records) != 0 {
			t.Errorf("%+v finds %+v, %v", q, records, err)
		}
	}
	all := index.Query{Limit: 5}
	if records, _, err := f.Page(t.Context(), all); err != nil || len(records) != 1 {
		t.Errorf("%+v, %v", records, err)
	}
}
