package tablestore_test

import (
	"slices"
	"strings"
	"testing"

	"rekey/shared/emulator/table"
	"rekey/shared/index"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// A rebuilt connection has the name that its tags say, and a person can put a row of any key into
// the table. Neither may make the pages of a list begin again, skip others or not end.
func TestPagesEndWhateverTheNames(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	var want []string
	for i, name := range []string{
		"billing", "My App", "Über", "_h", "_5f", "-", "a--b", "a-0b", "z-", strings.Repeat("ü", 200), strings.Repeat("-", 400), "zz",
	} {
		id := string(rune('a' + i))
		mustCreate(t, f, rotation.Record{ID: id, Version: 1, Name: name})
		want = append(want, id)
	}
	for _, key := range []string{"list-a--0a", "list-b_b-0a", "list-_h-0a", "list-_zz-0a", "list-x", "list-y-0", "list-y-0-", "list-z-2-0a"} {
		for _, partition := range []string{"s00", "s0f"} {
			if err := f.service.Load([]table.Row{{Table: "rekey", PartitionKey: partition, RowKey: key}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, limit := range []int{1, 2, 5, 100} {
		var got []string
		pages := 0
		for next := (&index.Query{Limit: limit}); next != nil; pages++ {
			if pages > 100 {
				t.Fatalf("pages of %d do not end: %q", limit, got[:min(len(got), 30)])
			}
			records, more, err := f.Page(t.Context(), *next)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				got = append(got, rec.ID)
			}
			next = more
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
}

// A row of a list that a person has deleted blocks neither a new name nor the removal, and one
// that is restored hides nothing.
func TestAListRowThatIsGoneIsHealed(t *testing.T) {
	for _, kind := range []string{"list-", "plist-"} {
		f := newFixture(t, table.Config{}, nil)
		rec := mustCreate(t, f, rotation.Record{ID: "one", Version: 1, Name: "old"}, rotation.Event{At: epoch})
		names := func() (all []string) {
			t.Helper()
			records, _, err := f.Page(t.Context(), index.Query{Limit: 10, Project: new("")})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				all = append(all, r.Name)
			}
			return all
		}
		lost := f.service.Rows(kind)[0]
		f.remove(t, lost.RowKey)
		rec.Name, rec.Version = "new", 2
		rec, err := f.Commit(t.Context(), rec, rotation.Event{At: epoch})
		if err != nil || !slices.Equal(names(), []string{"new"}) {
			t.Fatalf("%s: renamed: %v, %q", kind, err, names())
		}
		if err := f.service.Load([]table.Row{lost}); err != nil {
			t.Fatal(err)
		}
		if got := names(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("%s: restored: %q", kind, got)
		}
		f.remove(t, lost.RowKey)
		f.remove(t, f.service.Rows(kind)[0].RowKey)
		if err := f.Remove(t.Context(), rec, rotation.Event{At: epoch}); err != nil {
			t.Errorf("%s: Remove: %v", kind, err)
		}
		if left := len(f.service.Rows("list-")) + len(f.service.Rows("plist-")); left != 0 {
			t.Errorf("%s: %d rows are left", kind, left)
		}
	}
}
