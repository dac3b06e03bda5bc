package connection

import (
	"context"
	"errors"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// amendment is a change of a record beside whatever pass has its lease.
type amendment struct {
	// change makes it on the record as it is, and returns the lines of the history;
	// errAsItIs if there is nothing to write. Other errors end it.
	change func(rec *rotation.Record) ([]rotation.Event, error)
	// landed reports whether a record has it. It is asked after a commit whose answer
	// was lost. Nil: to make it twice does no harm.
	landed func(rec *rotation.Record) bool
}

// A change is tried that often, and for that long.
const (
	amendments = 20
	amending   = time.Minute
)

var (
	// errAsItIs: there is nothing to write.
	errAsItIs = errors.New("nothing to write")
	// errGone: it was perhaps written, and there is no record any more.
	errGone = errors.New("the record is gone since it was written")
	// errUnknown is for callers whose change may have been made.
	errUnknown = &Error{Kind: Unavailable, Message: "An answer was lost, so that nobody knows whether the change was made. Read the connection, and try again if it was not.", RetryAfter: 10 * time.Second}
)

// amend makes a change, again if somebody else was faster, and returns the record that
// has it. Whoever has read the record before has to say so with their change: everything
// that a change depends on is looked at in it.
func amend(ctx context.Context, records ActorRecords, id string, a amendment) (rotation.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, amending)
	defer cancel()
	lost := false // the answer to a commit of ours; a conflict is an answer
	for try := 1; ; try++ {
		rec, err := records.Load(ctx, id)
		switch {
		case lost && errors.Is(err, serviceerror.ErrNotFound):
			return rec, errGone
		case lost && err != nil && try < amendments && again(ctx, try):
			continue
		case lost && err != nil:
			return rec, errors.Join(errUnknown, err)
		case err != nil:
			return rec, err
		case lost && a.landed != nil && a.landed(&rec):
			return rec, nil
		}
		next := rec.Clone()
		events, err := a.change(&next)
		if errors.Is(err, errAsItIs) {
			return rec, nil
		}
		if err != nil {
			return rec, err
		}
		next.Version++
		got, err := records.Commit(ctx, next, events...)
		switch {
		case err == nil:
			return got, nil
		case errors.Is(err, serviceerror.ErrConflict) && try < amendments:
		case serviceerror.UnknownOutcome(err) && try < amendments:
			lost = true
			again(ctx, try) // a table that does not answer is not asked at once
		case lost || serviceerror.UnknownOutcome(err) && !errors.Is(err, serviceerror.ErrConflict):
			return rec, errors.Join(errUnknown, err)
		default:
			return rec, err
		}
	}
}

// again waits before the next try; false if there is no time left for one.
func again(ctx context.Context, try int) bool {
	return pause(ctx, min(time.Duration(try)*200*time.Millisecond, 2*time.Second)) == nil
}

// serves reports whether rec has taken up a request, whatever has become of it since.
func serves(rec *rotation.Record, requestID string) bool {
	return rec.Request != nil && rec.Request.ID == requestID || rec.Run != nil && rec.Run.ID == requestID ||
		rec.LastRun != nil && rec.LastRun.ID == requestID
}
