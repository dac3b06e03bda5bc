package inventorytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/serviceerror"
)

// small is an application with client secrets that end so many hours after epoch.
func small(tenantID string, hours ...int) inventory.Application {
	app := inventory.Application{Key: inventory.Key{TenantID: tenantID, ClientID: NewID()}, Name: "app " + everyScript,
		FirstSeenAt: epoch, ChangedAt: epoch}
	for _, h := range hours {
		app.Credentials = append(app.Credentials, secretAt(epoch.Add(time.Duration(h)*time.Hour)))
	}
	return app
}

// upTo returns so many hours.
func upTo(n int) []int {
	hours := make([]int, n)
	for i := range hours {
		hours[i] = i
	}
	return hours
}

func secretAt(end time.Time) inventory.Credential {
	return inventory.Credential{KeyID: NewID(), Kind: inventory.ClientSecret, Holder: inventory.Registration, EndsAt: end}
}

func (s storeTest) everyApplication(t *testing.T) {
	full := LargeApplication(inventory.Key{TenantID: NewID(), ClientID: NewID()}, epoch.Add(123456700), 2, 1)
	empty := inventory.Application{Key: inventory.Key{TenantID: full.TenantID, ClientID: NewID()}}
	odd := small(full.TenantID, 1)
	odd.Credentials[0].KeyID, odd.Name = everyScript, everyScript
	s.put(t, 3+2+2, []inventory.Application{full, empty, odd})
	for _, want := range []inventory.Application{full, empty, odd} {
		same(t, "the row", s.row(t, want.Key), catalog.Row{Application: want})
	}
	if rows := s.rows(t, full.TenantID); len(rows) != 3 {
		t.Errorf("%d rows", len(rows))
	}
	s.indexed(t, full.TenantID)
}

func (s storeTest) unchanged(t *testing.T) {
	apps := []inventory.Application{small(NewID(), 1, 2), small(NewID()), small(NewID(), upTo(150)...)}
	s.put(t, 3+2+151, apps)
	s.put(t, 0, apps)
	s.put(t, 0, nil)
	s.put(t, 0, nil, inventory.Key{TenantID: NewID(), ClientID: NewID()})
	for _, app := range apps {
		same(t, "the row", s.row(t, app.Key), catalog.Row{Application: app})
		s.indexed(t, app.TenantID)
	}
}

func (s storeTest) changed(t *testing.T) {
	a, b := small(NewID(), 1, 2, 3), small(NewID(), 1)
	s.put(t, 4+2, []inventory.Application{a, b})
	a.Name = "only the name"
	s.put(t, 1, []inventory.Application{a, b})
	a.Credentials = a.Credentials[1:] // one is gone
	a.Credentials[0].EndsAt = epoch.Add(time.Minute)
	a.Credentials = append(a.Credentials, secretAt(time.Time{}))
	s.put(t, 1+2+2, []inventory.Application{b, a})
	s.indexed(t, a.TenantID)
	a.Credentials, b.Credentials = nil, []inventory.Credential{secretAt(time.Time{}), secretAt(time.Time{})}
	s.put(t, 1+1+3+1+2+1, []inventory.Application{a, b})
	for _, app := range []inventory.Application{a, b} {
		same(t, "the row", s.row(t, app.Key), catalog.Row{Application: app})
		s.indexed(t, app.TenantID)
	}
}

func (s storeTest) gone(t *testing.T) {
	tenantID := NewID()
	stays, goes, large := small(tenantID, 1), small(tenantID, 1, 2), small(tenantID, upTo(150)...)
	s.put(t, 2+3+151, []inventory.Application{stays, goes, large})
	for _, app := range []inventory.Application{stays, goes, large} {
		s.accepts(t, app.Key, inventory.Acceptance{Kind: inventory.Ownerless, Reason: "r"})
	}
	s.put(t, 4+152, nil, goes.Key, large.Key)
	s.put(t, 0, nil, goes.Key, large.Key)
	for _, app := range []inventory.Application{goes, large} {
		_, err := s.Row(t.Context(), app.Key)
		wantError(t, "Row", err, serviceerror.ErrNotFound)
	}
	if rows := s.rows(t, tenantID); len(rows) != 1 || len(rows[stays.ClientID].Accepted) != 1 {
		t.Errorf("left are %v", rows)
	}
	s.indexed(t, tenantID)
	// One that comes back is a new one.
	s.put(t, 3, []inventory.Application{goes})
	same(t, "the row", s.row(t, goes.Key), catalog.Row{Application: goes})
	s.indexed(t, tenantID)
}

// large writes the largest application that there may be, shrinks it and lets it grow again.
func (s storeTest) large(t *testing.T) {
	app := LargeApplication(inventory.Key{TenantID: NewID(), ClientID: NewID()}, epoch, inventory.MaxCredentials, 5)
	all := app.Credentials
	s.put(t, 1+len(all), []inventory.Application{app})
	s.indexed(t, app.TenantID)
	same(t, "the row", s.row(t, app.Key), catalog.Row{Application: app})
	for _, keep := range []int{980, 3, 0, len(all)} {
		app.Credentials = all[:keep]
		s.put(t, some, []inventory.Application{app})
		s.indexed(t, app.TenantID)
		same(t, "the row", s.row(t, app.Key), catalog.Row{Application: app})
	}
}

