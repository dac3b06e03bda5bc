package tablestore_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/table"
	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
	"rekey/shared/tablestore"
)

// killer lets so many writes through; the next one is lost, or applied without an answer, and
// nothing comes behind it until the process is started again.
type killer struct {
	left    atomic.Int64
	applied bool
}

func (k *killer) hook(op string, _ *http.Request) *fault.Effect {
	isWrite := op != table.OpGet && op != table.OpQuery
	n := k.left.Load()
	if n > 0 && isWrite {
		n = k.left.Add(-1) + 1
	}
	switch {
	case n > 0:
		return nil
	case n == 0 && isWrite:
		k.left.Store(-1)
		return &fault.Effect{Apply: k.applied, Status: http.StatusInternalServerError, Code: "InternalError"}
	case n == 0:
		return nil
	}
	return &fault.Effect{Status: http.StatusInternalServerError, Code: "InternalError"}
}

// scene is a tenant before a scan, and what the scan is to make of it.
type scene struct {
	tenantID string
	before   []inventory.Application
	write    []inventory.Application
	gone     []inventory.Key
}

func newScene() scene {
	s := scene{tenantID: inventorytest.NewID()}
	app := func(credentials int) inventory.Application {
		a := inventorytest.LargeApplication(inventory.Key{TenantID: s.tenantID, ClientID: inventorytest.NewID()}, epoch, credentials, 1)
		a.Owners, a.Federated = nil, nil
		for i := range a.Credentials {
			a.Credentials[i].Name = ""
		}
		return a
	}
	changes := func(a inventory.Application, remove int) inventory.Application {
		a.Credentials = append(slices.Clone(a.Credentials[remove:]), endingAt(epoch.Add(time.Minute)))
		return a
	}
	small, large, goes, largeGoes := app(3), app(220), app(2), app(120)
	s.before = []inventory.Application{small, large, goes, largeGoes, app(1)}
	s.write = []inventory.Application{changes(small, 2), changes(large, 150), app(2), app(130), s.before[4]}
	s.gone = []inventory.Key{goes.Key, largeGoes.Key}
	return s
}

func endingAt(at time.Time) inventory.Credential {
	return inventory.Credential{KeyID: inventorytest.NewID(), EndsAt: at}
}

