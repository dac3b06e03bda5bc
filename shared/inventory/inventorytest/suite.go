package inventorytest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"

	"rekey/shared/rotationtest"
)

// Store is all that keeps the inventory.
type Store interface {
	scan.Store
	catalog.Store
	// Due is that of [rotator.Store]: a tenant's row is due under [inventory.DueID].
	Due(ctx context.Context, until time.Time, limit int) ([]index.Due, error)
}

// Subject is a store under test. Told returns the notices that it keeps.
type Subject struct {
	Store
	Told func(t *testing.T) []scan.Notice
}

// TestStore checks that a store keeps its promises. The table behind newStore need not be empty,
// and may be the same each time.
func TestStore(t *testing.T, newStore func(t *testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(s storeTest, t *testing.T)
	}{
		{"everything about a tenant comes back", storeTest.everyField},
		{"what is missing is not found", storeTest.missing},
		{"a tenant is created once", storeTest.createTwice},
		{"a stale handle is refused", storeTest.stale},
		{"one of several commits wins", storeTest.race},
		{"a tenant is due when it says", storeTest.due},
		{"tenants are listed by id", storeTest.tenants},
		{"a commit takes all with it or nothing", storeTest.together},
		{"what is another tenant's is refused", storeTest.foreign},
		{"pages come in the order of their numbers", storeTest.pages},
		{"a page of any size is kept", storeTest.largePage},
		{"pages of other scans are dropped", storeTest.dropPages},
		{"finished scans are found, newest first", storeTest.finished},
		{"finished scans are pruned from their end", storeTest.pruneScans},
		{"everything about an application comes back", storeTest.everyApplication},
		{"what is there already is not written again", storeTest.unchanged},
		{"what changes is written", storeTest.changed},
		{"what is gone takes its rows with it", storeTest.gone},
		{"an application of any size is kept", storeTest.large},
		{"many applications at once", storeTest.many},
		{"two writers at once leave what one of them wrote", storeTest.twoWriters},
		{"ids that are none are refused", storeTest.badKeys},
		{"a visitor that fails ends the visit", storeTest.visitors},
		{"ends come in order", storeTest.ends},
		{"a range of ends", storeTest.endRange},
		{"a list of ends goes on where it was", storeTest.endPages},
		{"what is accepted comes with its application", storeTest.accept},
		{"of several acceptances at once one is refused", storeTest.acceptRace},
	} {
		t.Run(test.name, func(t *testing.T) {
			if rotationtest.Raced && large[test.name] {
				t.Skip("large, and there is no other race in it: runs without the race detector")
			}
			test.run(storeTest{newStore(t)}, t)
		})
	}
}

// large are the tests whose rows are, or that have many.
var large = map[string]bool{
	"a page of any size is kept": true, "an application of any size is kept": true, "many applications at once": true,
	"finished scans are found, newest first": true, "a list of ends goes on where it was": true}

// storeTest is one test's store. Each test looks only at tenants of its own.
type storeTest struct{ Subject }

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// NewID returns a random GUID in lower case.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// era is a time that is a test's own, so that its ends lie apart from those of others.
func era(t *testing.T) time.Time {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(5000*365))
	if err != nil {
		t.Fatal(err)
	}
	return time.Date(3000, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, int(n.Int64()))
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// same fails unless got has the JSON of want.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := text(t, got), text(t, want); g != w {
		t.Errorf("%s:\ngot  %.2000s\nwant %.2000s", what, g, w)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// commit commits a tenant's next version.
func (s storeTest) commit(t *testing.T, tenant inventory.Tenant, w scan.Write) inventory.Tenant {
	t.Helper()
	tenant.Version++
	tenant, err := s.Commit(t.Context(), tenant, w)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return tenant
}

func (s storeTest) tenant(t *testing.T, id string) inventory.Tenant {
	t.Helper()
	tenant, err := s.Tenant(t.Context(), id)
	if err != nil {
		t.Fatalf("Tenant: %v", err)
	}
	return tenant
}

// some is a number of rows that is the store's own: it writes them in several transactions.
const some = -1

// put writes and deletes applications, and checks how many rows that were.
func (s storeTest) put(t *testing.T, rows int, write []inventory.Application, gone ...inventory.Key) {
	t.Helper()
	got, err := s.Put(t.Context(), write, gone)
	if err != nil || got != rows && (rows != some || got == 0) {
		t.Fatalf("Put: %d rows, want %d, %v", got, rows, err)
	}
}

func (s storeTest) row(t *testing.T, key inventory.Key) catalog.Row {
	t.Helper()
	row, err := s.Row(t.Context(), key)
	if err != nil {
		t.Fatalf("Row: %v", err)
	}
	return row
}

// rows returns those of a tenant, by client id.
func (s storeTest) rows(t *testing.T, tenantID string) map[string]catalog.Row {
	t.Helper()
	all := map[string]catalog.Row{}
	if err := s.Rows(t.Context(), tenantID, func(r catalog.Row) error {
		all[r.ClientID] = r
		return nil
	}); err != nil {
		t.Fatalf("Rows: %v", err)
	}
	return all
}

// ending returns all ends of a tenant.
func (s storeTest) ending(t *testing.T, tenantID string) []catalog.End {
	t.Helper()
	ends, more, err := s.Ending(t.Context(), catalog.EndQuery{TenantID: tenantID}, 100_000)
	if err != nil || more {
		t.Fatalf("Ending: more %v, %v", more, err)
	}
	return ends
}

// indexed checks that the ends of a tenant are those of its rows.
func (s storeTest) indexed(t *testing.T, tenantID string) {
	t.Helper()
	want := map[catalog.End]bool{}
	for _, row := range s.rows(t, tenantID) {
		for _, end := range catalog.Ends(&row.Application) {
			want[end] = true
		}
	}
	got := s.ending(t, tenantID)
	for _, end := range got {
		if !want[end] {
			t.Errorf("the end %+v is not that of a row", end)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d ends, want %d", len(got), len(want))
	}
}