func (s storeTest) many(t *testing.T) {
	tenantIDs := []string{NewID(), NewID()}
	var apps []inventory.Application
	want, rows := map[string]inventory.Application{}, 0
	for i := range 500 {
		app := small(tenantIDs[i%2], slices.Repeat([]int{i}, i%5)...)
		apps, rows = append(apps, app), rows+1+max(i%5, 1)
		want[app.ClientID] = app
	}
	s.put(t, rows, apps)
	check := func() {
		t.Helper()
		n := 0
		for _, id := range tenantIDs {
			for clientID, row := range s.rows(t, id) {
				same(t, "the row", row, catalog.Row{Application: want[clientID]})
				n++
			}
			s.indexed(t, id)
		}
		if n != len(want) {
			t.Errorf("%d rows, want %d", n, len(want))
		}
	}
	check()
	// Some change, some go, some come, and most stay as they are.
	var gone []inventory.Key
	rows = 0
	for i := range apps {
		n := max(i%5, 1)
		switch i % 10 {
		case 0:
			gone, rows = append(gone, apps[i].Key), rows+1+n
			delete(want, apps[i].ClientID)
		case 1:
			apps[i].Name = fmt.Sprint("changed ", i)
			want[apps[i].ClientID], rows = apps[i], rows+1
		}
	}
	var write []inventory.Application
	for _, app := range want {
		write = append(write, app)
	}
	extra := small(tenantIDs[0], 7)
	want[extra.ClientID] = extra
	s.put(t, rows+2, append(write, extra), gone...)
	check()
}

// twoWriters: two scans at once write different things about the same applications.
func (s storeTest) twoWriters(t *testing.T) {
	tenantID := NewID()
	var first []inventory.Application
	for i := range 30 {
		first = append(first, small(tenantID, i, i+1))
	}
	first = append(first, small(tenantID, upTo(120)...))
	if _, err := s.Put(t.Context(), first[:20], nil); err != nil {
		t.Fatal(err)
	}
	versions := make([][]inventory.Application, 4)
	for v := range versions {
		versions[v] = slices.Clone(first)
		for i := range versions[v] {
			app := &versions[v][i]
			app.Name = fmt.Sprint(v)
			app.Credentials = append(slices.Clone(app.Credentials[v%2:]), secretAt(epoch.Add(time.Duration(v)*time.Hour)))
		}
	}
	var all sync.WaitGroup
	errs := make([]error, len(versions))
	for v := range versions {
		all.Go(func() { _, errs[v] = s.Put(t.Context(), versions[v], nil) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil && !errors.Is(err, serviceerror.ErrConflict) {
		t.Fatalf("Put: %v", err)
	}
	if err := errors.Join(errs...); err != nil { // one that lost is repeated
		if _, err := s.Put(t.Context(), versions[0], nil); err != nil {
			t.Fatalf("Put again: %v", err)
		}
	}
	rows := s.rows(t, tenantID)
	for i, app := range first {
		row := rows[app.ClientID]
		if !slices.ContainsFunc(versions, func(v []inventory.Application) bool { return text(t, v[i]) == text(t, row.Application) }) {
			t.Errorf("the row is not what one of them wrote: %.200s", text(t, row))
		}
	}
	s.indexed(t, tenantID)
}

func (s storeTest) badKeys(t *testing.T) {
	good := small(NewID(), 1)
	for _, id := range []string{"", "one", strings.ToUpper(NewID()) + "A", "a/b", NewID() + "-"} {
		for _, key := range []inventory.Key{{TenantID: id, ClientID: NewID()}, {TenantID: NewID(), ClientID: id}} {
			s.putRefused(t, fmt.Sprint("writing ", key), []inventory.Application{good, {Key: key}})
			s.putRefused(t, fmt.Sprint("deleting ", key), nil, good.Key, key)
		}
	}
	for _, keys := range [][]inventory.Key{{good.Key}, {{TenantID: good.TenantID, ClientID: NewID()}}} {
		s.putRefused(t, "naming one twice", []inventory.Application{good}, append(keys, keys...)...)
	}
	if rows := s.rows(t, good.TenantID); len(rows) != 0 {
		t.Errorf("something was written: %v", rows)
	}
}

func (s storeTest) putRefused(t *testing.T, what string, write []inventory.Application, gone ...inventory.Key) {
	t.Helper()
	if n, err := s.Put(t.Context(), write, gone); n != 0 || serviceerror.ClassOf(err) != serviceerror.Invalid {
		t.Errorf("%s: %d rows, %v", what, n, err)
	}
}

func (s storeTest) visitors(t *testing.T) {
	tenant := inventory.Tenant{ID: NewID()}
	scanID := inventory.ScanID(tenant.ID, "a")
	for i := range 3 {
		tenant = s.keep(t, tenant, KeptPage(scanID, i))
	}
	var apps []inventory.Application
	for range 40 {
		apps = append(apps, small(tenant.ID, 1))
	}
	s.put(t, 80, apps)
	enough := errors.New("enough")
	for name, visit := range map[string]func(stop func() error) error{
		"Pages": func(stop func() error) error {
			return s.Pages(t.Context(), scanID, func(int, inventory.List, []inventory.Application) error { return stop() })
		},
		"Rows": func(stop func() error) error {
			return s.Rows(t.Context(), tenant.ID, func(catalog.Row) error { return stop() })
		},
	} {
		n := 0
		err := visit(func() error {
			if n++; n == 2 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || n != 2 {
			t.Errorf("%s: %d visits, %v", name, n, err)
		}
	}
}
