package connection_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func in(days int) time.Time { return noon.AddDate(0, 0, days) }

// waiting is a connection that rotates at its slot and wakes at wake.
func waiting(id string, slot, wake time.Time) rotation.Record {
	return rotation.Record{
		ID: id, Name: id, Phase: rotation.Idle, Acknowledged: true, NextSlot: slot, WakeAt: wake, Version: 1,
		Policy: rotation.Policy{Enabled: true, Schedule: schedule.Schedule{Interval: 30}},
	}
}

func connections(t *testing.T, w *rotationtest.World, records ...rotation.Record) {
	t.Helper()
	for _, rec := range records {
		if _, err := w.StorePort().Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
}

// comes says what comes next: the ids, and how many hours from now.
func comes(t *testing.T, s *connection.Service, limit int) (list []string, until time.Time) {
	t.Helper()
	got, err := s.Upcoming(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Rotations {
		list = append(list, fmt.Sprintf("%s %g", r.Record.ID, time.Until(r.At).Round(time.Minute).Hours()))
	}
	return list, got.Until
}

// What comes next is in the order of the rotations, whatever the records wake for before them.
func TestWhatComesNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		in := func(hours float64) time.Time { return time.Now().Add(time.Duration(hours * float64(time.Hour))) }
		change := func(rec rotation.Record, f func(*rotation.Record)) rotation.Record { f(&rec); return rec }
		connections(t, w,
			waiting("plain", in(20), in(20)), waiting("removes-first", in(30), in(1)), waiting("renews-first", in(10), in(2)),
			change(waiting("paused", in(3), in(3)), func(r *rotation.Record) { r.Policy.Enabled = false }),
			change(waiting("goes", in(4), in(4)), func(r *rotation.Record) { r.Phase = rotation.Deleting }),
			change(waiting("to-go", in(4), in(4)), func(r *rotation.Record) { r.Request = &rotation.Request{Kind: rotation.AskDelete} }),
			change(waiting("rotates", in(-1), in(0)), func(r *rotation.Record) { r.Phase, r.Run = rotation.Verifying, &rotation.Run{} }),
			change(waiting("given", in(50), in(0)), func(r *rotation.Record) { r.Phase, r.Run = rotation.Rebinding, &rotation.Run{} }),
			change(waiting("expires", in(900), in(6)), func(r *rotation.Record) {
				r.Current = &rotation.Credential{Since: in(-1000), ExpiresAt: in(6 + 48)}
			}),
			change(waiting("failed", in(-5), in(7)), func(r *rotation.Record) { r.Error = &rotation.Failure{RetryAt: in(7)} }),
			// Its slot is over, but too many orphans have to be removed first.
			change(waiting("crowded", in(-3), in(9)), func(r *rotation.Record) { r.Via = "plain" }),
			waiting("overdue", in(-0.5), in(-0.5)),
		)
		want := []string{"overdue -0.5", "expires 6", "failed 7", "crowded 9", "renews-first 10", "plain 20", "removes-first 30", "given 50"}
		for limit := 1; limit < len(want)+3; limit++ {
			got, until := comes(t, service(w), limit)
			if !slices.Equal(got, want[:min(limit, len(want))]) || !until.IsZero() {
				t.Errorf("the next %d: %q until %v, want %q", limit, got, until, want)
			}
		}
		if gone, _ := comes(t, service(rotationtest.NewWorld(t)), 10); len(gone) != 0 {
			t.Errorf("in an empty table: %q", gone)
		}
	})
}

// However many records wake for something else first, the order is that of all records; of what may
// not be right, nothing is shown.
func TestWhatComesNextIsInTheOrderOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(20) {
			if !rotationtest.Sample(int(seed)) {
				continue
			}
			r, w := rand.New(rand.NewPCG(seed, 0)), rotationtest.NewWorld(t)
			now, early := time.Now().Truncate(time.Second), r.Float64()
			var all []rotation.Record
			for i := range 300 {
				slot := now.Add(time.Duration(r.IntN(720)) * time.Hour)
				wake := slot
				if r.Float64() < early {
					wake = now.Add(time.Duration(r.Float64() * float64(slot.Sub(now)))).Truncate(time.Second)
				}
				all = append(all, waiting(fmt.Sprintf("c%03d", i), slot, wake))
			}
			connections(t, w, all...)
			slices.SortFunc(all, func(a, b rotation.Record) int {
				return cmp.Or(a.NextSlot.Compare(b.NextSlot), strings.Compare(a.ID, b.ID))
			})
			for _, limit := range []int{1, 10, 100} {
				got, err := service(w).Upcoming(t.Context(), limit)
				if err != nil || len(got.Rotations) != limit || !got.Until.IsZero() {
					t.Fatalf("seed %d: %d of %d until %v, %v", seed, len(got.Rotations), limit, got.Until, err)
				}
				for i, next := range got.Rotations {
					if !next.At.Equal(all[i].NextSlot) {
						t.Fatalf("seed %d, limit %d: place %d is %s at %v, want %v", seed, limit, i, next.Record.ID, next.At, all[i].NextSlot)
					}
				}
			}
		}
	})
}

