package scan_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotationtest"
	"rekey/shared/rotator"
)

// stage lets several actors go on one call at a time, in an order that it is told.
type stage struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // actors before a call
	active  int                      // actors that have not ended
}

type actorKey struct{}

// before holds an actor up until it is its turn.
func (s *stage) before(ctx context.Context, _ string) error {
	actor, ok := ctx.Value(actorKey{}).(string)
	if !ok {
		return nil
	}
	turn := make(chan struct{})
	s.mu.Lock()
	s.waiting[actor] = turn
	s.mu.Unlock()
	<-turn
	return nil
}

// play runs actors until all have ended. choose picks one of those that wait, by their number in
// order.
func (s *stage) play(t *testing.T, choose func(options int) int, actors map[string]func(context.Context)) {
	s.waiting, s.active = map[string]chan struct{}{}, len(actors)
	for name, act := range actors {
		go func() {
			act(context.WithValue(t.Context(), actorKey{}, name))
			s.mu.Lock()
			defer s.mu.Unlock()
			s.active--
		}()
	}
	for {
		synctest.Wait()
		s.mu.Lock()
		var names []string
		for name := range s.waiting {
			names = append(names, name)
		}
		active := s.active
		s.mu.Unlock()
		switch {
		case active == 0:
			return
		case len(names) < active && len(names) > 0: // some wait for a time: the order would depend on it
			fallthrough
		case len(names) == 0:
			time.Sleep(50 * time.Millisecond)
			if len(names) == 0 {
				continue
			}
		}
		slices.Sort(names)
		name := names[choose(len(names))]
		s.mu.Lock()
		turn := s.waiting[name]
		delete(s.waiting, name)
		s.mu.Unlock()
		close(turn)
	}
}

// everyOrder calls run with every sequence of choices. It returns how many there were.
func everyOrder(t *testing.T, most int, run func(choose func(int) int)) (n int) {
	var choices, options []int
	for {
		step := 0
		run(func(of int) int {
			if step == len(choices) {
				choices, options = append(choices, 0), append(options, of)
			}
			options[step] = of
			step++
			return choices[step-1]
		})
		if n++; t.Failed() {
			t.Fatalf("in the order %v", choices)
		}
		last := len(choices) - 1
		for last >= 0 && choices[last] == options[last]-1 {
			last--
		}
		if last < 0 {
			return n
		}
		if n == most {
			t.Fatalf("more than %d orders", most)
		}
		choices[last]++
		choices, options = choices[:last+1], options[:last+1]
	}
}

// tiny is a tenant with one application, which a scan adds and tells of, and one that has gone.
func tiny(w *world) {
	w.dir().pageSize = 10
	gone := w.dir().add(0)
	w.scanned()
	w.tick(time.Hour)
	w.dir().remove(gone)
	w.dir().add(1).secrets[0].EndsAt = time.Now().UTC().Truncate(time.Second).Add(3 * day)
}

// Of two passes at once one does the scan, and the other one finds the lease taken, in whatever
// order their calls come.
func TestTwoPassesInEveryOrder(t *testing.T) {
	n := everyOrder(t, 5000, func(choose func(int) int) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			tiny(w)
			asked := w.request(conn)
			s := &stage{}
			w.each(s.before)
			w.forget()
			errs := map[string]error{}
			var mu sync.Mutex
			pass := func(name string) func(context.Context) {
				return func(ctx context.Context) {
					err := w.scanner().Pass(ctx, tenantA, time.Now().Add(4*time.Minute))
					mu.Lock()
					defer mu.Unlock()
					errs[name] = err
				}
			}
			s.play(t, choose, map[string]func(context.Context){"a": pass("a"), "b": pass("b")})
			w.each(nil)
			puts := 0
			for _, call := range w.forget() {
				if call == "store.put" {
					puts++
				}
			}
			leased := 0
			for name, err := range errs {
				switch {
				case errors.Is(err, rotator.ErrLeased):
					leased++
				case err != nil:
					t.Errorf("pass %s: %v", name, err)
				}
			}
			got := w.tenant(tenantA)
			if got.Scan.ID != asked.ID || got.Scan.Phase != inventory.Complete || leased > 1 || puts != 2 {
				t.Errorf("%d leased, %d writes of rows, the scan %+v", leased, puts, got.Scan)
			}
			w.check(tenantA)
			if r := got.Scan.Result; r.Added != 1 || r.Gone != 1 || len(w.notices(history.InventoryFindings)) != 1 || w.kept(asked.ID) != 0 {
				t.Errorf("result %+v, notices %v", r, w.store.Notices())
			}
		})
	})
	if n < 25 {
		t.Errorf("only %d orders", n)
	}
	t.Logf("%d orders", n)
}

