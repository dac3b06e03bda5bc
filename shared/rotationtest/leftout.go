package rotationtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// leftOut is how many rows a list of [MemoryStore] left out, as an error.
type leftOut int

func (n leftOut) LeftOut() int  { return int(n) }
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
