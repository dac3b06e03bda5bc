package rotationtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

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

// leftOut is how many rows a list of [MemoryStore] left out, as an error.
type leftOut int

func (n leftOut) LeftOut() int { return int(n) }

func (n leftOut) Error() string { return fmt.Sprintf("listing: %d left out: %v", n, n.Unwrap()) }

func (n leftOut) Unwrap() error { return serviceerror.ErrNewerSchema }

// listNewer checks that one record of a newer Rekey hides no other, nor vanishes unseen.
func (s storeTest) listNewer(t *testing.T) {
	raw, ok := s.Store.(RawStore)
	if !ok {
		t.Skip("this store gives no access to its rows")
	}
	listed := map[string]bool{}
	defer func() { // so that they can be removed
		for id, shown := range listed {
			if !shown {
				raw.SetProperty(t, id, "name", `""`)
				raw.SetProperty(t, id, "schema", rotation.Schema)
			}
		}
	}()
	for i := range 30 {
		rec := s.create(t, rand.Text(), time.Time{})
		listed[rec.ID] = i%3 > 0
		if !listed[rec.ID] {
			raw.SetProperty(t, rec.ID, "name", 42)
			raw.SetProperty(t, rec.ID, "schema", rotation.Schema+1)
		}
	}
	seen, left := map[string]bool{}, 0
	for cursor, more := "", true; more; more = cursor != "" {
		records, next, err := s.List(t.Context(), cursor, 4)
		if e, ok := errors.AsType[interface {
			error
			LeftOut() int
		}](err); ok && errors.Is(err, serviceerror.ErrNewerSchema) {
			left += e.LeftOut()
		} else if err != nil {
			t.Fatalf("List: %v", err)
		}
		for _, rec := range records {
			if shown, ours := listed[rec.ID]; ours && !shown {
				t.Errorf("a newer record is listed: %s", storeJSON(rec))
			}
			seen[rec.ID] = true
		}
		cursor = next
	}
	for id, shown := range listed {
		if shown && !seen[id] {
			t.Errorf("record %s is not listed", id)
		}
	}
	if left != 10 {
		t.Errorf("%d rows were left out, want 10", left)
	}
}
