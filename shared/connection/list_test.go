package connection_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/index"
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

// paged counts pages of records.
type paged struct {
	connection.Records
	pages int
}

func (p *paged) Page(ctx context.Context, q index.Query) ([]rotation.Record, *index.Query, error) {
	p.pages++
	return p.Records.Page(ctx, q)
}

// Connections that are being deleted stand in the list and are not shown. However many they are, they
// cost a page little; what is behind them is shown, each once.
func TestAPageAmongWhatIsBeingDeleted(t *testing.T) {
	rotationtest.PlainOnly(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		for i := range 1200 {
			rec := rotation.Record{ID: fmt.Sprint("id-", i), Name: fmt.Sprintf("a-%04d", i), Phase: rotation.Deleting}
			if i == 5 || i == 7 || i >= 1198 {
				rec.Phase = rotation.Idle
			}
			if _, err := s.w.StorePort().Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		list := service(s.w)
		records := &paged{Records: list.Records}
		list.Records = records
		for _, limit := range []int{1, 2, 50} {
			var names []string
			all := 0
			for next := (&index.Query{Limit: limit}); next != nil; {
				records.pages = 0
				page, more, err := list.Page(t.Context(), *next)
				if err != nil || len(page) > limit || records.pages > 10 {
					t.Fatalf("limit %d: %d connections in %d pages of records, %v", limit, len(page), records.pages, err)
				}
				for _, rec := range page {
					names = append(names, rec.Name)
				}
				if all += records.pages; all > 25 {
					t.Fatalf("limit %d: %d pages of records, found %q", limit, all, names)
				}
				if next = more; next != nil && next.Limit != limit {
					t.Fatalf("goes on with a limit of %d", next.Limit)
				}
			}
			if got := strings.Join(names, " "); got != "a-0005 a-0007 a-1198 a-1199" {
				t.Errorf("limit %d: %s", limit, got)
			}
		}
	})
}

// A deletion that does not come to its end is in the list of what needs attention, and nowhere else: the API shows the
// connection no more.
func TestADeletionThatLastsNeedsAttention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		for name, since := range map[string]time.Duration{"lasts": 2 * time.Hour, "under-way": time.Minute} {
			rec := rotation.Record{ID: name, Name: name, Phase: rotation.Deleting, DeletingSince: time.Now().Add(-since)}
			if _, err := s.w.StorePort().Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		list := service(s.w)
		urgent, next, err := list.Page(t.Context(), index.Query{Limit: 10, Attention: time.Now()})
		if err != nil || next != nil || len(urgent) != 1 || urgent[0].ID != "lasts" ||
			!strings.Contains(urgent[0].Lingering(time.Now()), "an hour") {
			t.Errorf("needs attention: %+v, %v, %v", urgent, next, err)
		}
		if all, _, err := list.Page(t.Context(), index.Query{Limit: 10}); err != nil || len(all) != 0 {
			t.Errorf("listed: %+v, %v", all, err)
		}
		if all, err := list.List(t.Context(), nil); err != nil || len(all) != 0 {
			t.Errorf("listed without a limit: %+v, %v", all, err)
		}
		if _, err := list.Get(t.Context(), "lasts"); kindOf(err) != connection.NotFound {
			t.Errorf("it is there: %v", err)
		}
	})
}
