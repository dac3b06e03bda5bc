package tablestore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// ReclaimAfter is how old a reservation has to be before another owner may ask
// whether its holder still needs it. It is longer than any invocation, so that the
// one that reserved has committed by then or never will.
const ReclaimAfter = 10 * time.Minute

// contention is how often a reservation is tried again because it changed hands
// while it was looked at.
const contention = 5

// TakenError says that a value is reserved for another owner. It is
// [serviceerror.ErrExists].
type TakenError struct {
	Holder reservation.Row
}

// Error does not name the holder: who may see that is the API's to decide.
func (e *TakenError) Error() string {
	return fmt.Sprintf("the %s is reserved for another connection", e.Holder.Kind)
}

// Unwrap returns [serviceerror.ErrExists].
func (e *TakenError) Unwrap() error { return serviceerror.ErrExists }

// reservationRow is a reservation as it is stored.
type reservationRow struct {
	Kind  reservation.Kind `json:"kind"`
	Value string           `json:"value"`
	Owner string           `json:"owner"`
	At    time.Time        `json:"at"`
}

// held is a reservation as it was read.
type held struct {
	reservation.Row
	etag azcore.ETag
}

// Reserve claims res.Value for res.Owner. res.At is set to now if it is zero.
//
// If the owner holds it already, it is kept, and its age begins anew. If another
// owner has held it for longer than [ReclaimAfter], reclaim is asked whether it may
// be taken over, and it is, unless it has changed meanwhile. Otherwise the error is
// a [*TakenError]. Of several owners who reserve at once exactly one succeeds.
// reclaim may be nil, for never.
func (s *Store) Reserve(ctx context.Context, res reservation.Row,
	reclaim func(ctx context.Context, holder reservation.Row) (bool, error)) error {
	const op = "reserving a value"
	if res.At.IsZero() {
		res.At = s.now().UTC()
	}
	for range contention {
		done, e := s.insertReservation(ctx, op, res)
		if e != nil || done {
			return plain(e)
		}
		holder, found, err := s.holder(ctx, res)
		if err != nil {
			return err
		}
		if !found { // released since
			continue
		}
		if holder.Owner != res.Owner {
			if s.now().Sub(holder.At) <= ReclaimAfter || reclaim == nil {
				return &TakenError{holder.Row}
			}
			free, err := reclaim(ctx, holder.Row)
			if err != nil {
				return fmt.Errorf("asking whether a reservation is still needed: %w", err)
			}
			if !free {
				return &TakenError{holder.Row}
			}
		}
		// An own reservation is written as well: an old one might be taken over
		// at this very moment, and only one of the two writes succeeds.
		if done, e := s.replaceReservation(ctx, op, res, holder.etag); e != nil || done {
			return plain(e)
		}
	}
	return fmt.Errorf("%s: %w", op, serviceerror.ErrConflict)
}

// insertReservation reports whether the row is ours; false if there is one already.
func (s *Store) insertReservation(ctx context.Context, op string, res reservation.Row) (bool, *serviceerror.Error) {
	body, e := encodeReservation(op, res)
	if e != nil {
		return false, e
	}
	e = s.withTable(ctx, func() *serviceerror.Error {
		_, err := s.table.AddEntity(once(ctx), body, nil)
		return outcome(op, write, err)
	})
	if e != nil && e.Status == http.StatusConflict {
		return false, nil
	}
	return e == nil, e
}

// replaceReservation reports whether the row is ours; false if it has changed.
func (s *Store) replaceReservation(ctx context.Context, op string, res reservation.Row, etag azcore.ETag) (bool, *serviceerror.Error) {
	body, e := encodeReservation(op, res)
	if e != nil {
		return false, e
	}
	_, err := s.table.UpdateEntity(once(ctx), body, &aztables.UpdateEntityOptions{IfMatch: &etag, UpdateMode: aztables.UpdateModeReplace})
	e = outcome(op, write, err)
	if e != nil && (e.Status == http.StatusPreconditionFailed || e.Status == http.StatusNotFound) {
		return false, nil
	}
	return e == nil, e
}

// Notes returns every note of that kind and value, in no order. One is a hint: its owner
// may be about to write its record, or have died before.
func (s *Store) Notes(ctx context.Context, kind reservation.Kind, value string) ([]reservation.Row, error) {
	const op = "reading notes"
	prefix := notePrefix(kind, value)
	r := keyRange{partitionKey(value), prefix, strings.TrimSuffix(prefix, "-") + "."} // '.' follows '-'
	var notes []reservation.Row
	err := s.scan(ctx, op, r, "", maxPage, func(row []byte) (bool, error) {
		var stored reservationRow
		if err := decodeRow(row, &stored); err != nil {
			return false, err
		}
		notes = append(notes, reservation.Row(stored))
		return true, nil
	})
	return notes, err
}

// Find returns the reservation of a value; [serviceerror.ErrNotFound] if it is free.
func (s *Store) Find(ctx context.Context, kind reservation.Kind, value string) (reservation.Row, error) {
	h, found, err := s.holder(ctx, reservation.Row{Kind: kind, Value: value})
	if err != nil {
		return reservation.Row{}, err
	}
	if !found {
		return reservation.Row{}, serviceerror.ErrNotFound
	}
	return h.Row, nil
}

// Release implements [rotator.Store].
func (s *Store) Release(ctx context.Context, res reservation.Row) error {
	const op = "releasing a reservation"
	for range contention {
		h, found, err := s.holder(ctx, res)
		if err != nil {
			return err
		}
		if !found || h.Owner != res.Owner {
			return nil
		}
		_, err = s.table.DeleteEntity(once(ctx), partitionKey(res.Value), reservationKey(res), &aztables.DeleteEntityOptions{IfMatch: &h.etag})
		e := outcome(op, write, err)
		if e == nil || e.Status == http.StatusNotFound {
			return nil
		}
		if e.Status != http.StatusPreconditionFailed {
			return e
		}
	}
	return fmt.Errorf("%s: %w", op, serviceerror.ErrConflict)
}

// holder reads the reservation of a value.
func (s *Store) holder(ctx context.Context, res reservation.Row) (held, bool, error) {
	row, found, e := s.get(ctx, "reading a reservation", partitionKey(res.Value), reservationKey(res))
	if e != nil || !found {
		return held{}, false, plain(e)
	}
	var stored reservationRow
	if err := decodeRow(row.Value, &stored); err != nil {
		return held{}, false, err
	}
	return held{reservation.Row(stored), row.ETag}, true, nil
}

// encodeReservation returns the row of res.
func encodeReservation(op string, res reservation.Row) ([]byte, *serviceerror.Error) {
	rk := reservationKey(res)
	if res.Value == "" || !validID.MatchString(res.Owner) || !keyAllowed(rk) {
		return nil, refused(op, "OutOfRangeInput", "a reservation needs a value and a connection's id")
	}
	body, err := json.Marshal(struct {
		PartitionKey string
		RowKey       string
		reservationRow
	}{partitionKey(res.Value), rk, reservationRow(res)})
	if err != nil {
		return nil, refused(op, "InvalidInput", "the row is not JSON")
	}
	return body, nil
}
