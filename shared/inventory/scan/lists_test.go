package scan_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/rotationtest"
	"rekey/shared/serviceerror"
)

// A list whose cursor is taken no more begins again, and what was read of it before counts for
// nothing. One that never gets further is refused after a few times.
func TestCursorThatHasExpired(t *testing.T) {
	for _, list := range inventory.Lists {
		t.Run(string(list), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				more := []*app{w.dir().add(1), w.dir().add(1), w.dir().add(1)}
				for _, a := range more {
					a.federated, a.used[a.secrets[0].KeyID] = []string{"f"}, time.Now().UTC().Truncate(time.Second)
				}
				w.request(conn)
				var reads atomic.Int32
				w.each(func(_ context.Context, call string) error {
					if call == "page "+string(list) {
						if reads.Add(1) == 3 {
							w.dir().generation++
							for _, a := range more { // so that there are fewer pages
								w.dir().remove(a)
							}
						}
					}
					return nil
				})
				got := w.finish(tenantA)
				if got.Scan.Phase != inventory.Complete || len(got.Unread) != 0 || reads.Load() != 2+1+3 {
					t.Errorf("the scan is %+v after %d reads of the list", got.Scan, reads.Load())
				}
				w.each(nil)
				if list == inventory.Applications { // the other lists were read after it
					w.check(tenantA)
				}
				w.scanned()
				w.check(tenantA)

				w.each(func(_ context.Context, call string) error {
					if call == "page "+string(list) {
						w.dir().generation++
					}
					return nil
				})
				w.request(conn)
				got = w.finish(tenantA)
				failed := got.Scan.Phase == inventory.Failed && got.Scan.Problem.List == list
				unread := got.Scan.Phase == inventory.Complete && len(got.Unread) == 1 && got.Unread[0].List == list
				if want := list == inventory.Applications; failed != want || unread == want {
					t.Errorf("with a cursor that never works the scan is %+v, unread %+v", got.Scan, got.Unread)
				}
			})
		})
	}
}

// A report that never answers does not keep the inventory from being made. The list of
// applications is waited for.
func TestListThatNeverAnswers(t *testing.T) {
	for _, list := range []inventory.List{inventory.Activity, inventory.Applications} {
		t.Run(string(list), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				w.dir().refuse(list, &serviceerror.Error{Op: "listing", Class: serviceerror.Transient, Status: 500})
				w.request(conn)
				w.tick(3 * time.Hour)
				got := w.tenant(tenantA)
				if list == inventory.Activity {
					if got.Scan.Phase != inventory.Complete || len(got.Unread) != 1 || got.Unread[0].Class != serviceerror.Transient {
						t.Errorf("the scan is %+v, unread %+v", got.Scan, got.Unread)
					}
					return
				}
				if got.Scan.Phase != inventory.Reading || got.Scan.Problem == nil || got.Scan.Failures < 10 {
					t.Errorf("the scan is %+v", got.Scan)
				}
				w.tick(3 * day)
				if n := w.notices(history.InventoryFailed); len(n) != 1 || n[0].At.Sub(got.Since) > 2*day+time.Minute {
					t.Errorf("notices: %+v", n)
				}
				w.dir().refuse(list, nil)
				w.tick(time.Hour)
				w.check(tenantA)
			})
		})
	}
}

// A list that goes on where it has been already does not come to an end, nor does one of which pages
// without anything on them lead to each other.
func TestListWithoutEnd(t *testing.T) {
	rotationtest.PlainOnly(t)
	for list, set := range map[inventory.List]func(*directory){
		inventory.Principals: func(d *directory) { d.circle = inventory.Principals },
		inventory.Activity:   func(d *directory) { d.ring = inventory.Activity },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			small(w)
			set(w.dir())
			w.request(conn)
			if got := w.finish(tenantA); got.Scan.Phase != inventory.Complete || len(got.Unread) != 1 || got.Unread[0].List != list {
				t.Errorf("%s: the scan is %+v", list, got.Scan)
			}
		})
	}
}

// What a list told before it began again counts for nothing, also where there is less of it by
// then, and nothing comes after it that takes the place of its pages.
func TestListThatBeginsAgainWithLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var leave []*app
		for range 20 {
			leave = append(leave, w.dir().add(1))
		}
		w.dir().add(1)
		w.request(conn)
		reads := 0
		w.each(func(_ context.Context, call string) error {
			if call == "page applications" {
				if reads++; reads == 6 {
					w.dir().generation++
					for _, a := range leave {
						w.dir().remove(a)
					}
				}
			}
			return nil
		})
		got := w.finish(tenantA)
		w.check(tenantA)
		if r := got.Scan.Result; r.Applications != 1 || reads != 7 {
			t.Errorf("the result is %+v after %d reads", r, reads)
		}
	})
}

// A report that is throttled for long, and then fails once, is not left unread.
func TestFailuresOfDifferentKindsDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		reads := 0
		w.each(func(_ context.Context, call string) error {
			if call != "page activity" {
				return nil
			}
			switch reads++; {
			case reads <= 20:
				return &serviceerror.Error{Op: "listing", Class: serviceerror.Throttled, Status: 429}
			case reads == 21:
				return &serviceerror.Error{Op: "listing", Class: serviceerror.Transient, Status: 500}
			}
			return nil
		})
		w.request(conn)
		if got := w.finish(tenantA); len(got.Unread) != 0 {
			t.Errorf("unread: %+v", got.Unread)
		}
		w.check(tenantA)
	})
}

// Pages that are lost are no applications that are gone.
func TestPagesThatAreLost(t *testing.T) {
	for _, at := range []string{"page activity", "managers"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			small(w)
			w.scanned()
			w.request(conn)
			var once sync.Once
			w.each(func(ctx context.Context, call string) error {
				if call == at {
					once.Do(func() { _ = w.store.DropPages(ctx, tenantA, "") })
				}
				return nil
			})
			got := w.finish(tenantA)
			w.check(tenantA)
			if got.Scan.Phase != inventory.Complete || got.Scan.Result.Gone != 0 || got.Scan.Rows != 0 {
				t.Errorf("lost before %q: the scan is %+v", at, got.Scan)
			}
		})
	}
}
