package tablestore

import (
	"cmp"
	"context"
	"time"

	"rekey/shared/index"
)

// Due implements [rotator.Store]. It sends one range query per partition, all at
// once, each over the wake-ups up to until and nothing else, so that it costs 16
// requests however many connections exist, and more only if more than 1,000 are due
// in one partition.
//
// If some partitions fail, what the others have is returned together with the
// error: one that is throttled must not keep the rest from rotating.
func (s *Store) Due(ctx context.Context, until time.Time, limit int) ([]index.Due, error) {
	return everywhere(limit, func(shard int) ([]index.Due, error) { return s.dueIn(ctx, shard, until, limit) },
		func(a, b index.Due) int {
			return cmp.Or(a.Wake.Compare(b.Wake), cmp.Compare(a.ID, b.ID))
		})
}

// dueIn returns the oldest wake-ups of one partition.
func (s *Store) dueIn(ctx context.Context, shard int, until time.Time, limit int) ([]index.Due, error) {
	var due []index.Due
	// Wake-ups are whole seconds. Those of until's own second are in: their
	// keys go on behind the time, so that they sort before the next second.
	end := duePrefix + until.UTC().Truncate(time.Second).Add(time.Second).Format(dueLayout)
	r := keyRange{shardKey(shard), duePrefix, end}
	err := s.scan(ctx, "looking for what is due", r, keys, limit, func(row []byte) (bool, error) {
		key, err := rowKey(row)
		if err != nil {
			return false, err
		}
		// A key that cannot be read was not put there by Rekey.
		if d, ok := parseDueKey(key); ok {
			due = append(due, d)
		}
		return len(due) < limit, nil
	})
	return due, err
}
