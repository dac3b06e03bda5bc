package rotationtest

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/shared/rotation"
)

type historyRow struct {
	Version int64
	Events  []rotation.Event
}

// at is when the last of the events was.
func (r historyRow) at() (at time.Time) {
	for _, e := range r.Events {
		if e.At.After(at) {
			at = e.At
		}
	}
	return at
}

func (s storePort) History(ctx context.Context, id, cursor string, limit int) (events []rotation.Event, next string, err error) {
	err = s.p.read(ctx, "store.history", id, func() error {
		skip, _ := strconv.Atoi(cursor)
		var all []rotation.Event
		for _, r := range slices.Backward(s.s.history[id]) {
			for _, e := range slices.Backward(r.Events) {
				all = append(all, e)
			}
		}
		all = all[min(skip, len(all)):]
		if len(all) > limit {
			all, next = all[:limit], strconv.Itoa(skip+limit)
		}
		events = all
		return nil
	})
	return events, next, err
}

// Prune looks before it writes, so that a write is one that deletes something.
func (s storePort) Prune(ctx context.Context, before time.Time, limit int) (rows int, more bool, err error) {
	n := 0
	err = s.p.read(ctx, "store.old", "", func() error {
		n = len(s.s.oldDays(before)) + len(s.s.oldRuns(before)) + len(s.s.oldAudit(before))
		return nil
	})
	if err != nil || n == 0 {
		return 0, false, err
	}
	err = s.p.write(ctx, "store.prune", "", func() error {
		days, runs, lines := s.s.oldDays(before), s.s.oldRuns(before), s.s.oldAudit(before)
		more = len(days) > limit || len(runs) > limit || len(lines) > limit
		for _, key := range lines[:min(limit, len(lines))] {
			delete(s.s.audited, key)
		}
		for _, run := range runs[:min(limit, len(runs))] {
			delete(s.s.ended, run)
		}
		for _, d := range days[:min(limit, len(days))] {
			left := slices.DeleteFunc(slices.Clone(s.s.history[d.id]), func(r historyRow) bool { return r.Version <= d.version })
			rows += len(s.s.history[d.id]) - len(left)
			s.s.history[d.id] = left
			if len(left) == 0 {
				delete(s.s.former, d.id)
			}
		}
		return nil
	})
	return rows, more, err
}

// oldDay is a day of a connection's history, and its last version.
type oldDay struct {
	date, id string
	version  int64
}

// oldDays lists the days of history that had ended at before, the oldest first.
func (s *MemoryStore) oldDays(before time.Time) (days []oldDay) {
	last := map[oldDay]int64{}
	for id, rows := range s.history {
		for _, r := range rows {
			if at := r.at().UTC(); at.Before(before.UTC().Truncate(24 * time.Hour)) {
				last[oldDay{date: at.Format(time.DateOnly), id: id}] = r.Version
			}
		}
	}
	for d, version := range last {
		days = append(days, oldDay{d.date, d.id, version})
	}
	slices.SortFunc(days, func(a, b oldDay) int { return cmp.Or(strings.Compare(a.date, b.date), strings.Compare(a.id, b.id)) })
	return days
}
