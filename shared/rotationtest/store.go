package rotationtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/claim"
	"rekey/shared/history"
	"rekey/shared/index"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// Store is all that a store of records does: what passes need and what the API
// needs. The in-memory store and the one on Azure Table both pass [TestStore].
type Store interface {
	rotator.Store
	// Create writes a new record with its due row and history;
	// [serviceerror.ErrExists] if the id is taken.
	Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
	// Reserve claims a value for res.Owner, whose own claim is renewed.
	// [serviceerror.ErrExists] if it is another owner's, unless that claim is older
	// than ten minutes and reclaim agrees.
	Reserve(ctx context.Context, res reservation.Row, reclaim func(ctx context.Context, holder reservation.Row) (bool, error)) error
	// Find returns the claim on a value; [serviceerror.ErrNotFound] if there is none.
	Find(ctx context.Context, kind reservation.Kind, value string) (reservation.Row, error)
	// Owners returns everybody who has reserved a value of a shared kind.
	Notes(ctx context.Context, kind reservation.Kind, value string) ([]reservation.Row, error)
	claim.Store
	// List returns records in no particular order; next is empty at the end. Rows
	// that can't be read, such as those of a newer schema, are left out. Then there
	// is an error beside the others and next, which wraps why and says how many
	// they are: it has a method LeftOut() int.
	List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error)
	// Page returns what q asks for, and what to ask for next, nil at the end; with those that can't be
	// read as in List.
	Page(ctx context.Context, q index.Query) (records []rotation.Record, next *index.Query, err error)
	// Ahead returns when something rotates, and when what is rotated ends, from a moment on until another.
	Ahead(ctx context.Context, from, to time.Time) (index.Ahead, error)
	// History returns events, the newest first; next is empty at the end.
	History(ctx context.Context, id, cursor string, limit int) (events []rotation.Event, next string, err error)
	// Former returns what is kept of connections that were removed and had app as their target,
	// in no particular order. It is pruned with the last of their history.
	Former(ctx context.Context, app rotation.Application) ([]rotation.Former, error)
	// Activity counts the runs that ended in each of some weeks up to that of last, the oldest
	// first. What is counted is pruned by whole weeks.
	Activity(ctx context.Context, last time.Time, weeks int) ([]rotation.Week, error)
	// The lines of the audit that a record's events are, are written by its commits. All are pruned
	// with history.
	audit.Store
	rotator.Pruner
}

// RawStore is what a Store may offer besides, so that the suite can play a newer
// version of Rekey. Properties are those of the record's row.
type RawStore interface {
	SetProperty(t *testing.T, id, name string, value any)
	Property(t *testing.T, id, name string) any
}

// TestStore checks that a store keeps its promises. The table behind newStore need
// not be empty, and may be the same each time.
func TestStore(t *testing.T, newStore func(t *testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(s storeTest, t *testing.T)
	}{
		{"every field comes back", storeTest.everyField},
		{"a missing record is not found", storeTest.missing},
		{"an id is taken once", storeTest.createTwice},
		{"a stale handle is refused", storeTest.stale},
		{"one of several commits wins", storeTest.concurrentCommits},
		{"what is due comes oldest first", storeTest.dueOrder},
		{"a wake-up moves", storeTest.dueMoves},
		{"a wake-up is rounded up", storeTest.dueRounded},
		{"a removed record leaves its history", storeTest.remove},
		{"history is newest first", storeTest.history},
		{"history is pruned from its end", storeTest.prune},
		{"what a removed record has removed is kept as long as its history", storeTest.former},
		{"runs are counted by week", storeTest.activity},
		{"the audit is newest first", storeTest.audit},
		{"commits write the audit", storeTest.auditOfRecords},
		{"a value is reserved once", storeTest.reserve},
		{"a note has many owners", storeTest.notes},
		{"one of several reservations wins", storeTest.concurrentReservations},
		{"an old reservation is reclaimed", storeTest.reclaim},
		{"a claim is seen by all, and removed once", storeTest.claims},
		{"a claim that was renewed is not void", storeTest.voidClaims},
		{"claims of different applications are apart", storeTest.claimedApart},
		{"different values are different reservations", storeTest.values},
		{"a list has every record once", storeTest.list},
		{"a page has the names in their order", storeTest.page},
		{"a page follows changes of names", storeTest.pageFollows},
		{"targets have pages of their own", storeTest.targetPages},
		{"a search finds parts of names and states", storeTest.searches},
		{"what needs attention is found when its time has come", storeTest.urgent},
		{"what is ahead is counted", storeTest.ahead},
		{"a newer schema is refused", storeTest.newerSchema},
		{"a list leaves newer records out and says so", storeTest.listNewer},
		{"unknown properties survive", storeTest.unknownProperties},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(storeTest{newStore(t)}, t) })
	}
}

