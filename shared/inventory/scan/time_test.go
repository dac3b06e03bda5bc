package scan_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
)

// A pass ends in time, whatever takes long, and each pass gets on: with calls that take 20 seconds each a
// scan of many pages takes many passes.
func TestPassesEndInTime(t *testing.T) {
	for name, hang := range map[string]func(ctx context.Context) error{
		"slow": func(ctx context.Context) error {
			select {
			case <-time.After(20 * time.Second):
			case <-ctx.Done():
			}
			return ctx.Err()
		},
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for range 60 {
					w.dir().add(1)
				}
				w.request(conn)
				var n atomic.Int32
				w.each(func(ctx context.Context, call string) error {
					if i := n.Add(1); strings.HasPrefix(call, "page ") && (name == "slow" || i%7 == 0) {
						return hang(ctx)
					}
					return nil
				})
				for pass := 1; ; pass++ {
					before := *w.tenant(tenantA).Scan
					if err := w.pass(w.scanner(), tenantA); err != nil { // checks that it ends in time
						t.Fatalf("pass %d: %v", pass, err)
					}
					got := w.tenant(tenantA)
					if got.Lease.Token != "" {
						t.Fatalf("pass %d has kept its lease", pass)
					}
					if got.Scan.Phase == inventory.Complete {
						if pass < 5 {
							t.Errorf("%d passes are enough", pass)
						}
						break
					}
					if is := got.Scan; is.Pages <= before.Pages && is.List == before.List && is.Cursor == before.Cursor && is.Phase == before.Phase {
						t.Fatalf("pass %d has got nowhere: %+v", pass, got.Scan)
					}
					time.Sleep(time.Until(got.WakeAt))
				}
				w.check(tenantA)
			})
		})
	}
}

// A pass of which there is no time left does nothing, and a request ends when its time is over.
func TestNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		w.request(conn)
		w.forget()
		for _, left := range []time.Duration{-time.Hour, 0, time.Millisecond} {
			if err := w.scanner().Pass(t.Context(), tenantA, time.Now().Add(left)); err != nil || len(w.forget()) != 0 {
				t.Errorf("with %s left: %v", left, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.each(func(_ context.Context, call string) error {
			if call == "page federated" {
				cancel()
			}
			return nil
		})
		if err := w.scanner().Pass(ctx, tenantA, time.Now().Add(4*time.Minute)); err != nil {
			t.Errorf("cancelled: %v", err)
		}
		if got := w.tenant(tenantA); got.Lease.Token != "" || got.Scan.List != inventory.FederatedIDs {
			t.Errorf("after it was cancelled: lease %+v, list %s", got.Lease, got.Scan.List)
		}
	})
}

