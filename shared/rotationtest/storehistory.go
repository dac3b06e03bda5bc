package rotationtest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
)

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
	PlainOnly(t)
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
