package rotationtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// What a process that has died was at is ten minutes older, and the next one takes over at
// once; what one that lives is at stays as it is.
func TestBuryEndsTheLeasesOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		store, begun := w.StorePort(), time.Now()
		for _, id := range []string{"dead", "live", "free"} {
			rec := rotation.Record{ID: id, CreatedAt: time.Now(), WakeAt: time.Now().Add(time.Hour)}
			rec.Run = &rotation.Run{ID: "r", StartedAt: begun}
			if id != "free" {
				rec.Lease = rotation.Lease{Token: id, Until: time.Now().Add(time.Hour)}
			}
			if _, err := store.Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := rotationtest.Bury(t.Context(), store, time.Now(), func(l rotation.Lease) bool { return l.Token == "dead" }); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"dead", "live", "free"} {
			rec, err := store.Load(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			want := time.Duration(0)
			if id == "dead" {
				want = 10 * time.Minute
			}
			if got := begun.Sub(rec.Run.StartedAt); got != want {
				t.Errorf("%s: its run began %s earlier, want %s", id, got, want)
			}
			held := !rec.Lease.Until.Before(time.Now())
			if due := !rec.WakeAt.After(time.Now().Add(time.Second)); held != (id == "live") || due != (id == "dead") {
				t.Errorf("%s: lease until %s, wakes at %s; it is %s", id, rec.Lease.Until, rec.WakeAt, time.Now())
			}
		}
	})
}
