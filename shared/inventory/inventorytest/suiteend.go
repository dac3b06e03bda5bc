package inventorytest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

// KeptPage is a page with one application.
func KeptPage(scanID string, number int) scan.KeptPage {
	return scan.KeptPage{ScanID: scanID, Number: number, List: inventory.Applications,
		Applications: []inventory.Application{small(NewID(), 1)}}
}

// between returns the ends of a test's own time.
func (s storeTest) between(t *testing.T, from, to time.Time, tenantID string) []catalog.End {
	t.Helper()
	ends, more, err := s.Ending(t.Context(), catalog.EndQuery{TenantID: tenantID, From: from, To: to}, 1000)
	if err != nil || more {
		t.Fatalf("Ending: more %v, %v", more, err)
	}
	return ends
}

func (s storeTest) ends(t *testing.T) {
	from := era(t)
	tenantIDs := []string{NewID(), NewID()}
	var want []catalog.End
	var apps []inventory.Application
	for i := range 40 {
		app := small(tenantIDs[i%2])
		for j := range 3 {
			app.Credentials = append(app.Credentials, secretAt(from.Add(time.Duration((i*7+j*13)%50)*time.Minute)))
		}
		apps, want = append(apps, app), append(want, catalog.Ends(&app)...)
	}
	s.put(t, 160, apps)
	slices.SortFunc(want, catalog.End.Compare)
	same(t, "all ends", s.between(t, from, from.Add(time.Hour), ""), want)
	for _, id := range tenantIDs {
		mine := slices.DeleteFunc(slices.Clone(want), func(e catalog.End) bool { return e.TenantID != id })
		same(t, "the ends of one tenant", s.between(t, from, from.Add(time.Hour), id), mine)
	}
}

func (s storeTest) endRange(t *testing.T) {
	at := era(t)
	app := small(NewID())
	app.CreatedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	app.Credentials = []inventory.Credential{
		secretAt(at.In(time.FixedZone("", -3600))), secretAt(at.Add(time.Second + 999*time.Millisecond)), secretAt(time.Time{}),
		secretAt(time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC)),
	}
	none, ancient := small(app.TenantID), small(app.TenantID)
	ancient.Credentials = []inventory.Credential{secretAt(time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC))}
	s.put(t, 5+2+2, []inventory.Application{app, none, ancient})
	for _, tt := range []struct {
		from, to time.Time
		want     int
	}{
		{at, at, 0}, {at, at.Add(time.Nanosecond), 1}, {at.Add(time.Nanosecond), at.Add(time.Second), 0}, {at, at.Add(time.Second), 1},
		{at.Add(time.Nanosecond), at.Add(2 * time.Second), 1}, {at.Add(time.Second), at.Add(time.Second + 1), 1}, {at, catalog.Never, 2},
		{at.In(time.FixedZone("", 7200)), time.Time{}, 5}, {catalog.Never, time.Time{}, 3}, {catalog.Never, catalog.Never.AddDate(1, 0, 0), 3},
		{catalog.Never.Add(time.Nanosecond), time.Time{}, 0}, {catalog.Never.AddDate(1, 0, 0), time.Time{}, 0}, {time.Time{}, at, 1},
		{time.Time{}, time.Time{}, 6},
	} {
		if got := s.between(t, tt.from, tt.to, app.TenantID); len(got) != tt.want {
			t.Errorf("from %s to %s there are %d, want %d: %v", tt.from, tt.to, len(got), tt.want, got)
		}
	}
	last := s.between(t, catalog.Never, time.Time{}, app.TenantID)
	without := slices.IndexFunc(last, func(e catalog.End) bool { return e.KeyID == "" })
	if without < 0 || last[without].Key != none.Key || !last[without].At.Equal(catalog.Never) {
		t.Errorf("what has no credential is at %v", last)
	}
}