// What the list costs follows from what is on it. Where a thousand records wake for something else,
// it ends where it is not right any more, and says so.
func TestCostOfWhatComesNext(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, tt := range map[string]struct {
		wakes  func(i int, slot, now time.Time) time.Time
		shown  int
		looks  int // at the due index
		loads  int
		before time.Duration // from now; 0: the list is full
	}{
		"nothing comes before":  {func(_ int, slot, _ time.Time) time.Time { return slot }, 10, 1, 20, 0},
		"every second removes":  {half, 10, 2, 80, 0},
		"all remove, and later": {removing, 0, 4, 1000, 999 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := rotationtest.NewWorld(t)
				now := time.Now()
				for i := range 1500 {
					slot := now.Add(30*24*time.Hour + time.Duration(i)*time.Minute)
					connections(t, w, waiting(fmt.Sprintf("c%04d", i), slot, tt.wakes(i, slot, now)))
				}
				w.Calls()
				got, until := comes(t, service(w), 10)
				calls := w.Calls()
				if len(got) != tt.shown || calls["store.due"] != tt.looks || calls["store.load"] != tt.loads {
					t.Errorf("%d are shown after %v, want %d after %d and %d", len(got), calls, tt.shown, tt.looks, tt.loads)
				}
				if tt.before == 0 != until.IsZero() || tt.before != 0 && !until.Equal(now.Add(tt.before)) {
					t.Errorf("the list is right until %v, want %v from now", until, tt.before)
				}
			})
		})
	}
}

// removing lets each wake before all slots.
func removing(i int, _, now time.Time) time.Time { return now.Add(time.Duration(i) * time.Minute) }

// half lets every second one of the first eighty wake a day before its slot.
func half(i int, slot, _ time.Time) time.Time {
	if i < 80 && i%2 == 0 {
		return slot.Add(-24 * time.Hour)
	}
	return slot
}

// A record that can't be read hides no other; a table that does not answer is no empty list.
func TestWhatComesNextWithATableThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		at := time.Now().Add(time.Hour)
		connections(t, w, waiting("newer", at, at), waiting("one", at.Add(time.Hour), at.Add(time.Hour)))
		w.StorePort().(rotationtest.RawStore).SetProperty(t, "newer", "schema", rotation.Schema+1)
		s := service(w)
		if got, _ := comes(t, s, 10); !slices.Equal(got, []string{"one 2"}) || !strings.Contains(w.Log.String(), "left out of a list") {
			t.Errorf("beside one that can't be read: %q", got)
		}
		for name, broken := range map[string]*halfDue{"the index": {due: errLost}, "a record": {load: errLost}} {
			broken.Records = s.Records
			with := service(w)
			with.Records = broken
			if got, err := with.Upcoming(t.Context(), 10); err == nil || len(got.Rotations) != 0 {
				t.Errorf("without %s: %+v, %v", name, got, err)
			}
		}
		gone := service(w)
		gone.Records = &halfDue{Records: s.Records, load: fmt.Errorf("loading: %w", serviceerror.ErrNotFound)}
		if got, _ := comes(t, gone, 10); len(got) != 0 {
			t.Errorf("of what went meanwhile: %q", got)
		}
	})
}

// halfDue is a table that answers a part of what it is asked for; its index has a tenant's inventory.
type halfDue struct {
	connection.Records
	due, load error
}

func (h *halfDue) Due(ctx context.Context, until time.Time, limit int) ([]rotation.Due, error) {
	due, err := h.Records.Due(ctx, until, limit)
	return append(due, rotation.Due{ID: inventory.DueID("t"), Wake: until}), cmp.Or(h.due, err)
}

func (h *halfDue) Load(ctx context.Context, id string) (rotation.Record, error) {
	if h.load != nil {
		return rotation.Record{}, h.load
	}
	return h.Records.Load(ctx, id)
}
