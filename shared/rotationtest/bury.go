package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/shared/rotation"
)

// Registry is where [Bury] finds records.
type Registry interface {
	List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error)
	Load(ctx context.Context, id string) (rotation.Record, error)
	Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
}

// Bury ends the leases of processes that have died, and makes their records due, as time
// would. A test that kills processes so waits for no lease, which then can be long enough
// for a busy machine. dead says whether a lease is one of theirs. Others may write meanwhile.
func Bury(ctx context.Context, r Registry, now time.Time, dead func(rotation.Lease) bool) error {
	for cursor := ""; ; {
		records, next, err := r.List(ctx, cursor, 1000)
		if err != nil {
			return fmt.Errorf("looking for leases: %w", err)
		}
		for _, rec := range records {
			if err := bury(ctx, r, now, rec.ID, dead); err != nil {
				return fmt.Errorf("ending the lease of %s: %w", rec.ID, err)
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

func bury(ctx context.Context, r Registry, now time.Time, id string, dead func(rotation.Lease) bool) error {
	const tries = 10 // others may write it too
	for try := 1; ; try++ {
		rec, err := r.Load(ctx, id)
		if errors.Is(err, rotation.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if rec.Lease.Token == "" || !dead(rec.Lease) {
			return nil
		}
		rec.Lease.Until, rec.WakeAt = now.Add(-time.Hour), now // no clocks differ as much
		rec.Version++
		if _, err = r.Commit(ctx, rec); err == nil || try == tries || !errors.Is(err, rotation.ErrConflict) {
			return err
		}
	}
}