// Reads with keyCredentials are spaced for each tenant; other reads are not, and
// no tenant waits for another.
func TestReadsOfKeysAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tenants := w.several(3, 30)
		last, minute := map[string]time.Time{}, map[string][]time.Time{}
		var mu sync.Mutex
		w.each(func(ctx context.Context, call string) error {
			mu.Lock()
			defer mu.Unlock()
			tenantID, _ := ctx.Value(actorKey{}).(string)
			if call == "page applications" || call == "page service-principals" {
				now := time.Now()
				if d := now.Sub(last[tenantID]); d < 400*time.Millisecond {
					t.Errorf("%s of %s comes %s after another one", call, tenantID, d)
				}
				last[tenantID] = now
				minute[tenantID] = append(minute[tenantID], now)
			}
			return nil
		})
		began := time.Now()
		s := w.scanner()
		var all sync.WaitGroup
		for _, tenantID := range tenants {
			all.Go(func() {
				ctx := context.WithValue(t.Context(), actorKey{}, tenantID)
				if err := s.Pass(ctx, tenantID, began.Add(4*time.Minute)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, tenantID := range tenants {
			reads := minute[tenantID]
			if took := reads[len(reads)-1].Sub(reads[0]); len(reads) != 20 || took > 20*410*time.Millisecond {
				t.Errorf("%s was read %d times in %s", tenantID, len(reads), took)
			}
		}
	})
}

// several adds tenants with n applications each, asks for scans of them, and returns their ids.
func (w *world) several(tenants, n int) (ids []string) {
	w.t.Helper()
	for i := range tenants {
		id := guid(0x100 + i)
		name := fmt.Sprint("connection of ", i)
		d := &directory{world: w, tenantID: id, pageSize: 3, tenantOf: map[string]string{name: id}}
		w.tenants[id] = d
		for range n {
			d.add(1 + i%2)
		}
		w.request(name)
		ids = append(ids, id)
	}
	return ids
}

// Several tenants are scanned side by side, no more at once than is allowed, and none gets rows of another.
func TestSeveralTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		w.request(conn)
		tenants := append(w.several(11, 12), tenantA)
		var mu sync.Mutex
		busy, most := 0, 0
		w.each(func(context.Context, string) error { // a pass has one call at a time
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			busy--
			return nil
		})
		s := w.scanner()
		s.Parallel = 4
		var all sync.WaitGroup
		for _, tenantID := range tenants {
			all.Go(func() {
				if err := s.Pass(t.Context(), tenantID, time.Now().Add(4*time.Minute)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.each(nil)
		if most != 4 {
			t.Errorf("%d tenants at once", most)
		}
		starts := map[time.Time]bool{}
		for _, tenantID := range tenants {
			w.check(tenantID)
			got := w.tenant(tenantID)
			if got.Scan.Phase != inventory.Complete {
				t.Errorf("the scan of %s is %+v", tenantID, got.Scan)
			}
			starts[got.WakeAt.Truncate(time.Minute)] = true
		}
		if len(starts) < 5 {
			t.Errorf("the next scans of %d tenants begin in %d minutes", len(tenants), len(starts))
		}
	})
}

// With clocks of 60 s difference no two passes ever work on a tenant at the same time: the one that
// takes a lease over does that when each call of the pass before has ended.
func TestClocksApart(t *testing.T) {
	for _, apart := range []time.Duration{-60 * time.Second, -time.Second, 0, time.Second, 60 * time.Second} {
		for i, stuck := range []string{"page applications", "page activity", "store.commit", "store.put", "store.prune"} {
			if !rotationtest.Sample(i) {
				continue
			}
			t.Run(fmt.Sprint(apart, " ", stuck), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					changing(w)
					w.request(conn)
					var mu sync.Mutex
					busy, taken := 0, time.Time{}
					hung := 0
					w.each(func(ctx context.Context, call string) error {
						if ctx.Value(actorKey{}) != "first" {
							return nil
						}
						mu.Lock()
						busy++
						if call == stuck {
							hung++
						}
						hang := call == stuck && (hung >= 3 || stuck == "store.prune")
						mu.Unlock()
						if hang {
							<-ctx.Done() // the service never answers
						}
						mu.Lock()
						defer mu.Unlock()
						if busy--; !taken.IsZero() {
							t.Errorf("%s of the first pass ends %s after another one has the lease", call, time.Since(taken))
						}
						return nil
					})
					var all sync.WaitGroup
					all.Go(func() {
						ctx := context.WithValue(t.Context(), actorKey{}, "first")
						first := w.skewed(0)
						first.Rules.CallTimeout = time.Hour // so that the lease alone ends the call
						_ = first.Pass(ctx, tenantA, time.Now().Add(time.Hour))
					})
					time.Sleep(time.Second)
					if w.tenant(tenantA).Lease.Token == "" {
						all.Wait()
						return // it had ended before anything was stuck
					}
					second := w.skewed(apart)
					for taken.IsZero() {
						err := second.Pass(t.Context(), tenantA, second.Now().Add(4*time.Minute))
						mu.Lock()
						if !errors.Is(err, rotator.ErrLeased) {
							if taken = time.Now(); busy > 0 {
								t.Errorf("the second pass has the lease, and the first one is at %d calls", busy)
							}
						}
						mu.Unlock()
						time.Sleep(500 * time.Millisecond)
					}
					all.Wait()
					w.each(nil)
					got := w.finish(tenantA)
					w.tick(10 * time.Minute)
					trueAfter(t, w, got)
				})
			})
		}
	}
}

// Daily scans go on with clocks apart as with one.
func TestDailyScansWithClocksApart(t *testing.T) {
	rotationtest.PlainOnly(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		w.scanned()
		w.forget()
		for i := range 7 * 24 * 60 {
			ahead := 30 * time.Second
			if i%2 == 0 {
				ahead = -ahead
			}
			due, err := w.store.Due(t.Context(), time.Now().Add(ahead), 10)
			if err != nil {
				t.Fatal(err)
			}
			for range due {
				s := w.skewed(ahead)
				if err := s.Pass(t.Context(), tenantA, s.Now().Add(4*time.Minute)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		}
		scans, err := w.store.Scans(t.Context(), tenantA, 100)
		if err != nil || len(scans) < 7 || len(scans) > 8 {
			t.Errorf("%d scans in a week (%v)", len(scans), err)
		}
		commits := 0
		for _, call := range w.forget() {
			if call == "store.commit" {
				commits++
			}
		}
		if commits > len(scans)*25 {
			t.Errorf("%d commits for %d scans", commits, len(scans))
		}
	})
}
