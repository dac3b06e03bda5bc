package scan_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// What comes nearer to its end is told of when it is within 90, 30 and 7 days of it, once each, by the first scan that sees it.
// A scan that fails in between tells of nothing twice, and hides nothing.
func TestEachThresholdIsToldOfOnce(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, outage := range map[string]bool{"every day": false, "with days without a scan": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.dir().add(2) // ends in 100 and 101 days
				w.dir().add(1).secrets[0].EndsAt = time.Time{}
				w.scanned()
				began := time.Now()
				if n := len(w.store.Notices()); n != 0 {
					t.Fatalf("%d notices at first", n)
				}
				for today := range 110 {
					if outage {
						var err error
						if today%10 > 6 {
							err = permission()
						}
						w.dir().refuse(inventory.Applications, err)
					}
					w.tick(day)
				}
				var told []string
				for _, n := range w.notices(history.InventoryFindings) {
					for _, days := range []string{"90", "30", "7"} {
						if strings.Contains(n.Message, "within "+days+" days") {
							told = append(told, days)
						}
					}
					if n.At.Before(began) {
						t.Errorf("told of at the first scan: %+v", n)
					}
				}
				// Two client secrets of the application pass each threshold on two days.
				if want := "[90 90 30 30 7 7]"; !outage && fmt.Sprint(told) != want {
					t.Errorf("told of %v, want %s", told, want)
				}
				if outage && (len(told) < 3 || len(told) > 6 || told[0] != "90" || told[len(told)-1] != "7") {
					t.Errorf("with outages: told of %v", told)
				}
			})
		})
	}
}

// The first scan of a neglected tenant sends one message.
func TestFirstScanSendsOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 300 {
			a := w.dir().add(1)
			a.owners = nil
			a.secrets[0].EndsAt = time.Now().UTC().Truncate(time.Second).Add(time.Duration(i) * 10 * time.Hour)
			a.secrets[0].Name = "rekey/" + deployment + "/unknown/XXXXXXXXXX"
		}
		got := w.scanned()
		n := w.store.Notices()
		if len(n) != 1 || n[0].Kind != history.InventoryFindings || n[0].ScanID != got.Scan.ID || n[0].TenantID != tenantA ||
			len(n[0].Message) > 4000 {
			t.Fatalf("%d notices: %+v", len(n), n)
		}
		r := got.Scan.Result
		if r.Arisen[inventory.Orphan] != 300 || r.Arisen[inventory.OwnerlessEnding] == 0 ||
			len(r.Changes) != inventory.MaxChanges || r.MoreChanges == 0 {
			t.Errorf("result: arisen %v, %d changes and %d more", r.Arisen, len(r.Changes), r.MoreChanges)
		}
		total := 0
		for _, left := range inventory.Lefts {
			total += r.Ends[left]
		}
		if total != 300 || r.Ends[inventory.Left7Days] != 16 || r.Ends[inventory.LeftNone] != 1 {
			t.Errorf("credentials by what they have left: %v", r.Ends)
		}
	})
}

// What a record knows is no orphan, and what a rotation takes care of is not told of. Where some records can't
// be read, nothing counts as an orphan.
func TestManagersCountInFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		soon := time.Now().UTC().Truncate(time.Second).Add(3 * day)
		rotated, orphan := w.dir().add(1), w.dir().add(1)
		for _, a := range []*app{rotated, orphan} {
			a.secrets[0].EndsAt, a.secrets[0].Name = soon, "rekey/"+deployment+"/one/XXXXXXXXXX"
		}
		w.managers = map[string][]inventory.Manager{
			rotated.clientID: {{ConnectionID: "one", Rotates: true, KeyIDs: []string{rotated.secrets[0].KeyID}}},
		}
		r := w.scanned().Scan.Result
		if r.Arisen[inventory.Orphan] != 1 || r.Arisen[inventory.EndsIn7Days] != 1 || r.Findings[inventory.Managed] != 1 {
			t.Errorf("the result is %+v", r)
		}
		w.unknown = true
		if r := w.scanned().Scan.Result; r.Findings[inventory.Orphan] != 0 {
			t.Errorf("while records can't be read: %+v", r)
		}
	})
}

// What was on a record at the last scan, and is on none now, is told of once: the connection was deleted and left its
// client secret. What a record goes on with removing others does not repeat that.
func TestDeletedConnectionIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.dir().add(1)
		a.secrets[0].EndsAt, a.secrets[0].Name = time.Now().UTC().Truncate(time.Second).Add(20*day), "rekey/"+deployment+"/one/XXXXXXXXXX"
		manager := inventory.Manager{ConnectionID: "one", Rotates: true, KeyIDs: []string{a.secrets[0].KeyID}}
		w.managers = map[string][]inventory.Manager{a.clientID: {manager}}
		w.scanned()
		if n := w.store.Notices(); len(n) != 0 {
			t.Fatalf("told of what a rotation takes care of: %+v", n)
		}
		w.managers = nil
		w.tick(day + time.Hour)
		n := w.store.Notices()
		if r := w.tenant(tenantA).Scan.Result; len(n) != 1 || r.Arisen[inventory.Orphan] != 1 || r.Arisen[inventory.EndsIn30Days] != 1 {
			t.Fatalf("after the connection was deleted: %+v, notices %+v", r, n)
		}
		manager.KeyIDs, manager.RemovedAt = nil, time.Now()
		w.managers = map[string][]inventory.Manager{a.clientID: {manager}}
		w.tick(2 * day)
		if n := w.store.Notices(); len(n) != 1 {
			t.Errorf("told of again: %+v", n)
		}
	})
}

