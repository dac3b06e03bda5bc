package scan_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
)

// small fills a directory with something of each kind: seven applications on three pages.
func small(w *world) {
	d := w.dir()
	d.add(2)
	d.add(0).federated = []string{"f1", "f2"}
	d.foreign(1)
	d.foreign(0) // is none of the inventory's business
	used := d.add(1)
	used.used[used.secrets[0].KeyID] = time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	d.add(1).principal = ""
	disabled := d.add(1)
	disabled.disabled, disabled.owners = true, nil
}

// A scan reads each list once, writes a row for each application, and keeps nothing else.
func TestScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		w.dir().longest = 90 * day
		began := time.Now()
		asked := w.request(conn)
		if asked.Phase != inventory.Reading || asked.Trigger != rotation.OnRequest || asked.RequestedBy != "tester" ||
			asked.ConnectionID != conn {
			t.Errorf("the scan that was asked for: %+v", asked)
		}
		got := w.finish(tenantA)
		w.check(tenantA)
		sc := got.Scan
		if sc.ID != asked.ID || sc.Phase != inventory.Complete || !got.AsOf.Equal(asked.StartedAt) || got.Longest != 90*day ||
			len(got.Unread) != 0 {
			t.Errorf("the tenant: %+v, its scan %+v", got, sc)
		}
		if r := sc.Result; r.Applications != 6 || r.Credentials != 6 || r.Federated != 2 || r.Added != 6 || r.Ends[inventory.LeftMore] != 6 {
			t.Errorf("the result: %+v", r)
		}
		if sc.Result.Findings[inventory.TooLong] != 5 { // by the tenant's policy
			t.Errorf("findings: %v", sc.Result.Findings)
		}
		if sc.Calls != 4*3+1 { // three pages of four lists, and the policy
			t.Errorf("%d calls", sc.Calls)
		}
		if sc.Rows != 6+7 { // an application without credentials has a row in the order of ends as well
			t.Errorf("%d rows written", sc.Rows)
		}
		if n := w.kept(sc.ID); n != 0 {
			t.Errorf("%d pages are left", n)
		}
		if next := got.WakeAt.Sub(asked.StartedAt); next < day || next > day+30*time.Minute+time.Second || got.Lease.Token != "" {
			t.Errorf("the next scan begins %s after this one, lease %+v", next, got.Lease)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it took %s", took)
		}
		w.forget()
		if err := w.pass(w.scanner(), tenantA); err != nil || len(w.forget()) != 1 {
			t.Errorf("a pass that comes too early does more than look: %v", err)
		}
		for id, row := range w.rows(tenantA) {
			if !row.FirstSeenAt.Equal(sc.StartedAt) || !row.ChangedAt.Equal(sc.StartedAt) {
				t.Errorf("%s was seen at %s, changed at %s", id, row.FirstSeenAt, row.ChangedAt)
			}
		}
		if n := w.notices(history.InventoryFindings); len(n) != 0 { // nothing ends soon
			t.Errorf("notices: %+v", n)
		}
	})
}

// The second scan begins by itself a day later, and writes nothing where nothing has changed.
func TestSecondScanWritesWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		first := w.scanned().Scan
		w.tick(day + time.Hour)
		second := w.tenant(tenantA)
		if second.Scan.ID == first.ID || second.Scan.Trigger != rotation.OnSchedule || second.Scan.Phase != inventory.Complete {
			t.Fatalf("a day later: %+v", second.Scan)
		}
		if r := second.Scan.Result; second.Scan.Rows != 0 || r.Added+r.Changed+r.Gone != 0 || r.Applications != 6 {
			t.Errorf("the second scan wrote %d rows: %+v", second.Scan.Rows, r)
		}
		changed := w.dir().apps[0]
		w.dir().remove(w.dir().apps[1])
		w.dir().add(1)
		changed.name = "renamed"
		third := w.scanned().Scan
		w.check(tenantA)
		// One is written anew, with two ends at most; one with an end comes, and one goes.
		if r := third.Result; third.Rows > 3+2+2 || r.Added != 1 || r.Changed != 1 || r.Gone != 1 {
			t.Errorf("the third scan wrote %d rows: %+v", third.Rows, r)
		}
		if row := w.rows(tenantA)[changed.clientID]; !row.FirstSeenAt.Equal(first.StartedAt) || !row.ChangedAt.Equal(third.StartedAt) {
			t.Errorf("first seen at %s, changed at %s", row.FirstSeenAt, row.ChangedAt)
		}
	})
}