// Two requests at once, and a third one later, make one scan.
func TestTwoRequestsInEveryOrder(t *testing.T) {
	for _, known := range []bool{false, true} {
		n := everyOrder(t, 5000, func(choose func(int) int) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				if known {
					w.scanned()
				}
				s := &stage{}
				w.each(s.before)
				scans := map[string]inventory.Scan{}
				var mu sync.Mutex
				ask := func(name string) func(context.Context) {
					return func(ctx context.Context) {
						sc := w.scanner()
						sc.Brief = 1
						got, err := sc.Request(ctx, catalog.Request{ConnectionID: conn, By: name})
						mu.Lock()
						defer mu.Unlock()
						if scans[name] = got; err != nil {
							t.Errorf("%s: %v", name, err)
						}
					}
				}
				s.play(t, choose, map[string]func(context.Context){"a": ask("a"), "b": ask("b")})
				w.each(nil)
				again := w.request(conn)
				if id := again.ID; scans["a"].ID != id || scans["b"].ID != id || w.tenant(tenantA).Scan.ID != id {
					t.Errorf("scans %s, %s and %s", scans["a"].ID, scans["b"].ID, id)
				}
				got := w.finish(tenantA)
				w.check(tenantA)
				if got.Scan.ID != again.ID {
					t.Errorf("finished: %s", got.Scan.ID)
				}
			})
		})
		if n < 5 {
			t.Errorf("only %d orders", n)
		}
		t.Logf("tenant known %v: %d orders", known, n)
	}
}

// A pass that is held up at any of its calls for longer than its lease loses it, stops, and
// undoes nothing: the pass that took over has done the scan, and everything stays as that has left it.
func TestHeldUpForLongerThanTheLease(t *testing.T) {
	held := 0
	for n := 1; ; n++ {
		if !rotationtest.Sample(n) {
			continue
		}
		more := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			changing(w)
			w.request(conn)
			var calls atomic.Int32
			var other error
			w.each(func(ctx context.Context, call string) error {
				if ctx.Value(actorKey{}) == nil {
					return nil
				}
				if calls.Add(1) != int32(n) {
					return nil
				}
				more = true
				// The whole process stands still, or the call is under way for that long: what it was
				// meant to do happens all the same.
				time.Sleep(6 * time.Minute)
				other = w.pass(w.scanner(), tenantA)
				return errLate
			})
			err := w.scanner().Pass(context.WithValue(t.Context(), actorKey{}, "held"), tenantA, time.Now().Add(4*time.Minute))
			w.each(nil)
			if other != nil {
				t.Errorf("the pass that took over: %v", other)
			}
			// At the first call there was no lease to be lost.
			if want := rotator.ErrLeaseLost; more && n > 1 && !errors.Is(err, want) {
				t.Errorf("held up at call %d it ended with %v, want %v", n, err, want)
			}
			got := w.finish(tenantA)
			w.tick(10 * time.Minute)
			trueAfter(t, w, got)
		})
		if !more {
			break
		}
		if held++; t.Failed() {
			t.Fatalf("held up at call %d", n)
		}
	}
	if held < 40 && !rotationtest.Raced || held < 4 {
		t.Errorf("held up at %d calls only", held)
	}
	t.Logf("held up at each of %d calls", held)
}

// A pass whose lease was taken although it had not run out stops at its next commit, whatever it is at,
// and leaves everything as the other one has left it.
func TestLeaseThatIsTakenTooEarly(t *testing.T) {
	stopped := 0
	for n := 1; n < 60; n++ {
		if !rotationtest.Sample(n) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			changing(w)
			w.request(conn)
			var calls atomic.Int32
			w.each(func(ctx context.Context, call string) error {
				if ctx.Value(actorKey{}) == nil || calls.Add(1) != int32(n) {
					return nil
				}
				other := w.skewed(time.Hour)
				other.Brief = 1
				if err := other.Pass(t.Context(), tenantA, other.Now().Add(4*time.Minute)); err != nil {
					t.Errorf("taken at call %d (%s): %v", n, call, err)
				}
				return nil
			})
			err := w.scanner().Pass(context.WithValue(t.Context(), actorKey{}, "first"), tenantA, time.Now().Add(4*time.Minute))
			if errors.Is(err, rotator.ErrLeaseLost) {
				stopped++
			} else if err != nil && !errors.Is(err, rotator.ErrLeased) {
				t.Errorf("taken at call %d: %v", n, err)
			}
			w.each(nil)
			got := w.finish(tenantA)
			w.tick(10 * time.Minute)
			trueAfter(t, w, got)
			if scans, err := w.store.Scans(t.Context(), tenantA, 9); err != nil || len(scans) != 2 {
				t.Errorf("taken at call %d there are %d scans (%v)", n, len(scans), err)
			}
		})
	}
	if stopped < 40 && !rotationtest.Raced || stopped < 4 {
		t.Errorf("the pass stopped in %d cases only", stopped)
	}
}

// A deletion of what earlier scans have left that lands late takes no page of the scan under way.
func TestLateCleaningLeavesTheScanAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 60 {
			w.dir().add(1)
		}
		w.request(conn)
		held := false
		w.each(func(ctx context.Context, call string) error {
			if call != "store.drop" || held {
				return nil
			}
			held = true
			time.Sleep(6 * time.Minute)
			if err := w.scanner().Pass(t.Context(), tenantA, time.Now().Add(5*time.Second)); err != nil {
				t.Error(err)
			}
			return errLate
		})
		_ = w.scanner().Pass(t.Context(), tenantA, time.Now().Add(4*time.Minute))
		w.each(nil)
		if got := w.tenant(tenantA); got.Scan.Pages < 5 || w.kept(got.Scan.ID) != got.Scan.Pages {
			t.Errorf("%d pages of %d are there", w.kept(got.Scan.ID), got.Scan.Pages)
		}
	})
}