// A client secret that could not be called an orphan, since some records could not be read, is told of when they can, once.
func TestOrphanIsToldOfWhenRecordsCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir().add(1).secrets[0].Name = "rekey/" + deployment + "/one/XXXXXXXXXX"
		w.unknown = true
		w.scanned()
		for _, unknown := range []bool{false, true, false} {
			w.unknown = unknown
			w.tick(2 * day)
			if n := w.store.Notices(); len(n) != 1 {
				t.Errorf("with unknown records %v: %d notices", unknown, len(n))
			}
		}
	})
}

// What a person has accepted is not told of, until that ends.
func TestAcceptedIsNotToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.dir().add(1) // ends in 100 days
		w.scanned()
		key := inventory.Key{TenantID: tenantA, ClientID: a.clientID}
		if err := w.store.Accept(t.Context(), key, func([]inventory.Acceptance) ([]inventory.Acceptance, error) {
			return []inventory.Acceptance{{
				Kind: inventory.EndsIn90Days, Reason: "a test", By: "tester", At: time.Now(), Until: time.Now().Add(30 * day),
			}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		w.tick(20 * day)
		if r := w.tenant(tenantA).Scan.Result; len(w.store.Notices()) != 0 || r.Findings[inventory.EndsIn90Days] != 0 {
			t.Errorf("accepted, and told of: %+v, %+v", w.store.Notices(), r)
		}
		w.tick(15 * day)
		if n := w.store.Notices(); len(n) != 1 || n[0].At.Sub(w.tenant(tenantA).Since) < 29*day {
			t.Errorf("notices after the acceptance has ended: %+v", n)
		}
	})
}

// In however many parts the applications are compared and written, rows, result and notice are the same.
func TestPartsMakeNoDifference(t *testing.T) {
	results := map[string]string{}
	for _, size := range []int{0, 1, 3, 7} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.partSize = size
			changing(w)
			w.request(conn)
			got := w.finish(tenantA)
			w.tick(time.Minute)
			if parts := got.Scan.Parts; size == 0 && parts != 1 || size == 1 && parts < 10 {
				t.Errorf("with parts of %d there are %d", size, parts)
			}
			results[fmt.Sprintf("%+v, %d rows, %s", *got.Scan.Result, got.Scan.Rows, w.store.Notices()[0].Message)] += fmt.Sprint(" ", size)
			trueAfter(t, w, got)
		})
	}
	if len(results) != 1 {
		t.Errorf("results differ: %v", results)
	}
}

// A scan that is asked for long after the last one, where none was to come in between, has not failed while
// it is under way.
func TestAskedForAfterAPauseIsNotOverdue(t *testing.T) {
	rotationtest.PlainOnly(t)
	for name, daily := range map[string]bool{"not daily": false, "daily from now on": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 200 {
					w.dir().add(1)
				}
				if _, err := w.scanner().Request(t.Context(), request(conn, new(bool))); err != nil {
					t.Fatal(err)
				}
				w.finish(tenantA)
				w.tick(5 * day)
				sc, err := w.scanner().Request(t.Context(), request(conn, &daily))
				if err != nil || sc.Phase != inventory.Reading {
					t.Fatalf("the answer is %+v (%v)", sc, err)
				}
				w.finish(tenantA)
				w.tick(time.Hour)
				if n := w.notices(history.InventoryFailed); len(n) != 0 {
					t.Errorf("told of: %+v", n)
				}
				pause := &serviceerror.Error{Op: "reading a list", Class: serviceerror.Throttled, RetryAfter: time.Minute}
				w.dir().refuse(inventory.Applications, pause)
				w.request(conn)
				w.tick(3 * day)
				if n := w.notices(history.InventoryFailed); len(n) != 1 {
					t.Errorf("told of one that does not come to its end: %+v", n)
				}
			})
		})
	}
}

// A scan that is not daily is not repeated, and its failure is not told of.
func TestNotDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		w.dir().refuse(inventory.Applications, permission())
		s := w.scanner()
		asked, err := s.Request(t.Context(), request(conn, new(bool)))
		if err != nil || asked.Phase != inventory.Failed || !strings.Contains(asked.Problem.Message, "Application.Read.All") {
			t.Fatalf("the answer is %+v (%v)", asked, err)
		}
		w.tick(4 * day)
		if got := w.tenant(tenantA); got.Daily || got.Scan.ID != asked.ID || !got.WakeAt.IsZero() || len(w.store.Notices()) != 0 {
			t.Errorf("four days later: %+v, notices %v", got, w.store.Notices())
		}
		w.dir().refuse(inventory.Applications, nil)
		asked, err = s.Request(t.Context(), request(conn, nil))
		if err != nil || asked.Phase != inventory.Complete || asked.Trigger != rotation.OnRequest {
			t.Errorf("asked again: %+v (%v)", asked, err)
		}
		w.check(tenantA)
		if _, err = s.Request(t.Context(), request(conn, new(true))); err != nil {
			t.Fatal(err)
		}
		w.tick(4 * day)
		if scans, err := w.store.Scans(t.Context(), tenantA, 100); err != nil || len(scans) < 5 {
			t.Errorf("%d scans since they are daily (%v)", len(scans), err)
		}
	})
}