func (s storeTest) endPages(t *testing.T) {
	from := era(t)
	app := small(NewID())
	for i := range 90 {
		app.Credentials = append(app.Credentials, secretAt(from.Add(time.Duration(i/9)*time.Second)))
	}
	other := small(NewID())
	other.Credentials = []inventory.Credential{secretAt(from.Add(3 * time.Second))}
	s.put(t, 91+2, []inventory.Application{app, other})
	for _, tenantID := range []string{"", app.TenantID} {
		want := catalog.Ends(&app)
		if tenantID == "" {
			want = append(want, catalog.Ends(&other)...)
			slices.SortFunc(want, catalog.End.Compare)
		}
		for _, limit := range []int{1, 7, len(want) - 1, len(want), 1000} {
			q := catalog.EndQuery{TenantID: tenantID, From: from, To: from.Add(time.Minute)}
			var got []catalog.End
			for {
				ends, more, err := s.Ending(t.Context(), q, limit)
				if err != nil || len(ends) > limit || more != (len(got)+len(ends) < len(want)) {
					t.Fatalf("Ending: %d of %d, more %v, %v", len(ends), limit, more, err)
				}
				if got = append(got, ends...); !more {
					break
				}
				q.After = &ends[len(ends)-1]
			}
			same(t, "the ends, page by page", got, want)
		}
	}
	if ends, _, err := s.Ending(t.Context(), catalog.EndQuery{}, 0); err != nil || len(ends) != 0 {
		t.Errorf("with limit 0: %v, %v", ends, err)
	}
}

// accepts adds to what is accepted about an application.
func (s storeTest) accepts(t *testing.T, key inventory.Key, more inventory.Acceptance) {
	t.Helper()
	if err := s.Accept(t.Context(), key, func(is []inventory.Acceptance) ([]inventory.Acceptance, error) {
		return append(is, more), nil
	}); err != nil {
		t.Fatalf("Accept: %v", err)
	}
}

func (s storeTest) accept(t *testing.T) {
	app, other := small(NewID(), 1), small(NewID(), 1)
	s.put(t, 4, []inventory.Application{app, other})
	want := []inventory.Acceptance{
		{Kind: inventory.NeverEnds, KeyID: "k", Reason: everyScript, By: "b", At: epoch, Until: epoch.AddDate(1, 0, 0)},
		{Kind: inventory.Unused, Reason: Scripts(1000, 1)}}
	check := func() {
		t.Helper()
		same(t, "the row", s.row(t, app.Key), catalog.Row{Application: app, Accepted: want})
		same(t, "the row of a list", s.rows(t, app.TenantID)[app.ClientID], catalog.Row{Application: app, Accepted: want})
		same(t, "the other row", s.row(t, other.Key), catalog.Row{Application: other})
	}
	s.accepts(t, app.Key, want[0])
	s.accepts(t, app.Key, want[1])
	check()
	app.Name = "another one"
	s.put(t, 1, []inventory.Application{app})
	check()
	no := errors.New("no")
	wantError(t, "a change that is refused", s.Accept(t.Context(), app.Key,
		func(is []inventory.Acceptance) ([]inventory.Acceptance, error) { return nil, no }), no)
	check()
	wantError(t, "of no application", s.Accept(t.Context(), inventory.Key{TenantID: app.TenantID, ClientID: NewID()},
		func(is []inventory.Acceptance) ([]inventory.Acceptance, error) { return want, nil }), serviceerror.ErrNotFound)
	wantError(t, "of an id that is none", s.Accept(t.Context(), inventory.Key{TenantID: "x", ClientID: "y"},
		func(is []inventory.Acceptance) ([]inventory.Acceptance, error) { return want, nil }), serviceerror.ErrNotFound)
	wantError(t, "of one that goes meanwhile", s.Accept(t.Context(), other.Key,
		func(is []inventory.Acceptance) ([]inventory.Acceptance, error) {
			s.put(t, 2, nil, other.Key)
			return want, nil
		}), serviceerror.ErrNotFound)
	s.put(t, 2, []inventory.Application{other})
	check()
	for range 2 { // taking all back, also where there is nothing
		if err := s.Accept(t.Context(), app.Key, func([]inventory.Acceptance) ([]inventory.Acceptance, error) { return nil, nil }); err != nil {
			t.Fatalf("Accept: %v", err)
		}
		want = nil
		check()
	}
}

func (s storeTest) acceptRace(t *testing.T) {
	app := small(NewID(), 1)
	s.put(t, 2, []inventory.Application{app})
	for round := range 2 { // the first one is of a row that is not there yet
		err := s.Accept(t.Context(), app.Key, func(is []inventory.Acceptance) ([]inventory.Acceptance, error) {
			s.accepts(t, app.Key, inventory.Acceptance{Reason: "theirs"})
			return append(is, inventory.Acceptance{Reason: "mine"}), nil
		})
		wantError(t, "Accept", err, serviceerror.ErrConflict)
		if got := s.row(t, app.Key).Accepted; len(got) != round+1 || got[round].Reason != "theirs" {
			t.Errorf("accepted is %v", got)
		}
	}
}
