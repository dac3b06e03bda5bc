package rotationtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// Of a process that has died the next one takes over at once, of one that lives nothing.
func TestBuryEndsTheLeasesOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rotationtest.NewWorld(t)
		store := w.StorePort()
		for _, id := range []string{"dead", "live", "free"} {
			rec := rotation.Record{ID: id, CreatedAt: time.Now(), WakeAt: time.Now().Add(time.Hour)}
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
			held := !rec.Lease.Until.Before(time.Now())
			if due := !rec.WakeAt.After(time.Now().Add(time.Second)); held != (id == "live") || due != (id == "dead") {
				t.Errorf("%s: lease until %s, wakes at %s; it is %s", id, rec.Lease.Until, rec.WakeAt, time.Now())
			}
		}
	})
}
