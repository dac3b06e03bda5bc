package rotationtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"rekey/shared/claim"
	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
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
	// History returns events, the newest first; next is empty at the end.
	History(ctx context.Context, id, cursor string, limit int) (events []rotation.Event, next string, err error)
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
		{"a value is reserved once", storeTest.reserve},
		{"a note has many owners", storeTest.notes},
		{"one of several reservations wins", storeTest.concurrentReservations},
		{"an old reservation is reclaimed", storeTest.reclaim},
		{"a claim is seen by all, and removed once", storeTest.claims},
		{"a claim that was renewed is not void", storeTest.voidClaims},
		{"claims of different applications are apart", storeTest.claimedApart},
		{"different values are different reservations", storeTest.values},
		{"a list has every record once", storeTest.list},
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

// due returns the wake-ups of ids up to until, as the store orders them.
func (s storeTest) due(t *testing.T, until time.Time, ids ...string) []rotation.Due {
	t.Helper()
	all, err := s.Due(t.Context(), until, 1000)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return slices.DeleteFunc(all, func(d rotation.Due) bool { return !slices.Contains(ids, d.ID) })
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

func (s storeTest) dueOrder(t *testing.T) {
	const n = 12
	ids := make([]string, n)
	for i := range ids {
		ids[i] = rand.Text()
		s.create(t, ids[i], storeEpoch.Add(time.Duration((i*5)%n)*time.Second))
	}
	got := s.due(t, storeEpoch.Add(6*time.Second), ids...)
	if len(got) != 7 {
		t.Fatalf("%d are due, want those of seconds 0 to 6: %v", len(got), got)
	}
	for i, d := range got {
		if !d.Wake.Equal(storeEpoch.Add(time.Duration(i)*time.Second)) || d.Wake.Location() != time.UTC {
			t.Errorf("entry %d is %v", i, d)
		}
	}
	few, err := s.Due(t.Context(), storeEpoch.Add(6*time.Second), 3)
	if err != nil || len(few) != 3 {
		t.Fatalf("Due with limit 3: %v, %v", few, err)
	}
	all, err := s.Due(t.Context(), storeEpoch.Add(6*time.Second), 1000)
	if err != nil || !reflect.DeepEqual(few, all[:3]) {
		t.Errorf("limit 3 gave %v, not the oldest of %v (%v)", few, all, err)
	}
}

func (s storeTest) dueMoves(t *testing.T) {
	rec := s.create(t, rand.Text(), storeEpoch)
	moves := []time.Time{
		storeEpoch.Add(time.Minute), storeEpoch.Add(time.Minute),
		storeEpoch.Add(time.Minute - 100*time.Millisecond), // the same second, rounded up
		{}, {}, storeEpoch.Add(time.Second), storeEpoch,
	}
	for i, wake := range moves {
		rec.WakeAt = wake
		rec = s.commit(t, rec)
		got := s.due(t, storeEpoch.Add(time.Hour), rec.ID)
		if wake.IsZero() {
			if len(got) != 0 {
				t.Fatalf("move %d: %v is due, want nothing", i, got)
			}
		} else if len(got) != 1 || got[0].Wake.Sub(wake) >= time.Second || got[0].Wake.Before(wake) {
			t.Fatalf("move %d to %v: due is %v", i, wake, got)
		}
	}
}

func (s storeTest) dueRounded(t *testing.T) {
	zone := time.FixedZone("", 3600)
	rec := s.create(t, rand.Text(), storeEpoch.Add(time.Nanosecond).In(zone))
	want := storeEpoch.Add(time.Second)
	if rec.WakeAt != want || rec.Handle.Wake != want {
		t.Errorf("Create returned %v and %v, want %v", rec.WakeAt, rec.Handle.Wake, want)
	}
	if got := s.load(t, rec.ID); got.WakeAt != want || got.Handle.Wake != want {
		t.Errorf("Load returned %v and %v, want %v", got.WakeAt, got.Handle.Wake, want)
	}
	if got := s.due(t, want.Add(-time.Nanosecond), rec.ID); len(got) != 0 {
		t.Errorf("%v is due too early", got)
	}
	if got := s.due(t, want.In(zone), rec.ID); len(got) != 1 || got[0].Wake != want {
		t.Errorf("due is %v, want %v", got, want)
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

func (s storeTest) history(t *testing.T) {
	id := rand.Text()
	// Ids that begin like this one must not mix with it.
	for _, suffix := range []string{"-", "-0", "-9", "0"} {
		s.create(t, id+suffix, time.Time{}, rotation.Event{At: storeEpoch, Message: "another owner's"})
	}
	var want []string
	n := 0
	events := func(count int) (out []rotation.Event) {
		for range count {
			n++
			want = append(want, fmt.Sprint(n))
			out = append(out, rotation.Event{At: storeEpoch.Add(time.Duration(n) * time.Second), Kind: history.Issued, Message: fmt.Sprint(n)})
		}
		return out
	}
	rec := s.create(t, id, time.Time{}, events(1)...)
	for i := range 12 {
		rec = s.commit(t, rec, events(i%4)...)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 2, 3, 5, n, n + 1} {
		if got := s.messages(t, id, limit); !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v, want %v", limit, got, want)
		}
	}
}

// messages reads the whole history page by page.
func (s storeTest) messages(t *testing.T, id string, limit int) (out []string) {
	t.Helper()
	for cursor := ""; ; {
		events, next, err := s.History(t.Context(), id, cursor, limit)
		if err != nil || len(events) > limit {
			t.Fatalf("History: %d events for limit %d, %v", len(events), limit, err)
		}
		for _, e := range events {
			out = append(out, e.Message)
		}
		if next == "" {
			return out
		}
		cursor = next
	}
}

func (s storeTest) prune(t *testing.T) {
	ctx, id, another := t.Context(), rand.Text(), rand.Text()
	at := func(day, hour int) rotation.Event {
		return rotation.Event{At: storeEpoch.AddDate(0, 0, day).Truncate(24 * time.Hour).Add(time.Duration(hour) * time.Hour),
			Message: fmt.Sprint(day, "-", hour)}
	}
	s.create(t, another, time.Time{}, at(19, 23)) // a history that ends nowhere near
	rec := s.create(t, id, time.Time{}, at(0, 1))
	for day := 1; day <= 20; day++ {
		rec = s.commit(t, rec) // commits without events leave gaps
		rec = s.commit(t, rec, at(day, 3), at(day, 4))
		rec = s.commit(t, rec, at(day, 23))
	}
	if err := s.Remove(ctx, rec, at(21, 5)); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	for _, step := range []struct {
		before rotation.Event
		left   int
		others int
	}{
		{at(0, 0), 62, 1}, {at(0, 23), 62, 1}, {at(1, 0), 61, 1}, {at(1, 0), 61, 1}, {at(8, 12), 40, 1},
		{at(20, 0), 4, 0}, {at(21, 23), 1, 0}, {at(22, 0), 0, 0}, {at(99, 0), 0, 0},
	} {
		for more := true; more; { // a shared table has more than ours
			var err error
			if _, more, err = s.Prune(ctx, step.before.At, 3); err != nil {
				t.Fatalf("Prune: %v", err)
			}
		}
		if left, others := s.messages(t, id, 100), s.messages(t, another, 100); len(left) != step.left || len(others) != step.others {
			t.Errorf("Prune before %s left %v and %v, want %d and %d", step.before.At, left, others, step.left, step.others)
		}
	}
}

func (s storeTest) list(t *testing.T) {
	seen := map[string]int{}
	for i := range 40 {
		rec := s.create(t, rand.Text(), time.Time{})
		rec.Name = fmt.Sprint(i)
		s.commit(t, rec)
		seen[rec.ID] = 0
	}
	for cursor, pages := "", 0; ; pages++ {
		records, next, err := s.List(t.Context(), cursor, 7)
		if err != nil || len(records) > 7 {
			t.Fatalf("List: %d records, %v", len(records), err)
		}
		for _, rec := range records {
			if _, ours := seen[rec.ID]; ours {
				seen[rec.ID]++
				if rec.Name == "" || rec.Version != 2 {
					t.Errorf("a listed record is not whole: %s", storeJSON(rec))
				}
			}
		}
		if next == "" {
			break
		}
		if next == cursor || pages > 100_000 {
			t.Fatal("the list does not end")
		}
		cursor = next
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("record %s was listed %d times", id, n)
		}
	}
}

func (s storeTest) newerSchema(t *testing.T) {
	ctx := t.Context()
	rec := s.create(t, rand.Text(), time.Time{})
	newer := rec
	newer.Schema = rotation.Schema + 1
	newer.Version++
	_, err := s.Commit(ctx, newer)
	wantStoreError(t, "Commit", err, serviceerror.ErrNewerSchema)
	wantStoreError(t, "Remove", s.Remove(ctx, newer), serviceerror.ErrNewerSchema)
	s.load(t, rec.ID)

	raw, ok := s.Store.(RawStore)
	if !ok {
		return
	}
	raw.SetProperty(t, rec.ID, "name", 42) // a newer Rekey may have changed its shape
	raw.SetProperty(t, rec.ID, "schema", rotation.Schema+1)
	_, err = s.Load(ctx, rec.ID)
	wantStoreError(t, "Load", err, serviceerror.ErrNewerSchema)
	rec.Version++
	_, err = s.Commit(ctx, rec) // based on what was read before the newer one wrote
	wantStoreError(t, "Commit over a newer row", err, serviceerror.ErrConflict)
	raw.SetProperty(t, rec.ID, "name", `""`)
	raw.SetProperty(t, rec.ID, "schema", rotation.Schema) // so that it can be removed
}

func (s storeTest) unknownProperties(t *testing.T) {
	raw, ok := s.Store.(RawStore)
	if !ok {
		t.Skip("this store gives no access to its rows")
	}
	rec := s.create(t, rand.Text(), time.Time{})
	raw.SetProperty(t, rec.ID, "ofTheFuture", `{"a":1}`)
	rec = s.load(t, rec.ID)
	rec.Name = "changed"
	s.commit(t, rec)
	if got := raw.Property(t, rec.ID, "ofTheFuture"); got != `{"a":1}` {
		t.Errorf("the property is %v after a commit", got)
	}
	if got := s.load(t, rec.ID); got.Name != "changed" {
		t.Errorf("the name is %q", got.Name)
	}
}
