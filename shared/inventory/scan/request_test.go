package scan_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotationtest"
)

func request(connectionID string, daily *bool) catalog.Request {
	return catalog.Request{ConnectionID: connectionID, Daily: daily, By: "tester"}
}

// A request for a small tenant is answered with the complete scan.
func TestRequestDoesWhatFitsIntoIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		sc, err := w.scanner().Request(t.Context(), request(conn, nil))
		if err != nil || sc.Phase != inventory.Complete || sc.Result.Applications != 6 {
			t.Errorf("the answer is %+v (%v)", sc, err)
		}
		w.check(tenantA)
		if got := w.tenant(tenantA); !got.Daily || got.ConnectionID != conn {
			t.Errorf("the tenant is %+v", got)
		}
		for range 200 {
			w.dir().add(1)
		}
		began := time.Now()
		sc, err = w.scanner().Request(t.Context(), request(conn, nil))
		if took := time.Since(began); err != nil || sc.Phase != inventory.Reading || sc.Pages < 10 || took > 10*time.Second {
			t.Errorf("of a larger tenant after %s: %+v (%v)", took, sc, err)
		}
		if got := w.finish(tenantA); got.Scan.ID != sc.ID {
			t.Errorf("the timer has finished %s", got.Scan.ID)
		}
		w.check(tenantA)
	})
}

// A request that comes again, because its answer was lost, is answered by the scan that it began.
func TestARequestThatComesAgainBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		in := request(conn, nil)
		in.Random = "0123456789abcdef"
		for range 3 {
			if sc, err := w.scanner().Request(t.Context(), in); err != nil || sc.ID != inventory.ScanID(tenantA, in.Random) ||
				sc.Phase != inventory.Complete {
				t.Errorf("the answer is %+v (%v)", sc, err)
			}
		}
		in.Random = "another"
		if sc, err := w.scanner().Request(t.Context(), in); err != nil || sc.ID != inventory.ScanID(tenantA, in.Random) {
			t.Errorf("another request is answered by %+v (%v)", sc, err)
		}
		w.check(tenantA)
	})
}

// A request for a tenant of which a scan is under way returns that, and what it says about later
// ones holds.
func TestRequestWhileAScanIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		w.dir().tenantOf["connection-2"] = tenantA
		first := w.request(conn)
		sc, err := w.scanner().Request(t.Context(), request("connection-2", new(bool)))
		if err != nil || sc.ID != first.ID || sc.ConnectionID != conn {
			t.Errorf("the answer is %+v (%v)", sc, err)
		}
		got := w.finish(tenantA)
		if got.ConnectionID != "connection-2" || got.Daily || got.Scan.ConnectionID != conn || !got.WakeAt.IsZero() {
			t.Errorf("the tenant is %+v", got)
		}
	})
}

// What is asked for while a pass is at work reaches later scans, and stops the pass at no call.
func TestRequestDuringAPass(t *testing.T) {
	for n := 1; n < 50; n++ {
		if !rotationtest.Sample(n) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			changing(w)
			w.dir().hide = nil
			w.dir().tenantOf["connection-2"] = tenantA
			w.request(conn)
			var calls atomic.Int32
			asked := inventory.Scan{}
			w.each(func(_ context.Context, _ string) error {
				if calls.Add(1) == int32(n) {
					asked = w.request("connection-2")
				}
				return nil
			})
			if err := w.pass(w.scanner(), tenantA); err != nil {
				t.Errorf("asked at call %d: %v", n, err)
			}
			w.each(nil)
			got := w.finish(tenantA)
			if got.ConnectionID != "connection-2" || asked.ID == "" || got.Scan.ID != asked.ID {
				t.Errorf("asked at call %d: the scan is %s, asked for was %s, through %s", n, got.Scan.ID, asked.ID, got.ConnectionID)
			}
			w.check(tenantA)
		})
	}
}

// A request of which an answer is lost begins one scan; one that can't write says so.
func TestRequestThatIsBroken(t *testing.T) {
	for _, f := range []fault{notDone, done} {
		for n := 1; n <= 4; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				w.breakAt(n, f)
				sc, err := w.scanner().Request(t.Context(), request(conn, nil))
				w.breakAt(0, "")
				if n == 1 || n == 2 { // the connection, or the tenant, could not be read
					if err == nil {
						t.Errorf("%s at call %d: %+v", f, n, sc)
					}
					w.scanned()
				} else if err != nil || sc.Phase != inventory.Complete {
					t.Errorf("%s at call %d: %+v, %v", f, n, sc, err)
				}
				w.tick(time.Minute)
				if scans, err := w.store.Scans(t.Context(), tenantA, 9); err != nil || len(scans) != 1 {
					t.Errorf("%s at call %d: %d scans (%v)", f, n, len(scans), err)
				}
				w.check(tenantA)
			})
		}
	}
}

// A connection that is not there has no tenant to scan, and one refused makes no row.
func TestRequestOfNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		sc, err := w.scanner().Request(t.Context(), request("none", nil))
		if refused, ok := errors.AsType[*connection.Error](err); !ok || refused.Kind != connection.NotFound {
			t.Errorf("the answer is %+v (%v)", sc, err)
		}
		if all, err := w.store.Tenants(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("tenants: %v (%v)", all, err)
		}
	})
}
