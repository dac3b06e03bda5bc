package tablestore_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/tablestore"
)

func TestNoticeConformance(t *testing.T) {
	for i, cfg := range []table.Config{{}, {PageSize: 2, EmptyPages: true}} {
		if !rotationtest.Sample(i) {
			continue
		}
		shared := newFixture(t, cfg, nil)
		rotationtest.TestNotices(t, func(*testing.T) rotationtest.NoticeStore { return shared })
	}
}

func TestNoticeConformanceAzurite(t *testing.T) {
	rotationtest.PlainOnly(t)
	store, err := tablestore.New(tablestore.Config{ConnectionString: secret.New(azurite.ForTest(t).ConnectionString), Notices: true})
	if err != nil {
		t.Fatal(err)
	}
	rotationtest.TestNotices(t, func(*testing.T) rotationtest.NoticeStore { return store })
}

var told = rotation.Event{At: epoch, Kind: history.Attention, Message: "told", Notice: true}

// Where nothing delivers, nothing piles up.
func TestNoNoticesUnlessConfigured(t *testing.T) {
	server := httptest.NewServer(table.New(table.Config{AccountKey: accountKey}))
	defer server.Close()
	store, err := tablestore.New(tablestore.Config{ConnectionString: secret.New(
		"AccountName=devstoreaccount1;AccountKey=" + accountKey + ";TableEndpoint=" + server.URL + "/devstoreaccount1")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create(t.Context(), rotation.Record{ID: "one", Version: 1}, told); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Undelivered(t.Context(), 10); err != nil || len(got) != 0 {
		t.Errorf("notices %v, %v", got, err)
	}
	if events, _, err := store.History(t.Context(), "one", "", 10); err != nil || len(events) != 1 || !events[0].Notice {
		t.Errorf("history %v, %v", events, err)
	}
}

// A commit whose answer was lost has kept its notice once; its repetition is refused.
func TestNoticeOfAnUnknownOutcome(t *testing.T) {
	for _, applied := range []bool{false, true} {
		f, on := faulty(t, table.OpBatch, &fault.Effect{Status: 500, Code: "InternalError", Apply: applied})
		rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
		on.Store(true)
		rec.Version++
		if _, err := f.Commit(t.Context(), rec, told); !serviceerror.UnknownOutcome(err) {
			t.Fatalf("Commit: %v", err)
		}
		on.Store(false)
		_, err := f.Commit(t.Context(), rec, told) // the same keys
		if errors.Is(err, serviceerror.ErrConflict) != applied {
			t.Errorf("applied %v: repeated: %v", applied, err)
		}
		if n := len(f.service.Rows("evt-")); n != 1 {
			t.Errorf("applied %v: %d notices, want one", applied, n)
		}
	}
}

// A record that was restored from a backup commits versions that it had before.
func TestNoticeThatIsThereAlready(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
	rec.Version++
	rec, err := f.Commit(t.Context(), rec, told)
	if err != nil {
		t.Fatal(err)
	}
	rec.Version = 1
	if rec, err = f.Commit(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	rec.Version = 2
	other := told
	other.Message = "a second one of the same commit"
	if _, err := f.Commit(t.Context(), rec, told, other); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	got, err := f.Undelivered(t.Context(), 10)
	if err != nil || len(got) != 2 || got[0].Message != "told" || got[1].Message != other.Message {
		t.Errorf("notices %+v, %v", got, err)
	}
}

// A transaction has 100 operations, which is checked before anything is sent.
func TestNoticesOfATransaction(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1})
	rec.Version++
	events := make([]rotation.Event, 97) // and the record, the history row, and that of its day
	for i := range events {
		events[i] = told
	}
	if _, err := f.Commit(t.Context(), rec, append(events, told)...); serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("101 operations: %v", err)
	}
	if _, err := f.Commit(t.Context(), rec, events...); err != nil {
		t.Errorf("100 operations: %v", err)
	}
}

