package connection

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rekey/shared/activity"
	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// Upcoming are the rotations that come next.
type Upcoming struct {
	Rotations []NextRotation // in their order
	// Until is where the list had to end before it was full: every rotation before that is on it,
	// and more may follow. Zero: the list is full, or nothing else is going to rotate.
	Until time.Time
}

// NextRotation is the next scheduled rotation of a connection or of a target.
type NextRotation struct {
	At     time.Time
	Record rotation.Record
}

const (
	// upcomingMost is how many wake-ups are looked at for the rotations that come next.
	upcomingMost = 1000
	// upcomingAtOnce is how many of their records are read at the same time.
	upcomingAtOnce = 10
)

// farAway is after every wake-up.
var farAway = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Upcoming returns the limit rotations that come next, of connections and targets of which none is
// under way.
//
// It reads records in the order of their wake-ups. A record wakes for other reasons, too: a removal,
// a warning, the renewal of a sign-in, a request; but never later than for its next rotation. So the
// list is right once limit of what was read rotate no later than the last of it wakes. While an old
// credential waits for its removal the next slot lies behind that, so that about twice as many
// records are read as are returned. That costs 16 queries of keys and a read for each record,
// however many connections there are, and once more 16 queries for four times as many records if
// these were not enough. After a thousand wake-ups the list is as long as it is right: that is so
// where hundreds of connections wake for something else first, such as those that were all made
// within one grace period.
func (s *Service) Upcoming(ctx context.Context, limit int) (Upcoming, error) {
	now, read := s.Rotator.Clock(), map[string]*rotation.Record{}
	for most := 2 * limit; ; most *= 4 {
		most = min(most, upcomingMost)
		due, err := s.Records.Due(ctx, farAway, most)
		if err == nil {
			err = s.readDue(ctx, due, read)
		}
		if err != nil {
			return Upcoming{}, s.explainStore(ctx, "looking for the next rotations", err)
		}
		var until time.Time // zero: there are no more wake-ups
		if len(due) == most {
			until = due[most-1].Wake
		}
		list := nextRotations(now, due, read, until)
		switch {
		case len(list) >= limit:
			return Upcoming{Rotations: list[:limit]}, nil
		case until.IsZero() || most == upcomingMost:
			return Upcoming{list, until}, nil
		}
	}
}

// nextRotations returns the rotations of what is due that come at until or before, in order.
func nextRotations(now time.Time, due []index.Due, read map[string]*rotation.Record, until time.Time) (list []NextRotation) {
	for _, d := range due {
		rec := read[d.ID]
		if rec == nil || rec.Gone() || rec.Rotating() || !rec.Policy.Enabled {
			continue
		}
		at := rec.NextRotation(now)
		if at.Before(rec.WakeAt) { // it is overdue, and not tried again before that
			at = rec.WakeAt
		}
		if until.IsZero() || !at.After(until) {
			list = append(list, NextRotation{at, *rec})
		}
	}
	slices.SortFunc(list, func(a, b NextRotation) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Record.ID, b.Record.ID))
	})
	return list
}

// readDue reads the records of due that were not read before; nil for one that is gone, can't be
// read, or is the inventory of a tenant.
func (s *Service) readDue(ctx context.Context, due []index.Due, read map[string]*rotation.Record) error {
	var ids []string
	for _, d := range due {
		_, known := read[d.ID]
		if _, tenant := inventory.ParseDueID(d.ID); !known && !tenant {
			ids = append(ids, d.ID)
		}
	}
	found, unreadable := make([]*rotation.Record, len(ids)), atomic.Int64{}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(upcomingAtOnce)
	for i, id := range ids {
		all.Go(func() error {
			rec, err := s.Records.Load(ctx, id)
			if _, failed := errors.AsType[*serviceerror.Error](err); failed {
				return err
			}
			switch {
			case err == nil:
				found[i] = &rec
			case !errors.Is(err, serviceerror.ErrNotFound):
				unreadable.Add(1)
			}
			return nil
		})
	}
	err := all.Wait()
	for i, id := range ids {
		read[id] = found[i]
	}
	s.warnLeftOut(ctx, int(unreadable.Load()))
	return err
}

// Activity counts the rotations that succeeded and failed in each of some weeks, the oldest first and
// the one of now last.
func (s *Service) Activity(ctx context.Context, weeks int) ([]activity.Week, error) {
	list, err := s.Records.Activity(ctx, s.Rotator.Clock(), weeks)
	if err != nil {
		return nil, s.explainStore(ctx, "counting rotations", err)
	}
	return list, nil
}

// Ahead returns what rotates, and what of what is rotated ends, within a time from now on.
func (s *Service) Ahead(ctx context.Context, within time.Duration) (index.Ahead, error) {
	now := s.Rotator.Clock()
	ahead, err := s.Records.Ahead(ctx, now, now.Add(within))
	if err != nil {
		return ahead, s.explainStore(ctx, "counting what is ahead", err)
	}
	return ahead, nil
}
