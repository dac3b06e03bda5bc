package rotator_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
)

// pruner answers calls in turn, and the last answer from then on.
type pruner struct {
	calls   int
	answers []error
}

var errMore = errors.New("there is more")

func (p *pruner) Prune(context.Context, time.Time, int) (rows int, more bool, err error) {
	err = p.answers[min(p.calls, len(p.answers)-1)]
	p.calls++
	if err == errMore {
		return 0, true, nil
	}
	return 0, false, err
}

// What is done is looked at once a day, what is more at once. A failure waits for no day: until the index of
// an older table is written lists are not complete.
func TestWhenTheTimerPrunes(t *testing.T) {
	failed := errors.New("the table does not answer")
	for name, row := range map[string]struct {
		answers []error
		calls   int // in the first hour, with a sweep each minute
	}{
		"done":                {[]error{nil}, 1},
		"more, then done":     {[]error{errMore, errMore, nil}, 3},
		"failed, then done":   {[]error{failed, nil}, 2},
		"failed all the time": {[]error{failed}, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &pruner{answers: row.answers}
			r := &rotator.Rotator{Store: dueStore{}, History: p, Rules: rotation.DefaultRules(), Parallel: 1,
				Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
			for range 60 {
				if _, err := r.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			}
			if p.calls != row.calls {
				t.Errorf("%s: %d calls in an hour, want %d", name, p.calls, row.calls)
			}
		})
	}
}

// A deployment in which a pass is at work at any time prunes and indexes all the same.
func TestABusyTimerPrunes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pruner{answers: []error{nil}}
		busy := &scans{until: map[string]time.Time{}, pass: func(tenant string) error {
			time.Sleep(150 * time.Second)
			if tenant == "two" { // so that the other one begins again meanwhile
				time.Sleep(45 * time.Second)
			}
			return nil
		}}
		var due []index.Due
		for _, tenant := range []string{"one", "two"} {
			due = append(due, index.Due{ID: inventory.DueID(tenant), Wake: time.Now()})
		}
		r := &rotator.Rotator{Store: dueStore{due: due}, Inventory: busy, History: p, Rules: rotation.DefaultRules(), Parallel: 1,
			Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		begin := time.Now()
		if _, err := r.Sweep(t.Context()); err != nil || time.Since(begin) < r.Rules.Pass {
			t.Fatalf("the sweep took %s, %v", time.Since(begin), err)
		}
		if p.calls != 1 {
			t.Errorf("%d calls, want 1", p.calls)
		}
	})
}
