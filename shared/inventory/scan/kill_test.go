package scan_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// changing is a tenant that has been scanned, and has changed since: something of each kind has
// come, gone, or become different, a list leaves something out that is there, and what ends soon is worth a notice.
func changing(w *world) {
	small(w)
	d := w.dir()
	gone, both, hidden, saml := d.add(1), d.add(1), d.add(2), d.foreign(1)
	hidden.name, saml.name = "hidden", "hidden"
	w.scanned()
	w.tick(time.Hour)
	d.remove(gone)
	d.remove(d.apps[0])
	both.name = "renamed"
	soon := d.add(1)
	soon.secrets[0].EndsAt = time.Now().UTC().Truncate(time.Second).Add(3 * day)
	d.add(1).federated = []string{"f"}
	d.hide = map[string]bool{hidden.clientID: true, saml.clientID: true}
}

// trueAfter says, after the scan of what [changing] made, what has to be so.
func trueAfter(t *testing.T, w *world, got inventory.Tenant) {
	t.Helper()
	d := w.dir()
	d.hide = nil
	// What a list left out is kept as it was, and marked so.
	rows, truth := w.rows(tenantA), d.truth()
	for id, row := range truth {
		if row.Name == "hidden" {
			if row.Unread = rows[id].Unread; len(row.Unread) == 0 {
				t.Error("what was left out by the lists is not marked as unread")
			}
		}
		is := rows[id]
		is.FirstSeenAt, is.ChangedAt, is.Noted = time.Time{}, time.Time{}, nil
		if g, want := fmt.Sprintf("%+v", is), fmt.Sprintf("%+v", row); g != want {
			t.Errorf("the row of %s is\n%s, want\n%s", row.Name, g, want)
		}
	}
	if len(rows) != len(truth) {
		t.Errorf("%d rows, want %d", len(rows), len(truth))
	}
	r := got.Scan.Result
	if r.Added != 2 || r.Gone != 2 || r.Changed != 1 || r.Applications != len(truth) || r.Arisen[inventory.EndsIn7Days] != 1 {
		t.Errorf("the result is %+v", r)
	}
	if n := w.notices(history.InventoryFindings); len(n) != 1 || n[0].ScanID != got.Scan.ID || len(w.store.Notices()) != 1 {
		t.Errorf("notices: %+v", w.store.Notices())
	}
	if n := w.kept(got.Scan.ID); n != 0 {
		t.Errorf("%d pages are left", n)
	}
	scans, err := w.store.Scans(t.Context(), tenantA, 10)
	if err != nil || len(scans) != 2 || scans[0].ID != got.Scan.ID || scans[0].Phase != inventory.Complete {
		t.Errorf("finished scans: %+v (%v)", scans, err)
	}
	if got := w.tenant(tenantA); got.Lease.Token != "" || !got.WakeAt.After(got.AsOf.Add(day-time.Second)) {
		t.Errorf("at the end: lease %+v, wake-up %s after the scan began", got.Lease, got.WakeAt.Sub(got.AsOf))
	}
}

// A scan that is broken at any of its calls, in any of four ways, goes on and ends with the same
// rows, the same result and one notice, whether its applications fit into one part or not.
func TestBrokenAtEveryCall(t *testing.T) {
	cases := 0
	for _, size := range []int{0, 4} {
		for _, f := range []fault{crashBefore, crashAfter, notDone, done} {
			t.Run(fmt.Sprintf("%s, parts of %d", f, size), func(t *testing.T) {
				for n := 1; ; n++ {
					if !rotationtest.Sample(n) {
						continue
					}
					if broken := brokenAt(t, n, f, size); !broken {
						break
					}
					cases++
					if t.Failed() {
						t.Fatalf("broken at call %d", n)
					}
				}
			})
		}
	}
	if want := 8 * 50; cases < want && !rotationtest.Raced || cases < want/10 {
		t.Errorf("only %d cases", cases)
	}
	t.Logf("%d cases", cases)
}

// brokenAt reports whether there was an n-th call to break.
func brokenAt(t *testing.T, n int, f fault, size int) (broken bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.partSize = size
		changing(w)
		w.request(conn)
		w.breakAt(n, f)
		got := w.finish(tenantA)
		w.tick(10 * time.Minute) // it may have died before it cleared up
		if got.Scan.Phase != inventory.Complete {
			t.Errorf("the scan has failed: %+v", got.Scan.Problem)
			return
		}
		trueAfter(t, w, got)
		w.mu.Lock()
		broken = w.at == 0
		w.mu.Unlock()
		if size > 0 && got.Scan.Parts < 3 {
			t.Errorf("%d parts", got.Scan.Parts)
		}
		if calls := got.Scan.Calls; calls > 70 {
			t.Errorf("%d calls", calls)
		}
	})
	return broken
}

// A directory that refuses each request a few times before it answers it costs time alone: no
// request comes before the time that the directory has asked for, or sooner than a back-off.
func TestThrottledThroughout(t *testing.T) {
	for name, retryAfter := range map[string]time.Duration{
		"Retry-After": 20 * time.Second, "without Retry-After": 0, "long": 10 * time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				changing(w)
				w.request(conn)
				refusals, asked := map[string]int{}, map[string]time.Time{}
				var mu sync.Mutex
				w.each(func(_ context.Context, call string) error {
					if !strings.HasPrefix(call, "page ") && call != "exists" && call != "policy" {
						return nil
					}
					mu.Lock()
					defer mu.Unlock()
					if at := asked[call]; call != "exists" && refusals[call] > 0 && time.Since(at) < max(retryAfter, 5*time.Second) {
						t.Errorf("%s came again after %s", call, time.Since(at))
					}
					asked[call] = time.Now()
					if refusals[call]++; refusals[call] > 3 {
						refusals[call] = 0
						return nil
					}
					return &serviceerror.Error{Op: "reading", Class: serviceerror.Throttled, Status: 429, RetryAfter: retryAfter}
				})
				got := w.finish(tenantA)
				w.each(nil)
				if got.Scan.Phase != inventory.Complete || len(got.Unread) != 0 {
					t.Fatalf("the scan: %+v, unread %v", got.Scan.Problem, got.Unread)
				}
				w.tick(time.Minute)
				trueAfter(t, w, got)
			})
		})
	}
}
