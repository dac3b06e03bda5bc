package connection

import (
	"context"
	"errors"

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

var errAsItIs = errors.New("nothing to write")

// amend makes a change, again if somebody else was faster, and returns the record that
// has it. Whoever has read the record before has to say so with their change: everything
// that a change depends on is looked at in it.
func amend(ctx context.Context, records ActorRecords, id string, a amendment) (rotation.Record, error) {
	lost := false
	for try := 1; ; try++ {
		rec, err := records.Load(ctx, id)
		if err != nil {
			return rec, err
		}
		if lost && a.landed != nil && a.landed(&rec) {
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
		if err == nil {
			return got, nil
		}
		lost = lost || rotation.UnknownOutcome(err)
		if try == 20 || !errors.Is(err, rotation.ErrConflict) && !rotation.UnknownOutcome(err) {
			return rec, err
		}
	}
}

// serves reports whether rec has taken up a request, whatever has become of it since.
func serves(rec *rotation.Record, requestID string) bool {
	return rec.Request != nil && rec.Request.ID == requestID || rec.Run != nil && rec.Run.ID == requestID ||
		rec.LastRun != nil && rec.LastRun.ID == requestID
}
