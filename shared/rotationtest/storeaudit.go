package rotationtest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// auditTime is a time of a test's own, since the table may have the lines of others. It is before the
// history of all others, so that pruning takes none of it.
func auditTime(t *testing.T) time.Time {
	t.Helper()
	days, err := rand.Int(rand.Reader, big.NewInt(300_000))
	if err != nil {
		t.Fatal(err)
	}
	return storeEpoch.AddDate(-900, 0, int(days.Int64())).Truncate(24 * time.Hour)
}

// audited reads what the trail has in an hour, page by page.
func (s storeTest) audited(t *testing.T, begin time.Time, limit int) (all []string) {
	t.Helper()
	q := audit.Query{From: begin, To: begin.Add(time.Hour), Limit: limit}
	for {
		events, next, err := s.Audit(t.Context(), q)
		if err != nil || len(events) > limit {
			t.Fatalf("Audit: %d events for limit %d, %v", len(events), limit, err)
		}
		for _, e := range events {
			all = append(all, fmt.Sprintf("%s %s %d", e.Kind, e.Name, e.Count))
		}
		if q.Cursor = next; next == "" {
			return all
		}
	}
}

func (s storeTest) audit(t *testing.T) {
	PlainOnly(t)
	begin := auditTime(t)
	var want []string
	for i := range 25 {
		e := audit.Event{At: begin.Add(time.Duration(i) * time.Millisecond), Kind: audit.ConsoleRefused, Name: fmt.Sprint(i)}
		id := rand.Text()
		for e.Count = 1; e.Count <= 1+i%3; e.Count++ { // the same line, written again
			if err := s.WriteAudit(t.Context(), id, e); err != nil {
				t.Fatalf("WriteAudit: %v", err)
			}
		}
		want = append(want, fmt.Sprintf("%s %d %d", e.Kind, i, 1+i%3))
	}
	// Several of one moment, and what is not of this hour.
	for _, at := range []time.Duration{-1, 0, 30 * time.Minute, 30 * time.Minute, time.Hour - 1, time.Hour} {
		name := fmt.Sprint(at)
		err := s.WriteAudit(t.Context(), rand.Text(), audit.Event{At: begin.Add(at), Kind: audit.SignedIn, Name: name, Count: 1})
		if err != nil {
			t.Fatalf("WriteAudit: %v", err)
		}
	}
	slices.Reverse(want)
	last := want[len(want)-1]
	want = append([]string{"console.signed-in 59m59.999999999s 1", "console.signed-in 30m0s 1", "console.signed-in 30m0s 1"},
		want[:len(want)-1]...)
	for _, limit := range []int{1, 7, 28, 29, 30, 1000} {
		got := s.audited(t, begin, limit)
		ends := slices.Sorted(slices.Values(got[len(got)-2:])) // two of one moment, in no order
		if !slices.Equal(got[:len(got)-2], want) || !slices.Equal(ends, []string{last, "console.signed-in 0s 1"}) {
			t.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
	if _, _, err := s.Audit(t.Context(), audit.Query{Cursor: "x", Limit: 1}); serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("a made-up cursor: %v", err)
	}
	s.pruned(t, begin, begin.Add(10*time.Millisecond), 18)
	s.pruned(t, begin, begin.Add(24*time.Hour), 0)
}

// pruned prunes, and looks at how many lines are left of an hour.
func (s storeTest) pruned(t *testing.T, begin, before time.Time, left int) {
	t.Helper()
	for more := true; more; { // a shared table has more than ours
		var err error
		if _, more, err = s.Prune(t.Context(), before, 4); err != nil {
			t.Fatalf("Prune: %v", err)
		}
	}
	if got := s.audited(t, begin, 1000); len(got) != left {
		t.Errorf("Prune before %s left %q, want %d lines", before, got, left)
	}
}

func (s storeTest) auditOfRecords(t *testing.T) {
	begin := auditTime(t)
	at := func(second int, kind, by string) rotation.Event {
		return rotation.Event{At: begin.Add(time.Duration(second) * time.Second), Kind: kind, By: by, From: "192.0.2.1"}
	}
	rec := rotation.Record{ID: strings.ToLower(rand.Text()), Via: "via", Name: "payroll", Version: 1}
	rec, err := s.Create(t.Context(), rec, at(0, history.Created, "ann"))
	if err != nil {
		t.Fatal(err)
	}
	stale := rec
	rec = s.commit(t, rec, at(1, history.Changed, "bob"), at(2, history.Requested, "bob"))
	asked := func(second int, by string) rotation.Event {
		e := at(second, history.Requested, by)
		e.Message = (&rotation.Request{Kind: rotation.AskDelete, Revoke: by == "cat"}).Asked()
		return e
	}
	if _, err := s.Commit(t.Context(), stale, asked(3, "eve")); err == nil {
		t.Error("a commit of a stale record was taken")
	}
	rec = s.commit(t, rec, asked(4, "bob"), at(4, history.Failed, ""))
	rec = s.commit(t, rec, asked(5, "cat"))
	if err := s.Remove(t.Context(), rec, at(6, history.Deleted, "")); err != nil {
		t.Fatal(err)
	}
	events, next, err := s.Audit(t.Context(), audit.Query{From: begin, To: begin.Add(time.Hour), Limit: 10})
	want := []string{"connection.deleted ", "connection.deletion-requested cat: remove what is published as well",
		"connection.deletion-requested bob: keep what is published", "connection.created ann"}
	var got []string
	for _, e := range events {
		got = append(got, strings.TrimSuffix(e.Kind+" "+e.By+": "+e.Reason, ": "))
		if e.ConnectionID != "via" || e.TargetID != rec.ID || e.Name != "payroll" || e.From != "192.0.2.1" {
			t.Errorf("%+v", e)
		}
	}
	if err != nil || next != "" || !slices.Equal(got, want) {
		t.Errorf("%q, %q, %v, want %q", got, next, err, want)
	}
	s.pruned(t, begin, begin.Add(24*time.Hour), 0)
}
