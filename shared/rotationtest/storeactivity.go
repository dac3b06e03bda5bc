package rotationtest

import (
	"crypto/rand"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/activity"
	"rekey/shared/history"
	"rekey/shared/rotation"
)

// activity counts runs in weeks of its own, since the table may have those of other tests. They are
// before those of the others, whose history must not be pruned.
func (s storeTest) activity(t *testing.T) {
	ctx := t.Context()
	weeksAgo, err := rand.Int(rand.Reader, big.NewInt(40_000))
	if err != nil {
		t.Fatal(err)
	}
	monday := activity.WeekOf(storeEpoch).AddDate(0, 0, -7*(10+int(weeksAgo.Int64())))
	at := func(after time.Duration, kind, run string) rotation.Event {
		return rotation.Event{At: monday.Add(after), Kind: kind, RunID: run}
	}
	const week = 7 * 24 * time.Hour
	id, other := rand.Text(), rand.Text()
	long := strings.Repeat("ü/", 500) // no caller's id is a key
	rec := s.create(t, id, time.Time{}, at(0, history.Started, "a"))
	rec = s.commit(t, rec, at(0, history.Published, "a"))
	rec = s.commit(t, rec, at(time.Hour, history.Failed, "b"), at(time.Hour, history.Failed, "b"), at(time.Hour, history.Failed, long))
	rec = s.commit(t, rec, at(2*time.Hour, history.Failed, "b")) // tried again
	stale := rec
	rec = s.commit(t, rec, at(week-1, history.Published, "b"), at(week-1, history.Failed, ""))
	if _, err := s.Commit(ctx, stale, at(week-1, history.Published, "lost")); err == nil {
		t.Error("a commit of a stale record was taken")
	}
	rec = s.commit(t, rec, at(-1, history.Published, "before"), at(week, history.Failed, "after"), at(3*week-1, history.Published, "last"))
	s.create(t, other, time.Time{}, at(0, history.Published, "a"), at(0, history.AttemptDropped, "c"), at(0, history.Rebound, "d"))
	counted := func(when string, want ...activity.Week) {
		t.Helper()
		got, err := s.Activity(ctx, monday.Add(3*week-1), 4)
		for i := range want {
			want[i].Start = monday.Add(time.Duration(i-1) * week)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v (%v)", when, got, want, err)
		}
	}
	before, first := activity.Week{Succeeded: 1}, activity.Week{Succeeded: 3, Failed: 3}
	second, third := activity.Week{Failed: 1}, activity.Week{Succeeded: 1}
	counted("counted", before, first, second, third)
	first.Start = monday
	if got, err := s.Activity(ctx, monday.Add(week/2), 1); err != nil || !slices.Equal(got, []activity.Week{first}) {
		t.Errorf("one week: %+v, %v", got, err)
	}
	if err := s.Remove(ctx, rec); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	prune := func(before time.Time) {
		t.Helper()
		for more := true; more; {
			if _, more, err = s.Prune(ctx, before, 2); err != nil {
				t.Fatalf("Prune: %v", err)
			}
		}
	}
	prune(monday.Add(week - 1))
	counted("after the first week", activity.Week{}, first, second, third)
	prune(monday.Add(2 * week))
	counted("after the third", activity.Week{}, activity.Week{}, activity.Week{}, third)
}
