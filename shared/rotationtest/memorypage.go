package rotationtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"rekey/shared/index"
	"rekey/shared/rotation"
)

// Page implements [Store].
func (s storePort) Page(ctx context.Context, q index.Query) (records []rotation.Record, next *index.Query, err error) {
	err = s.p.read(ctx, "store.page", "", func() error {
		var all []index.Entry
		for _, r := range s.s.rows {
			rec := r.record()
			if e := index.Of(&rec); q.Finds(&e) && q.Behind(&e) {
				all = append(all, e)
			}
		}
		slices.SortFunc(all, func(a, b index.Entry) int { return cmp.Compare(a.Name+" "+a.ID, b.Name+" "+b.ID) }) // an id has no spaces
		left := leftOut(0)
		for i, e := range all {
			if i == q.Limit {
				next = &q
				break
			}
			q.AfterName, q.AfterID = e.Name, e.ID
			r := s.s.rows[e.ID]
			if r.schema() > rotation.Schema {
				left++
				continue
			}
			records = append(records, r.record())
		}
		if left > 0 {
			return left
		}
		return nil
	})
	return records, next, err
}

// Ahead implements [Store].
func (s storePort) Ahead(ctx context.Context, from, to time.Time) (ahead index.Ahead, err error) {
	err = s.p.read(ctx, "store.ahead", "", func() error {
		within := func(at time.Time) bool { return !at.IsZero() && !at.Before(from) && at.Before(to) }
		for _, id := range slices.Sorted(maps.Keys(s.s.rows)) {
			rec := s.s.rows[id].record()
			e := index.Of(&rec)
			if within(e.Due) {
				ahead.Due = append(ahead.Due, e.Due)
			}
			if within(e.Ends) {
				ahead.Ends = append(ahead.Ends, index.End{At: e.Ends, Credential: e.Credential})
			}
		}
		ahead.Whole = true
		slices.SortFunc(ahead.Due, time.Time.Compare)
		slices.SortFunc(ahead.Ends, func(a, b index.End) int { return a.At.Compare(b.At) })
		return nil
	})
	return ahead, err
}
