package rotator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// Records is what a [Journal] needs of the store.
type Records interface {
	Load(ctx context.Context, id string) (rotation.Record, error)
	Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
}

var (
	// ErrUnchanged is what a change returns that has nothing to write.
	ErrUnchanged = errors.New("nothing to write")
	// ErrUnknownOutcome says that the answer to a commit was lost and that reading the
	// record again did not tell whether it has happened.
	ErrUnknownOutcome = errors.New("whether the record was written is unknown")
	// ErrGone says that the answer to a commit was lost, and that the record does not
	// exist any more.
	ErrGone = errors.New("the record is gone since it was written")
)

// Journal writes records. It has the only compare-and-swap loop: every commit of a pass
// and of the API goes through [Journal.Update].
type Journal struct {
	Records Records
	NewID   func() string
	Timeout time.Duration // of one call to the store
	Tries   int           // commits, at most
	// Throttled says that a commit is tried again that the store had no room for. A pass
	// has results to save; a caller can ask again.
	Throttled bool

	// Mark puts the id of a commit on a record, and Marked reports whether it is there.
	// Passes and the API have separate marks, since both write between each other's
	// commits (rule R9).
	Mark   func(rec *rotation.Record, id string)
	Marked func(rec *rotation.Record, id string) bool

	Wait func(ctx context.Context, d time.Duration) error
}

// maxChanges is how many ids of the API's commits a record keeps. Between a commit and the
// look whether it has happened there are far fewer others.
const maxChanges = 8

// asPass marks commits of the pass that holds the lease: no other pass writes meanwhile.
func asPass(j Journal) Journal {
	j.Tries, j.Throttled = 5, true
	j.Mark = func(rec *rotation.Record, id string) { rec.CommitID = id }
	j.Marked = func(rec *rotation.Record, id string) bool { return rec.CommitID == id }
	return j
}

// AsAPI returns the journal of changes that requests make, beside whatever pass holds the
// lease.
func AsAPI(j Journal) Journal {
	j.Tries = 20
	j.Mark = func(rec *rotation.Record, id string) {
		rec.Changes = append(slices.Clone(rec.Changes), id)
		rec.Changes = rec.Changes[max(0, len(rec.Changes)-maxChanges):]
	}
	j.Marked = func(rec *rotation.Record, id string) bool { return slices.Contains(rec.Changes, id) }
	return j
}

// Update applies change to rec and writes it with the events that change returns. It
// returns the record that is stored then.
//
// When the write is refused because the record has changed, or its answer is lost, the
// record is read again. If it bears this commit's id, the write has happened. Otherwise
// change is applied to the record as it is now, so that it must check on the record that
// it is given whatever it depends on; it may run more than once. An error of change ends
// the update and is returned as it is; with [ErrUnchanged] nothing is written.
func (j *Journal) Update(ctx context.Context, rec rotation.Record,
	change func(*rotation.Record) ([]rotation.Event, error),
) (rotation.Record, error) {
	id := j.NewID()
	lost := false // the answer to one of our commits
	for try := 1; ; try++ {
		next := rec.Clone()
		events, err := change(&next)
		if errors.Is(err, ErrUnchanged) {
			return rec, nil
		}
		if err != nil {
			return rec, err
		}
		j.Mark(&next, id)
		next.Version++
		saved, err := j.commit(ctx, next, events)
		if err == nil {
			return saved, nil
		}
		conflict := errors.Is(err, serviceerror.ErrConflict)
		lost = lost || serviceerror.UnknownOutcome(err) && !conflict
		if j.final(err) || try >= j.Tries || ctx.Err() != nil {
			return rec, fmt.Errorf("committing: %w", j.judged(lost, err))
		}
		if !conflict {
			if err := j.Wait(ctx, pause(try)); err != nil {
				return rec, fmt.Errorf("committing: %w", j.judged(lost, err))
			}
		}
		fresh, err := j.reload(ctx, rec.ID)
		switch {
		case lost && errors.Is(err, serviceerror.ErrNotFound):
			return rec, errors.Join(ErrGone, err)
		case err != nil:
			return rec, fmt.Errorf("reading back after a commit: %w", j.judged(lost, err))
		}
		fresh.Proof = rec.Proof
		if j.Marked(&fresh, id) {
			fresh.Proof = next.Proof
			return fresh, nil
		}
		rec = fresh
	}
}

// final reports whether err is the answer: the commit was refused, and is not tried again.
func (j *Journal) final(err error) bool {
	if errors.Is(err, serviceerror.ErrConflict) || serviceerror.UnknownOutcome(err) {
		return false
	}
	return !j.Throttled || serviceerror.ClassOf(err).Refusal() || errors.Is(err, serviceerror.ErrNewerSchema)
}

// judged says beside err whether a commit may have happened.
func (j *Journal) judged(lost bool, err error) error {
	if lost {
		return errors.Join(ErrUnknownOutcome, err)
	}
	return err
}

func (j *Journal) commit(ctx context.Context, rec rotation.Record, events []rotation.Event) (rotation.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	return j.Records.Commit(ctx, rec, events...)
}

// reload reads a record, again if need be: reading is free of risk.
func (j *Journal) reload(ctx context.Context, id string) (rotation.Record, error) {
	for try := 1; ; try++ {
		rec, err := j.load(ctx, id)
		final := err == nil || errors.Is(err, serviceerror.ErrNotFound) || errors.Is(err, serviceerror.ErrNewerSchema)
		if final || try == 4 || ctx.Err() != nil {
			return rec, err
		}
		if err := j.Wait(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return rec, err
		}
	}
}

func (j *Journal) load(ctx context.Context, id string) (rotation.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	return j.Records.Load(ctx, id)
}

// pause is how long to wait before the next try: a store that did not answer is not asked
// at once.
func pause(try int) time.Duration { return min(time.Duration(try)*200*time.Millisecond, 2*time.Second) }