// A message that fits into the history fits into the notice.
func TestLongNotice(t *testing.T) {
	f := newFixture(t, table.Config{}, nil)
	long := told
	long.Message = strings.Repeat("x", 32_000)
	mustCreate(t, f, rotation.Record{ID: "one", Version: 1}, long)
	got, err := f.Undelivered(t.Context(), 1)
	if err != nil || len(got) != 1 || got[0].Message != long.Message {
		t.Errorf("%d notices, %v", len(got), err)
	}
}

// Promise P6 for notices: 16 queries if there are none, whatever else there is.
func TestCostOfUndelivered(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	rows := make([]table.Row, 10_000)
	for i := range rows {
		rows[i] = table.Row{Table: "rekey", PartitionKey: fmt.Sprintf("s%02x", i%16), RowKey: fmt.Sprintf("conn-%08d", i),
			Properties: map[string]any{"schema": rotation.Schema}}
	}
	if err := f.service.Load(rows); err != nil {
		t.Fatal(err)
	}
	f.service.ResetCalls()
	if got, err := f.Undelivered(t.Context(), 1000); err != nil || len(got) != 0 {
		t.Fatalf("notices %v, %v", got, err)
	}
	if n := f.service.Calls(table.OpQuery); n != 16 {
		t.Errorf("%d queries, want 16", n)
	}
}

// One partition that is throttled, and one row that a person has spoilt, keep no other
// notice from being delivered.
func TestUndeliveredGivesWhatItHas(t *testing.T) {
	f := newFixture(t, table.Config{Hook: func(op string, r *http.Request) *fault.Effect {
		if op == table.OpQuery && strings.Contains(r.URL.Query().Get("$filter"), "'s03'") {
			return &fault.Effect{Status: 503, Code: "ServerBusy"}
		}
		return nil
	}}, nil)
	reachable := 0
	for i := range 48 {
		rec := mustCreate(t, f, rotation.Record{ID: strings.Repeat("x", i+1), Version: 1}, told)
		if f.row(t, "conn-"+rec.ID).PartitionKey != "s03" {
			reachable++
		}
	}
	spoilt := f.row(t, "evt-20300102T030405Z-x-0000000000000000001-00")
	if spoilt.PartitionKey == "s03" {
		t.Fatal("the spoilt row must be one that can be read")
	}
	f.remove(t, spoilt.RowKey)
	spoilt.Properties = map[string]any{"tries": "many"}
	foreign := table.Row{Table: spoilt.Table, PartitionKey: spoilt.PartitionKey, RowKey: "evt-somebody-elses"}
	if err := f.service.Load([]table.Row{spoilt, foreign}); err != nil {
		t.Fatal(err)
	}
	got, err := f.Undelivered(t.Context(), 1000)
	if len(got) != reachable-1 || serviceerror.ClassOf(err) != serviceerror.Throttled || !strings.Contains(err.Error(), "decoding") {
		t.Errorf("%d of %d notices, %v", len(got), reachable-1, err)
	}
}

// What a claim's answer does not say is not known: the claim ends by itself.
func TestFailedClaims(t *testing.T) {
	for _, op := range []string{table.OpMerge, table.OpDelete} {
		f, on := faulty(t, op, &fault.Effect{Status: 500, Code: "InternalError", Apply: true})
		mustCreate(t, f, rotation.Record{ID: "one", Version: 1}, told)
		all, err := f.Undelivered(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		on.Store(true)
		f.service.ResetCalls()
		if op == table.OpMerge {
			_, err = f.Postpone(t.Context(), all[0], epoch.Add(time.Minute), 0)
		} else {
			err = f.Delivered(t.Context(), all[0])
		}
		if !serviceerror.UnknownOutcome(err) || f.service.Calls(op) != 1 {
			t.Errorf("%s: %v, sent %d times", op, err, f.service.Calls(op))
		}
	}
}
