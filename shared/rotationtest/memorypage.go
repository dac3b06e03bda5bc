package rotationtest

import (
	"context"
	"slices"
	"strings"

	"rekey/shared/rotation"
)

// Page implements [Store].
func (s storePort) Page(ctx context.Context, q rotation.ListQuery) (records []rotation.Record, next *rotation.ListQuery, err error) {
	err = s.p.read(ctx, "store.page", "", func() error {
		place := func(name, id string) string { return name + " " + id } // an id has no spaces
		after := place(q.AfterName, q.AfterID)
		var all []string
		ids := map[string]string{}
		for id, r := range s.s.rows {
			rec := r.record()
			if at := place(rec.Name, id); rec.Via == "" && at > after && (q.Name == "" || q.Name == rec.Name) &&
				(q.Project == nil || *q.Project == rec.Project) {
				all, ids[at] = append(all, at), id
			}
		}
		slices.Sort(all)
		left := leftOut(0)
		for i, at := range all {
			if i == q.Limit {
				next = &q
				break
			}
			r := s.s.rows[ids[at]]
			q.AfterID = ids[at]
			q.AfterName = strings.TrimSuffix(at, " "+q.AfterID)
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
