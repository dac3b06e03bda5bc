package scan_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// A scan whose connection is gone goes on through another one of the tenant, of several the one with the most targets,
// and so do those of later days. One that is there and can't sign in stays: a person has to mend that.
func TestConnectionThatIsGone(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*world)
		want   string
	}{
		"gone":           {func(w *world) { delete(w.dir().tenantOf, conn) }, "with-targets"},
		"another tenant": {func(w *world) { w.dir().tenantOf[conn] = guid(0xb) }, "with-targets"},
		"refused":        {func(w *world) { w.dir().signInRefused = &serviceerror.Error{Class: serviceerror.ActorRefused} }, conn},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				w.dir().tenantOf["alone"], w.dir().tenantOf["with-targets"] = tenantA, tenantA
				w.dir().tenantOf["elsewhere"] = guid(0xb)
				w.managers = map[string][]inventory.Manager{
					guid(1): {{ConnectionID: conn}, {ConnectionID: "alone"}, {ConnectionID: "with-targets", TargetID: "t"}},
					guid(2): {{ConnectionID: "elsewhere", TargetID: "u"}, {ConnectionID: "elsewhere", TargetID: "v"}},
				}
				first := w.scanned()
				row.change(w)
				w.tick(day + time.Hour)
				got := w.tenant(tenantA)
				if moved := row.want != conn; got.ConnectionID != row.want || got.Scan.ConnectionID != row.want ||
					(got.Scan.Phase == inventory.Complete) != moved || got.AsOf.After(first.AsOf) != moved {
					t.Errorf("the tenant is %+v, its scan %+v", got, got.Scan)
				}
			})
		})
	}
}

// Of many connections it takes long to read which one has targets, and the table may fail at it: it is asked again, and
// has the time that a pass has.
func TestConnectionThatIsGoneAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withoutConnection(t)
		tries := 0
		w.each(func(ctx context.Context, call string) error {
			if call != "managers" {
				return nil
			}
			if tries++; tries == 1 {
				return &serviceerror.Error{Op: "testing", Class: serviceerror.Transient}
			}
			select {
			case <-time.After(time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		w.tick(day + time.Hour)
		if got := w.tenant(tenantA); got.Scan.ConnectionID != "other" || got.Scan.Phase != inventory.Complete ||
			tries != 3 { // the third before the rows are written
			t.Errorf("the scan is %+v, its problem %+v, after %d tries", got.Scan, got.Scan.Problem, tries)
		}
	})
}

// Dying at any call, or losing its answer, keeps a scan from going on through another connection no longer than that.
func TestConnectionThatIsGoneBrokenAtEveryCall(t *testing.T) {
	for _, f := range []fault{crashBefore, crashAfter, notDone, done} {
		for n, broken := 1, true; broken && n < 100; n++ {
			synctest.Test(t, func(t *testing.T) {
				w := withoutConnection(t)
				time.Sleep(day + time.Hour)
				w.breakAt(n, f)
				w.tick(3 * time.Hour)
				w.mu.Lock()
				broken = w.at == 0
				w.mu.Unlock()
				if got := w.tenant(tenantA); got.Scan.ConnectionID != "other" || got.Scan.Phase != inventory.Complete {
					t.Errorf("%s at call %d: the scan is %+v, its problem %+v", f, n, got.Scan, got.Scan.Problem)
				}
				w.check(tenantA)
			})
		}
	}
}

// withoutConnection is a world that was scanned through a connection which is gone now, and has another one.
func withoutConnection(t *testing.T) *world {
	w := newWorld(t)
	small(w)
	w.managers = map[string][]inventory.Manager{guid(1): {{ConnectionID: "other"}}}
	w.dir().tenantOf["other"] = tenantA
	w.scanned()
	delete(w.dir().tenantOf, conn)
	return w
}