// rows returns the applications and the ends of the scene.
func (s scene) rows(t *testing.T, v tablestore.Inventory) (rows map[inventory.Key]inventory.Application, ends map[catalog.End]bool) {
	t.Helper()
	rows, ends = map[inventory.Key]inventory.Application{}, map[catalog.End]bool{}
	if err := v.Rows(t.Context(), s.tenantID, func(row catalog.Row) error {
		rows[row.Key] = row.Application
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	all, _, err := v.Ending(t.Context(), catalog.EndQuery{TenantID: s.tenantID}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range all {
		ends[end] = true
	}
	return rows, ends
}

// consistent checks what holds at any moment: the order of ends has every credential that a row
// shows and that is still there.
func (s scene) consistent(t *testing.T, v tablestore.Inventory) {
	t.Helper()
	rows, ends := s.rows(t, v)
	for _, is := range s.write {
		row, there := rows[is.Key]
		if !there {
			continue
		}
		shown := catalog.Ends(&row)
		for _, end := range catalog.Ends(&is) {
			if slices.Contains(shown, end) && !ends[end] {
				t.Errorf("%v is not in the order of ends", end)
			}
		}
	}
}

// complete checks what holds in the end.
func (s scene) complete(t *testing.T, v tablestore.Inventory) {
	t.Helper()
	rows, ends := s.rows(t, v)
	n := 0
	for _, want := range s.write {
		row := rows[want.Key]
		if string(mustMarshal(t, row)) != string(mustMarshal(t, want)) {
			t.Errorf("the row of %s is not what was written", want.ClientID)
		}
		for _, end := range catalog.Ends(&want) {
			if n++; !ends[end] {
				t.Errorf("%v is not in the order of ends", end)
			}
		}
	}
	if len(rows) != len(s.write) || len(ends) != n {
		t.Errorf("%d rows and %d ends, want %d and %d", len(rows), len(ends), len(s.write), n)
	}
}

// Whatever write of Put is the last one of a process, nothing that matters is missing then, and
// Put does the rest when it is called again.
func TestPutIsKilledAtEveryWrite(t *testing.T) {
	rotationtest.PlainOnly(t)
	for _, applied := range []bool{false, true} {
		for n := 0; ; n++ {
			if !rotationtest.Sample(n) {
				continue
			}
			k := &killer{applied: applied}
			k.left.Store(1 << 30)
			f := newFixture(t, table.Config{Hook: k.hook}, nil)
			v, s := f.Inventory(), newScene()
			if _, err := v.Put(t.Context(), s.before, nil); err != nil {
				t.Fatal(err)
			}
			k.left.Store(int64(n))
			_, err := v.Put(t.Context(), s.write, s.gone)
			killed := k.left.Load() < 0
			k.left.Store(1 << 30)
			if killed == (err == nil) {
				t.Fatalf("killed %v, %v", killed, err)
			}
			s.consistent(t, v)
			if _, err := v.Put(t.Context(), s.write, s.gone); err != nil {
				t.Fatalf("Put again: %v", err)
			}
			s.complete(t, v)
			if t.Failed() {
				t.Fatalf("killed at write %d, applied: %v", n, applied)
			}
			if !killed {
				t.Logf("Put has %d writes", n)
				break
			}
		}
	}
}

// Under throttling throughout, Put gets further each time.
func TestPutUnderThrottling(t *testing.T) {
	rotationtest.PlainOnly(t)
	var calls atomic.Int64
	f := newFixture(t, table.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if op == table.OpBatch && calls.Add(1)%3 == 1 {
			return &fault.Effect{Status: http.StatusServiceUnavailable, Code: "ServerBusy"}
		}
		return nil
	}}, nil)
	v, s := f.Inventory(), scene{tenantID: inventorytest.NewID()}
	s.write = population(s.tenantID, 400)
	rows, rounds := 0, 0
	for ; rounds < 50; rounds++ {
		n, err := v.Put(t.Context(), s.write, nil)
		if rows += n; err == nil {
			break
		}
		if serviceerror.ClassOf(err) != serviceerror.Throttled {
			t.Fatalf("Put: %v", err)
		}
	}
	s.complete(t, v)
	if rows != 1600 || rounds == 0 || rounds > 20 {
		t.Errorf("%d rows in %d rounds", rows, rounds)
	}
}

// What a person deleted or restored by hand blocks neither a tenant nor an application.
func TestInventoryDriftIsHealed(t *testing.T) {
	rotationtest.PlainOnly(t)
	f := newFixture(t, table.Config{}, nil)
	v := f.Inventory()
	tenant, err := v.Commit(t.Context(), inventory.Tenant{ID: inventorytest.NewID(), Version: 1, WakeAt: epoch}, scan.Write{})
	if err != nil {
		t.Fatal(err)
	}
	f.remove(t, "due-20300102T030405Z-scan-"+tenant.ID)
	tenant.Version, tenant.WakeAt = 2, epoch.Add(time.Hour)
	if tenant, err = v.Commit(t.Context(), tenant, scan.Write{}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	if due, err := f.Due(t.Context(), epoch.Add(time.Hour), 10); err != nil || len(due) != 1 || due[0].ID != inventory.DueID(tenant.ID) {
		t.Errorf("due: %v, %v", due, err)
	}
	s := newScene()
	if _, err := v.Put(t.Context(), s.before, nil); err != nil {
		t.Fatal(err)
	}
	for _, app := range s.before[:4] {
		last := app.Credentials[0]
		f.remove(t, "end-"+last.EndsAt.Format("20060102T150405Z")+"-"+app.TenantID+"-"+app.ClientID+"-"+last.KeyID)
	}
	if _, err := v.Put(t.Context(), s.write, s.gone); err != nil {
		t.Fatalf("Put: %v", err)
	}
	s.complete(t, v)
}

// A page that one row cannot hold is whole or not there: rows of an attempt that was not
// committed are none of it, and one that lacks a row is refused.
func TestPageOfSeveralRows(t *testing.T) {
	rotationtest.PlainOnly(t)
	k := &killer{}
	k.left.Store(1 << 30)
	f := newFixture(t, table.Config{Hook: k.hook}, nil)
	v := f.Inventory()
	id := inventorytest.NewID()
	tenant, err := v.Commit(t.Context(), inventory.Tenant{ID: id, Version: 1}, scan.Write{})
	if err != nil {
		t.Fatal(err)
	}
	page := scan.KeptPage{ScanID: inventory.ScanID(id, "a"), List: inventory.Principals}
	for i := range 15 {
		key := inventory.Key{TenantID: id, ClientID: inventorytest.NewID()}
		page.Applications = append(page.Applications, inventorytest.LargeApplication(key, epoch, 100, i))
	}
	seen := func() (apps int, err error) {
		err = v.Pages(t.Context(), page.ScanID, func(_ int, _ inventory.List, all []inventory.Application) error {
			apps += len(all)
			return nil
		})
		return apps, err
	}
	tenant.Version = 2
	k.left.Store(1) // the first part is written, and no more
	if _, err := v.Commit(t.Context(), tenant, scan.Write{Page: &page}); err == nil {
		t.Fatal("Commit was not killed")
	}
	k.left.Store(1 << 30)
	if parts := f.service.Rows("scanpage-"); len(parts) != 1 {
		t.Fatalf("%d rows", len(parts))
	}
	if n, err := seen(); n != 0 || err != nil {
		t.Errorf("of a page that was not committed %d are seen, %v", n, err)
	}
	page.Applications[0].Name = "read again" // what Graph returns is not the same each time
	if tenant, err = v.Commit(t.Context(), tenant, scan.Write{Page: &page}); err != nil {
		t.Fatal(err)
	}
	if n, err := seen(); n != 15 || err != nil {
		t.Errorf("%d are seen, %v", n, err)
	}
	head := f.row(t, "scanpage-"+page.ScanID+"-000000")
	f.remove(t, fmt.Sprintf("%s-%s-%03.0f", head.RowKey, head.Properties["digest"], head.Properties["parts"].(float64)-1)) // the last one
	if n, err := seen(); err == nil || n != 0 {
		t.Errorf("of a page that lacks a row %d are seen, %v", n, err)
	}
	if err := v.DropPages(t.Context(), id, ""); err != nil || len(f.service.Rows("scanpage-")) != 0 {
		t.Errorf("%d rows are left, %v", len(f.service.Rows("scanpage-")), err)
	}
}

// A commit whose answer was lost is there once, with all that went with it.
func TestTenantCommitOfAnUnknownOutcome(t *testing.T) {
	for _, applied := range []bool{false, true} {
		f, on := faulty(t, table.OpBatch, &fault.Effect{Status: 500, Code: "InternalError", Apply: applied})
		v, id := f.Inventory(), inventorytest.NewID()
		tenant, err := v.Commit(t.Context(), inventory.Tenant{ID: id, Version: 1, WakeAt: epoch}, scan.Write{})
		if err != nil {
			t.Fatal(err)
		}
		on.Store(true)
		tenant.Version, tenant.WakeAt = 2, epoch.Add(time.Hour)
		w := scan.Write{Notice: &scan.Notice{TenantID: id, Kind: history.InventoryFailed, At: epoch, Message: strings.Repeat("ü", 40_000)}}
		if _, err := v.Commit(t.Context(), tenant, w); !serviceerror.UnknownOutcome(err) {
			t.Fatalf("Commit: %v", err)
		}
		on.Store(false)
		_, err = v.Commit(t.Context(), tenant, w)
		if errors.Is(err, serviceerror.ErrConflict) != applied || !applied && err != nil {
			t.Errorf("applied %v: repeated: %v", applied, err)
		}
		is, err := v.Tenant(t.Context(), id)
		told, due := len(f.service.Rows("evt-")), len(f.service.Rows("due-"))
		if err != nil || is.Version != 2 || told != 1 || due != 1 {
			t.Errorf("applied %v: version %d, %v, %d notices, %d due rows", applied, is.Version, err, told, due)
		}
	}
}

// What another scan or a person writes between the read and the write of Put is noticed: the
// order of ends is that of the row in the end, and nothing stays of what has gone.
func TestPutAfterAnotherWrite(t *testing.T) {
	var between func()
	f := newFixture(t, table.Config{Hook: func(op string, _ *http.Request) *fault.Effect {
		if do := between; op == table.OpBatch && do != nil {
			between = nil
			do()
		}
		return nil
	}}, nil)
	v, s := f.Inventory(), scene{tenantID: inventorytest.NewID()}
	apps := population(s.tenantID, 2)
	if _, err := v.Put(t.Context(), apps, nil); err != nil {
		t.Fatal(err)
	}
	theirs, ours := apps[0], apps[0]
	theirs.Credentials = append(slices.Clone(apps[0].Credentials[:1]), endingAt(epoch.Add(time.Minute)))
	ours.Credentials = append(slices.Clone(apps[0].Credentials[1:]), endingAt(epoch.Add(time.Hour)))
	between = func() {
		if _, err := v.Put(t.Context(), []inventory.Application{theirs}, nil); err != nil {
			t.Errorf("their Put: %v", err)
		}
	}
	if _, err := v.Put(t.Context(), []inventory.Application{ours}, nil); err != nil {
		t.Fatalf("Put: %v", err)
	}
	s.write = []inventory.Application{ours, apps[1]}
	s.complete(t, v)
	between = func() {
		if err := v.Accept(t.Context(), ours.Key, func([]inventory.Acceptance) ([]inventory.Acceptance, error) {
			return []inventory.Acceptance{{Reason: "r"}}, nil
		}); err != nil {
			t.Errorf("Accept: %v", err)
		}
	}
	if _, err := v.Put(t.Context(), nil, []inventory.Key{ours.Key}); err != nil {
		t.Fatalf("Put: %v", err)
	}
	s.write = apps[1:]
	s.complete(t, v)
	if rows := f.service.Rows("app-" + s.tenantID); len(rows) != 1 {
		t.Errorf("%d rows are left", len(rows))
	}
}
