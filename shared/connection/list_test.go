package connection_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// After a rollback one connection that the newer Rekey has written hides no other. The
// log says once how many are left out. The API tells a caller who asks for one of them why,
// and also a caller who creates it because no list has it.
func TestListLeavesNewerConnectionsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		if _, err := s.create(t.Context()); err != nil {
			t.Fatal(err)
		}
		raw := s.w.StorePort().(rotationtest.RawStore)
		for _, id := range []string{"newer-1", "newer-2"} {
			if _, err := s.w.StorePort().Create(t.Context(), rotation.Record{ID: id, CreatedAt: time.Now()}); err != nil {
				t.Fatal(err)
			}
			raw.SetProperty(t, id, "schema", rotation.Schema+1)
		}
		list, err := service(s.w).List(t.Context(), nil)
		if err != nil || len(list) != 1 || list[0].ID != s.id {
			t.Errorf("listed %+v, %v", list, err)
		}
		if log := s.w.Log.String(); strings.Count(log, "left out of a list") != 1 || !strings.Contains(log, `"rows":2`) {
			t.Errorf("logged %s", log)
		}
		if _, err := service(s.w).Get(t.Context(), "newer-1"); kindOf(err) != connection.Conflict {
			t.Errorf("asked for one: %v", err)
		}
		raw.SetProperty(t, s.id, "schema", rotation.Schema+1)
		for range 2 { // soon after, and when its reservations might be void
			if rec, err := service(s.w).Create(t.Context(), s.input()); kindOf(err) != connection.Conflict {
				t.Errorf("made once more: %+v, %v", rec, err)
			}
			time.Sleep(time.Hour)
		}
	})
}
