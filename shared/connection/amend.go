package connection

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotator"
)

const (
	amending    = time.Minute      // a change is tried for that long
	storeAnswer = 30 * time.Second // of one call to the store
)

// errUnknown is for callers whose change may have been made.
var errUnknown = &Error{
	Kind: Unavailable, RetryAfter: 10 * time.Second,
	Message: "The outcome is unknown: an answer of the table was lost. Read the connection again before retrying.",
}

// amend changes a record beside whatever pass has its lease, and returns the record that
// has the change. The callback must check every precondition on the record that it is
// given; it returns the lines of the history, or [rotator.ErrUnchanged] if there is nothing
// to write. [rotator.ErrGone]: it was perhaps written, and there is no record any more.
func amend(
	ctx context.Context, records ActorRecords, id string, change func(*rotation.Record) ([]rotation.Event, error),
) (rotation.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, amending)
	defer cancel()
	rec, err := records.Load(ctx, id)
	if err != nil {
		return rec, err
	}
	journal := rotator.AsAPI(rotator.Journal{Records: records, NewID: rand.Text, Timeout: storeAnswer, Wait: pause})
	rec, err = journal.Update(ctx, rec, change)
	if errors.Is(err, rotator.ErrUnknownOutcome) {
		err = errors.Join(errUnknown, err)
	}
	return rec, err
}