// storeTest is one test's store. What a test makes has fresh ids, and only that is
// looked at.
type storeTest struct{ Store }

// storeEpoch is when the tests take place: so long ago that no real wake-up is in between,
// and not where the clock is.
var storeEpoch = time.Date(1971, 5, 4, 3, 2, 1, 0, time.UTC)

// create stores a record with nothing in it but what the store needs.
func (s storeTest) create(t *testing.T, id string, wake time.Time, events ...rotation.Event) rotation.Record {
	t.Helper()
	rec, err := s.Create(t.Context(), rotation.Record{ID: id, WakeAt: wake, Version: 1}, events...)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() { // wake-ups of the past must not pile up in a shared table
		ctx := context.WithoutCancel(t.Context())
		if rec, err := s.Load(ctx, id); err == nil {
			if err := s.Remove(ctx, rec); err != nil {
				t.Errorf("Remove: %v", err)
			}
		}
	})
	return rec
}

func (s storeTest) commit(t *testing.T, rec rotation.Record, events ...rotation.Event) rotation.Record {
	t.Helper()
	rec.Version++
	rec, err := s.Commit(t.Context(), rec, events...)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return rec
}

func (s storeTest) load(t *testing.T, id string) rotation.Record {
	t.Helper()
	rec, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return rec
}

// wantStoreError fails the test unless err is target; nil means success.
func wantStoreError(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got error %v, want %v", what, err, target)
	}
}

func (s storeTest) everyField(t *testing.T) {
	rec := s.create(t, rand.Text(), time.Time{})
	for round := range 2 { // full, then as good as empty: a commit also clears
		want := rotation.Record{ID: rec.ID, Version: rec.Version}
		if round == 0 {
			n := 0
			fillStoreValue(t, reflect.ValueOf(&want).Elem(), &n)
			want.ID, want.WakeAt, want.Proof = rec.ID, storeEpoch, rotation.Proof{}
		}
		want.Schema, want.Handle = rotation.Schema, rec.Handle
		committed, err := s.Commit(t.Context(), want)
		if err != nil {
			t.Fatalf("Commit: %v", err)
		}
		loaded := s.load(t, rec.ID)
		if committed.Handle != loaded.Handle || !loaded.Handle.Wake.Equal(want.WakeAt) || loaded.Handle.ETag == rec.Handle.ETag {
			t.Errorf("handles: committed %v, loaded %v, before %v", committed.Handle, loaded.Handle, rec.Handle)
		}
		rec, want.Handle = loaded, loaded.Handle
		if !reflect.DeepEqual(loaded, want) || !reflect.DeepEqual(committed, want) {
			t.Errorf("round %d\nwant      %s\nloaded    %s\ncommitted %s", round, storeJSON(want), storeJSON(loaded), storeJSON(committed))
		}
	}
}

// fillStoreValue gives everything within v a value of its own, so that a field
// which a store forgets shows.
func fillStoreValue(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d <&\"'\\ü€😀", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n)<<31 + 1) // beyond 32 bits
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillStoreValue(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillStoreValue(t, v.Index(i), n)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(storeEpoch.Add(time.Duration(*n) * (time.Hour + time.Nanosecond))))
			return
		}
		for i := range v.NumField() {
			fillStoreValue(t, v.Field(i), n)
		}
	default:
		t.Fatalf("the suite cannot fill a %s", v.Type())
	}
}

func storeJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s storeTest) missing(t *testing.T) {
	_, err := s.Load(t.Context(), rand.Text())
	wantStoreError(t, "Load", err, serviceerror.ErrNotFound)
	events, next, err := s.History(t.Context(), rand.Text(), "", 10)
	if len(events) != 0 || next != "" || err != nil {
		t.Errorf("History of nothing: %v, %q, %v", events, next, err)
	}
}

func (s storeTest) createTwice(t *testing.T) {
	id := rand.Text()
	first := s.create(t, id, storeEpoch, rotation.Event{At: storeEpoch, Kind: history.Created})
	_, err := s.Create(t.Context(), rotation.Record{ID: id, Version: 1, Name: "second"})
	wantStoreError(t, "second Create", err, serviceerror.ErrExists)
	if got := s.load(t, id); got.Name != "" || got.Handle != first.Handle {
		t.Errorf("the second Create changed the record: %s", storeJSON(got))
	}
}

func (s storeTest) stale(t *testing.T) {
	stale := s.create(t, rand.Text(), time.Time{})
	fresh := s.commit(t, stale)
	stale.Name = "stale"
	event := rotation.Event{At: storeEpoch, Kind: history.Issued}
	_, err := s.Commit(t.Context(), stale, event)
	wantStoreError(t, "Commit", err, serviceerror.ErrConflict)
	wantStoreError(t, "Remove", s.Remove(t.Context(), stale, event), serviceerror.ErrConflict)
	if got := s.load(t, stale.ID); got.Name != "" || got.Handle != fresh.Handle {
		t.Errorf("a refused write changed the record: %s", storeJSON(got))
	}
	if events, _, err := s.History(t.Context(), stale.ID, "", 10); len(events) != 0 || err != nil {
		t.Errorf("a refused write left history: %v, %v", events, err)
	}
	_, err = s.Commit(t.Context(), rotation.Record{ID: stale.ID, Version: 9})
	wantStoreError(t, "Commit without a handle", err, serviceerror.ErrConflict)
}

func (s storeTest) concurrentCommits(t *testing.T) {
	rec := s.create(t, rand.Text(), storeEpoch)
	const writers = 8
	errs := make([]error, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			mine := rec
			mine.Version++
			mine.CommitID = fmt.Sprint(i)
			mine.WakeAt = storeEpoch.Add(time.Duration(i) * time.Hour)
			_, errs[i] = s.Commit(t.Context(), mine, rotation.Event{At: storeEpoch, RunID: mine.CommitID})
		})
	}
	all.Wait()
	got := s.load(t, rec.ID)
	for i, err := range errs {
		if fmt.Sprint(i) == got.CommitID {
			wantStoreError(t, "the winner's Commit", err, nil)
		} else {
			wantStoreError(t, "a loser's Commit", err, serviceerror.ErrConflict)
		}
	}
	events, _, err := s.History(t.Context(), rec.ID, "", 10)
	if err != nil || len(events) != 1 || events[0].RunID != got.CommitID {
		t.Errorf("history %v, %v; want the winner's event only", events, err)
	}
	if due := s.due(t, storeEpoch.Add(24*time.Hour), rec.ID); len(due) != 1 || !due[0].Wake.Equal(got.WakeAt) {
		t.Errorf("due %v; want the winner's wake-up only", due)
	}
}

func (s storeTest) remove(t *testing.T) {
	ctx := t.Context()
	rec := s.create(t, rand.Text(), storeEpoch, rotation.Event{At: storeEpoch, Kind: history.Created})
	if err := s.Remove(ctx, rec, rotation.Event{At: storeEpoch, Kind: history.Deleted}); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	_, err := s.Load(ctx, rec.ID)
	wantStoreError(t, "Load", err, serviceerror.ErrNotFound)
	if got := s.due(t, storeEpoch, rec.ID); len(got) != 0 {
		t.Errorf("%v is still due", got)
	}
	events, _, err := s.History(ctx, rec.ID, "", 10)
	if err != nil || len(events) != 2 || events[0].Kind != history.Deleted {
		t.Errorf("history %v, %v", events, err)
	}
	wantStoreError(t, "second Remove", s.Remove(ctx, rec), serviceerror.ErrConflict)
	_, err = s.Commit(ctx, rec)
	wantStoreError(t, "Commit", err, serviceerror.ErrConflict)
}
