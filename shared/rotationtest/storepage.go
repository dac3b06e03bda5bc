package rotationtest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/index"
	"rekey/shared/rotation"
)

// listed stores a record that lists show.
func (s storeTest) listed(t *testing.T, project, name, via string) rotation.Record {
	t.Helper()
	rec := s.create(t, strings.ToLower(rand.Text()), time.Time{})
	if err := s.Remove(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	rec.Project, rec.Name, rec.Via, rec.Version = project, name, via, 1
	rec, err := s.Create(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// pages reads the whole list that q asks for.
func (s storeTest) pages(t *testing.T, q index.Query) (all []string) {
	t.Helper()
	for next := &q; next != nil; {
		records, after, err := s.Page(t.Context(), *next)
		if err != nil || len(records) > q.Limit {
			t.Fatalf("Page(%+v): %d records, %v", *next, len(records), err)
		}
		for _, rec := range records {
			all = append(all, rec.Name+" "+rec.ID)
			if (rec.Handle != rotation.Handle{}) {
				t.Error("a listed record can be committed")
			}
		}
		if next = after; next != nil && next.Limit != q.Limit {
			t.Errorf("what to ask for next has the limit %d", next.Limit)
		}
	}
	return all
}

func (s storeTest) page(t *testing.T) {
	PlainOnly(t)
	mine, other := rand.Text()+"/Ü 'x'", rand.Text()
	var want []string
	for _, name := range []string{
		"b", "a", "a-b", "a-1", "ab", "a0", "a-b-c", "z", "0", "a1", "billing", "billing-2", "billing2", "a", "a", "a-b", "zz-top", "m", "n", "o",
	} {
		rec := s.listed(t, mine, name, "")
		want = append(want, name+" "+rec.ID)
		s.listed(t, other, name, "")
		s.listed(t, mine, "target-"+rec.ID, rec.ID)
	}
	slices.SortFunc(want, func(a, b string) int { return cmp.Compare(a, b) })
	for _, limit := range []int{1, 3, len(want) - 1, len(want), 1000} {
		if got := s.pages(t, index.Query{Project: &mine, Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("pages of %d:\n%q, want\n%q", limit, got, want)
		}
	}
	for _, name := range []string{"a", "a-b", "none"} {
		named := slices.DeleteFunc(slices.Clone(want), func(at string) bool { return !strings.HasPrefix(at, name+" ") })
		if got := s.pages(t, index.Query{Project: &mine, Name: name, Limit: 2}); !slices.Equal(got, named) {
			t.Errorf("named %s: %q, want %q", name, got, named)
		}
	}
	// Without a project they are among those of others.
	all := s.pages(t, index.Query{Limit: 1000})
	all = slices.DeleteFunc(all, func(at string) bool { return !slices.Contains(want, at) })
	if !slices.Equal(all, want) {
		t.Errorf("of all projects: %q, want %q", all, want)
	}
	after := strings.Fields(want[7])
	if got := s.pages(t, index.Query{Project: &mine, Limit: 5, AfterName: after[0], AfterID: after[1]}); !slices.Equal(got, want[8:]) {
		t.Errorf("after %s: %q, want %q", after, got, want[8:])
	}
}

func (s storeTest) pageFollows(t *testing.T) {
	project := rand.Text()
	names := func() string {
		var all []string
		for _, at := range s.pages(t, index.Query{Project: &project, Limit: 2}) {
			all = append(all, strings.Fields(at)[0])
		}
		return fmt.Sprint(all)
	}
	one, two := s.listed(t, project, "one", ""), s.listed(t, project, "two", "")
	one.Name = "three"
	one = s.commit(t, one)
	if got := names(); got != "[three two]" {
		t.Errorf("renamed: %s", got)
	}
	one = s.commit(t, one) // and once more, without another name
	loaded := s.load(t, two.ID)
	loaded.Name = "four"
	two = s.commit(t, loaded)
	if got := names(); got != "[four three]" {
		t.Errorf("renamed after it was loaded: %s", got)
	}
	if err := s.Remove(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "[four]" {
		t.Errorf("one removed: %s", got)
	}
	two.Name = "five"
	if err := s.Remove(t.Context(), two); err != nil { // it is removed as it was stored
		t.Fatal(err)
	}
	if got := names(); got != "[]" {
		t.Errorf("both removed: %s", got)
	}
}
