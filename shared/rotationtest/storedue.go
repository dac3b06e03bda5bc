package rotationtest

import (
	"crypto/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"rekey/shared/index"
)

// due returns the wake-ups of ids up to until, as the store orders them.
func (s storeTest) due(t *testing.T, until time.Time, ids ...string) []index.Due {
	t.Helper()
	all, err := s.Due(t.Context(), until, 1000)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return slices.DeleteFunc(all, func(d index.Due) bool { return !slices.Contains(ids, d.ID) })
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
