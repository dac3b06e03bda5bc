package rotationtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

func reservationKey(res reservation.Row) string {
	key := string(res.Kind) + " " + res.Value
	if res.Kind.Shared() {
		key += " " + res.Owner
	}
	return key
}

func (s storePort) Reserve(ctx context.Context, res reservation.Row,
	reclaim func(context.Context, reservation.Row) (bool, error)) error {
	key := reservationKey(res)
	if res.At.IsZero() {
		res.At = time.Now().UTC()
	}
	for {
		var held reservation.Row
		err := s.p.write(ctx, "store.reserve", res.Value, func() error {
			r, ok := s.s.reserved[key]
			if ok && r.Owner != res.Owner {
				held = r
				return serviceerror.ErrExists
			}
			s.s.reserved[key] = res
			return nil
		})
		if !errors.Is(err, serviceerror.ErrExists) || reclaim == nil || time.Since(held.At) <= 10*time.Minute {
			return err
		}
		free, rerr := reclaim(ctx, held)
		if rerr != nil {
			return rerr
		}
		if !free {
			return err
		}
		err = s.p.write(ctx, "store.reclaim", res.Value, func() error {
			if s.s.reserved[key] == held {
				s.s.reserved[key] = res
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

func (s storePort) Find(ctx context.Context, kind reservation.Kind, value string) (res reservation.Row, err error) {
	err = s.p.read(ctx, "store.find", value, func() error {
		r, ok := s.s.reserved[reservationKey(reservation.Row{Kind: kind, Value: value})]
		if !ok {
			return serviceerror.ErrNotFound
		}
		res = r
		return nil
	})
	return res, err
}

func (s storePort) Notes(ctx context.Context, kind reservation.Kind, value string) (notes []reservation.Row, err error) {
	err = s.p.read(ctx, "store.notes", value, func() error {
		for _, r := range s.s.reserved {
			if r.Kind == kind && r.Value == value {
				notes = append(notes, r)
			}
		}
		slices.SortFunc(notes, func(a, b reservation.Row) int { return strings.Compare(a.Owner, b.Owner) })
		return nil
	})
	return notes, err
}

func (s storePort) Release(ctx context.Context, res reservation.Row) error {
	return s.p.write(ctx, "store.release", res.Value, func() error {
		key := reservationKey(res)
		if s.s.reserved[key].Owner == res.Owner {
			delete(s.s.reserved, key)
		}
		return nil
	})
}

func (s storePort) Claim(ctx context.Context, row rotation.ClaimRow) error {
	return s.p.write(ctx, "store.claim", row.App, func() error {
		if _, ok := s.s.claims[row.ID]; !ok {
			s.s.claims[row.ID] = row
		}
		return nil
	})
}

func (s storePort) RenewClaim(ctx context.Context, row rotation.ClaimRow) error {
	return s.p.write(ctx, "store.renewClaim", row.App, func() error {
		if _, ok := s.s.claims[row.ID]; !ok {
			return serviceerror.ErrNotFound
		}
		s.s.claims[row.ID] = row
		return nil
	})
}

func (s storePort) ClaimsOf(ctx context.Context, app string) (rows []rotation.ClaimRow, err error) {
	err = s.p.read(ctx, "store.claims", app, func() error {
		rows = nil
		for _, row := range s.s.claims {
			if row.App == app {
				rows = append(rows, row)
			}
		}
		return nil
	})
	return rows, err
}

func (s storePort) Unclaim(ctx context.Context, row rotation.ClaimRow) error {
	return s.p.write(ctx, "store.unclaim", row.App, func() error {
		delete(s.s.claims, row.ID)
		return nil
	})
}

func (s storePort) Void(ctx context.Context, row rotation.ClaimRow) error {
	return s.p.write(ctx, "store.void", row.App, func() error {
		if is, ok := s.s.claims[row.ID]; ok && !is.At.Equal(row.At) {
			return serviceerror.ErrConflict
		}
		delete(s.s.claims, row.ID)
		return nil
	})
}
