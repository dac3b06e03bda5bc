package catalog

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// The bounds of a walk: how many ends are asked for at once at least, how many it goes past at most,
// and how many applications are read at once.
const (
	minEnds  = 100
	maxEnds  = 5000
	parallel = 16
)

// met is an application that a walk has come across.
type met struct {
	place    End
	row      *Row // nil: it is in no place that is still ahead
	managers []inventory.Manager
	known    bool // all of them
}

// walk goes along the order of ends. An application has several ends there, and is in the list at
// its [Place].
func (l *list) walk(ctx context.Context) error {
	apps := map[inventory.Key]met{}
	for walked := 0; ; {
		ends, more, err := l.c.Store.Ending(ctx, l.ends, max(minEnds, l.q.Limit+1))
		n, err := l.c.readable(ctx, err)
		if err != nil {
			return l.c.explain(ctx, "reading the order of ends", err)
		}
		l.leftOut += n
		for len(ends) > 0 {
			missing := l.q.Limit + 1 - len(l.entries)
			if missing <= 0 {
				return nil
			}
			n := min(max(missing, parallel), len(ends))
			if err := l.step(ctx, ends[:n], apps); err != nil {
				return err
			}
			walked += n
			l.ends.After, ends = &ends[n-1], ends[n:]
		}
		if !more {
			return nil
		}
		if walked >= maxEnds && len(l.entries) <= l.q.Limit {
			l.more, l.last = true, *l.ends.After
			return nil
		}
	}
}

// step keeps the applications that have one of these ends and are in the list there.
func (l *list) step(ctx context.Context, ends []End, apps map[inventory.Key]met) error {
	if err := l.meet(ctx, ends, apps); err != nil {
		return err
	}
	for _, e := range ends {
		if app := apps[e.Key]; app.row != nil && app.place == e {
			l.keep(e, *app.row, app.managers, app.known)
			apps[e.Key] = met{place: e}
		}
	}
	return nil
}

// meet reads the applications that the walk has not come across so far. One that is gone
// meanwhile has no place.
func (l *list) meet(ctx context.Context, ends []End, apps map[inventory.Key]met) error {
	var keys []inventory.Key
	for _, e := range ends {
		if _, known := apps[e.Key]; !known && l.tenants[e.TenantID] != nil {
			apps[e.Key] = met{}
			keys = append(keys, e.Key)
		}
	}
	rows, leftOut := make([]*Row, len(keys)), atomic.Int32{}
	g, asking := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, key := range keys {
		g.Go(func() error {
			row, err := l.c.Store.Row(asking, key)
			switch {
			case err == nil:
				rows[i] = &row
			case unreadable(asking, err):
				leftOut.Add(1)
			case !errors.Is(err, serviceerror.ErrNotFound):
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return l.c.explain(ctx, "reading the applications", err)
	}
	if n := int(leftOut.Load()); n > 0 {
		l.leftOut += n
		l.c.warnLeftOut(ctx, n)
	}
	return l.settleAll(ctx, slices.DeleteFunc(rows, func(row *Row) bool { return row == nil }), apps)
}

// settleAll notes the places of applications that the walk has come across.
func (l *list) settleAll(ctx context.Context, rows []*Row, apps map[inventory.Key]met) error {
	if len(rows) == 0 {
		return nil
	}
	found := make([]inventory.Application, 0, len(rows))
	for _, row := range rows {
		found = append(found, row.Application)
	}
	managers, known, err := l.c.Managers.Of(ctx, found)
	if err != nil {
		return l.c.explain(ctx, "reading the connections", err)
	}
	for _, row := range rows {
		if place, ok := l.settle(row, managers[row.Key]); ok {
			apps[row.Key] = met{place, row, managers[row.Key], known}
		}
	}
	return nil
}

// unreadable reports whether err says that a row was read and not understood: a newer Rekey has
// written it, or it is damaged.
func unreadable(ctx context.Context, err error) bool {
	_, failed := errors.AsType[*serviceerror.Error](err)
	return !failed && !errors.Is(err, serviceerror.ErrNotFound) && ctx.Err() == nil
}
