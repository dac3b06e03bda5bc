package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// Registry is where [Bury] finds records.
type Registry interface {
	List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error)
	Load(ctx context.Context, id string) (rotation.Record, error)
	Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
}

// Bury makes the records that processes have left when they died ten minutes older: their
// leases have ended, and the outcome of what was under way can be looked for. A test that
// kills processes so waits for neither, and leases and calls can be as long as a busy
// machine needs. dead says whether a lease is one of theirs. Others may write meanwhile.
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
		if errors.Is(err, serviceerror.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if rec.Lease.Token == "" || !dead(rec.Lease) {
			return nil
		}
		age(reflect.ValueOf(&rec).Elem(), 10*time.Minute)
		rec.Lease.Until, rec.WakeAt = now.Add(-time.Hour), now // no clocks differ as much
		rec.Version++
		if _, err = r.Commit(ctx, rec); err == nil || try == tries || !errors.Is(err, serviceerror.ErrConflict) {
			return err
		}
	}
}

// age makes every time in v earlier by d, but for what a store remembers of a record.
func age(v reflect.Value, d time.Duration) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			age(v.Elem(), d)
		}
	case reflect.Slice:
		for i := range v.Len() {
			age(v.Index(i), d)
		}
	case reflect.Struct:
		switch at := v.Addr().Interface().(type) {
		case *rotation.Handle:
		case *time.Time:
			if !at.IsZero() {
				*at = at.Add(-d)
			}
		default:
			for i := range v.NumField() {
				if v.Field(i).CanSet() {
					age(v.Field(i), d)
				}
			}
		}
	}
}
