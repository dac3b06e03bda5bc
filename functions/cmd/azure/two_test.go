package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	many "rekey/shared/emulator/crowd"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/history"
)

// crowd is many connections whose rotation is due.
type crowd struct {
	*world
	apps map[string]directory.Application // by connection id

	mu     sync.Mutex
	issued map[string]int // addPassword calls by object id
	calls  int            // of addPassword
	deadly int            // the call of addPassword at which kill is called; 0: none
	kill   func()
}

// newCrowd writes n records as they are on the day of their rotation.
func newCrowd(t *testing.T, w *world, n int) *crowd {
	t.Helper()
	c := &crowd{world: w, apps: map[string]directory.Application{}, issued: map[string]int{}}
	w.Break(func(op string, r *http.Request) *fault.Effect {
		if op == directory.OpAddPassword && c.count(strings.Split(r.URL.Path, "/")[3]) {
			c.kill()
		}
		return nil
	})
	for i := range n {
		c.add(t, fmt.Sprintf("due-%d", i), time.Now().Add(-time.Duration(n-i)*time.Second))
	}
	return c
}

// count counts a call of addPassword, and reports whether it is the deadly one.
func (c *crowd) count(object string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.issued[object]++
	c.calls++
	return c.calls == c.deadly
}

func (c *crowd) add(t *testing.T, name string, slot time.Time) {
	t.Helper()
	maker := many.Maker{Stack: c.Stack, Vault: c.app.Rotator.Vault, Records: c.app.Connections.Records, Deployment: c.app.Rotator.Deployment}
	id, a, err := maker.Add(t.Context(), name, slot)
	if err != nil {
		t.Fatal(err)
	}
	c.apps[id] = a
}

// pending counts the connections that are not done with their rotation.
func (c *crowd) pending(t *testing.T) (n int) {
	t.Helper()
	for id := range c.apps {
		rec, err := c.app.Rotator.Store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !rec.Settled(time.Now()) || len(rec.Removals) > 0 || rec.Lease.Token != "" {
			n++
		}
	}
	return n
}

// TestTwoInstances lets the timers of two processes fire over one table, and kills
// one of them in the middle: each connection is rotated exactly once.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		n    int
		kill bool
	}{{"both live", 100, false}, {"one is killed", 40, true}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			c := newCrowd(t, w, test.n)
			a, b := w.newInstance(t), w.newInstance(t)
			if test.kill {
				c.deadly, c.kill = test.n/4, b.kill
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for {
				var wg sync.WaitGroup
				for _, i := range []*instance{a, b} {
					wg.Go(func() { i.tick(ctx) }) // one of them may die
				}
				wg.Wait()
				if !b.alive() {
					w.bury(ctx, t) // a is done with its sweep
					b.start()
				}
				left := c.pending(t)
				if left == 0 {
					break
				}
				if ctx.Err() != nil {
					t.Fatalf("%d connections are not done\n%s", left, a.output())
				}
			}
			c.judge(t, test.kill)
		})
	}
}

// judge checks that each connection was rotated once, and only once.
func (c *crowd) judge(t *testing.T, killed bool) {
	t.Helper()
	extra := 0
	for id, a := range c.apps {
		rec, err := c.app.Rotator.Store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		events, _, err := c.app.Connections.Records.History(t.Context(), id, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		published := 0
		for _, e := range events {
			if e.Kind == history.Published {
				published++
			}
		}
		live := c.Directory.Passwords(a.ObjectID)
		if published != 1 || len(live) != 1 || live[0].KeyID != rec.Current.KeyID {
			t.Errorf("%s: published %d times; live: %d", rec.Name, published, len(live))
		}
		extra += c.issued[a.ObjectID] - 1
	}
	t.Logf("%d connections, %d credentials issued beyond one each", len(c.apps), extra)
	if extra != 0 && !killed {
		t.Errorf("%d credentials were issued beyond one each, though no process died", extra)
	}
}
