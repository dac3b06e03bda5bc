package rotator_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// dueStore has nothing but an index of what is due: any other call panics.
type dueStore struct {
	rotator.Store
	due []index.Due
}

func (s dueStore) Due(context.Context, time.Time, int) ([]index.Due, error) {
	return slices.Clone(s.due), nil
}

func (s dueStore) Load(context.Context, string) (rotation.Record, error) {
	return rotation.Record{}, serviceerror.ErrNotFound
}

// scans records which tenants passes ran for, and until when.
type scans struct {
	mu    sync.Mutex
	until map[string]time.Time
	pass  func(tenantID string) error
}

func (s *scans) Pass(_ context.Context, tenantID string, until time.Time) error {
	s.mu.Lock()
	s.until[tenantID] = until
	s.mu.Unlock()
	return s.pass(tenantID)
}

// dues tells an observer's Due from the rest.
type dues struct {
	rotator.Observer
	seen []index.Due
}

func (d *dues) Due(_ time.Time, due []index.Due) { d.seen = append(d.seen, due...) }

func (d *dues) Pass(ctx context.Context, _ string) (context.Context, func(*rotation.Record, error)) {
	return ctx, func(*rotation.Record, error) {}
}

// What is due of an inventory goes to its own port, beside the connections, and neither takes a
// worker nor keeps connections waiting; what stops one pass stops no other.
func TestSweepHandsInventoriesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var log bytes.Buffer
		inv := &scans{until: map[string]time.Time{}, pass: func(tenantID string) error {
			time.Sleep(3 * time.Minute)
			switch tenantID {
			case "refused":
				return errors.New("the store does not answer")
			case "leased":
				return rotator.ErrLeased
			case "mistake":
				panic("a mistake")
			}
			return nil
		}}
		seen := &dues{}
		ids := []string{inventory.DueID("fine"), inventory.DueID("refused"), "connection", inventory.DueID("leased"), inventory.DueID("mistake")}
		var due []index.Due
		for _, id := range ids {
			due = append(due, index.Due{ID: id, Wake: begin})
		}
		r := &rotator.Rotator{
			Store: dueStore{due: due}, Inventory: inv, Observer: seen, Rules: rotation.DefaultRules(), Parallel: 1,
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		swept, err := r.Sweep(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(inv.until) != 4 {
			t.Errorf("passes ran for %v, want those of the four tenants", inv.until)
		}
		for tenantID, until := range inv.until {
			// What runs the sweep stops it after four minutes.
			if most := begin.Add(4*time.Minute - 35*time.Second); until.After(most) || until.Before(begin.Add(3*time.Minute)) {
				t.Errorf("the pass of %s may last until %s, want %s", tenantID, until.Sub(begin), most.Sub(begin))
			}
		}
		for _, d := range seen.seen {
			if d.ID != "connection" {
				t.Errorf("%s counts as a connection that is due", d.ID)
			}
		}
		if swept.Scans < 1 || swept.Failed < 2 || swept.Leased < 1 || swept.Passes < 1 {
			t.Errorf("the sweep says %+v", swept)
		}
		if text := log.String(); strings.Count(text, "scan stopped") < 2 || strings.Contains(text, "pass stopped") {
			t.Errorf("the log says:\n%s", text)
		}
	})
}

// A pass that could only begin after the time of passes is left to the next sweep, and without
// the port what is due of inventories stays as it is.
func TestSweepLeavesInventoriesThatComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes := 0
		inv := &scans{until: map[string]time.Time{}, pass: func(string) error { passes++; time.Sleep(rotation.DefaultRules().Pass); return nil }}
		r := &rotator.Rotator{Store: dueStore{due: []index.Due{{ID: inventory.DueID("a")}}}, Inventory: inv, Rules: rotation.DefaultRules()}
		swept, err := r.Sweep(t.Context())
		if err != nil || passes != 1 || swept.Scans != 1 {
			t.Errorf("%d passes, %+v (%v): the second one would begin after the time of passes", passes, swept, err)
		}
		r.Inventory = nil
		if swept, err = r.Sweep(t.Context()); err != nil || swept.Due != 0 || passes != 1 {
			t.Errorf("without an inventory: %+v (%v)", swept, err)
		}
	})
}
