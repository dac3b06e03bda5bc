package connection

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// Notes keep what has to be remembered of a request for a while.
type Notes interface {
	// Pending returns what is under key; [serviceerror.ErrNotFound] if nothing is.
	Pending(ctx context.Context, key string) (value []byte, etag string, err error)
	// PutPending replaces what has that ETag, [serviceerror.ErrConflict] if nothing
	// has; with an empty one it adds, [serviceerror.ErrExists] if there is something.
	// What has expired may be deleted.
	PutPending(ctx context.Context, key string, value []byte, expires time.Time, etag string) (newETag string, err error)
}

// Keyed is a request that its caller may send again, because they got no answer, and
// that must be carried out once all the same.
type Keyed struct {
	// Key names the request: the same one again has the same key. It has letters,
	// digits, - and _, 100 at most. Empty: it is carried out whenever it comes.
	Key string
	// Hash tells requests apart that have the same key by mistake.
	Hash string
	// Rotates is the connection whose rotation is asked for; empty if the request
	// makes a connection.
	Rotates string
}

// For how long a key is known, and how long after its beginning a request is certainly
// not worked on any more: that is the lease, with room for clocks that differ.
const (
	keyKept  = 24 * time.Hour
	keyStale = 10 * time.Minute
)

// note is what is kept of a request. It is written before anything is done: with the id
// that what comes of it will have, so that a repetition finds that, whatever became of
// the process that was at it.
type note struct {
	Hash  string    `json:"hash"`
	ID    string    `json:"id"` // of the connection to be, or of the request for a rotation
	At    time.Time `json:"at"`
	State string    `json:"state"`
}

// The states of a note.
const (
	noteBegun = "begun"
	noteDone  = "done"
	noteFree  = "free" // nothing came of it: the next one may try
)

// Once carries a request out once. do does it with the id that is kept for it. A
// repetition gets what came of the first one, as it is by then; one that comes while
// the first is being worked on is refused with [InProgress] and when to come again. A
// request that was refused may be repeated with the same key.
func (s *Service) Once(ctx context.Context, k Keyed, do func(id string) (rotation.Record, error)) (rotation.Record, error) {
	if k.Key == "" {
		return do("")
	}
	_, ctx, _, cancel := s.bounded(ctx)
	defer cancel()
	if s.Notes == nil {
		return rotation.Record{}, invalid("This deployment keeps no Idempotency-Keys. Leave the header out.")
	}
	mine := note{Hash: k.Hash, ID: newUUID(), At: s.Rotator.Clock(), State: noteBegun}
	for range 5 {
		was, etag, err := s.note(ctx, k.Key)
		if err != nil {
			return rotation.Record{}, err
		}
		if was.ID != mine.ID { // else ours was written, and the answer was lost
			if rec, answered, err := s.repeated(ctx, k, was, etag); answered || err != nil {
				return rec, err
			}
			etag, err = s.putNote(ctx, k.Key, mine, etag)
			if errors.Is(err, serviceerror.ErrConflict) || errors.Is(err, serviceerror.ErrExists) || err != nil && serviceerror.UnknownOutcome(err) {
				continue
			}
			if err != nil {
				return rotation.Record{}, s.explainStore(ctx, "noting the request", err)
			}
		}
		rec, err := do(mine.ID)
		s.finish(ctx, k, mine, etag, err)
		return rec, err
	}
	return rotation.Record{}, &Error{
		Kind: Unavailable, RetryAfter: 10 * time.Second,
		Message: "The request could not be noted. Nothing was changed; try again.",
	}
}

// note reads what is known of a key. What is too old is as good as nothing.
func (s *Service) note(ctx context.Context, key string) (n note, etag string, err error) {
	value, etag, err := s.Notes.Pending(ctx, key)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return note{}, "", nil
	case err != nil:
		return note{}, "", s.explainStore(ctx, "looking for the request", err)
	case json.Unmarshal(value, &n) != nil || s.Rotator.Clock().Sub(n.At) > keyKept:
		return note{}, etag, nil
	}
	return n, etag, nil
}

func (s *Service) putNote(ctx context.Context, key string, n note, etag string) (string, error) {
	value, err := json.Marshal(n)
	if err != nil {
		return "", err
	}
	return s.Notes.PutPending(ctx, key, value, n.At.Add(keyKept), etag)
}

// repeated answers a request by what came of the one before; not answered: there was
// none, or nothing will ever come of it.
func (s *Service) repeated(ctx context.Context, k Keyed, was note, etag string) (rec rotation.Record, answered bool, err error) {
	if was.ID == "" || was.State == noteFree {
		return rec, false, nil
	}
	if was.Hash != k.Hash {
		return rec, true, &Error{
			Kind:    Conflict,
			Message: "This Idempotency-Key was sent with another request before. Make up a new one for each request.",
		}
	}
	rec, made, err := s.came(ctx, k, was.ID)
	switch {
	case err != nil:
		return rec, true, err
	case made && rec.Gone(), !made && was.State == noteDone:
		if k.Rotates != "" && !rec.Gone() {
			return rec, true, nil // others came after it
		}
		return rotation.Record{}, true, &Error{
			Kind:    Conflict,
			Message: "What this request made is deleted already, or being undone. Make up a new Idempotency-Key to make another one.",
		}
	case made:
		if was.State == noteBegun { // while it can be seen: another rotation covers it
			s.finish(ctx, k, was, etag, nil)
		}
		return rec, true, nil
	case s.Rotator.Clock().Sub(was.At) < keyStale:
		return rec, true, &Error{
			Kind: Conflict, RetryAfter: 30 * time.Second, Code: InProgress,
			Message: "The first request with this Idempotency-Key is still being worked on. Repeat it later.",
		}
	}
	return rec, false, nil
}

// came looks for what came of the request with that id.
func (s *Service) came(ctx context.Context, k Keyed, id string) (rec rotation.Record, made bool, err error) {
	of := id
	if k.Rotates != "" {
		of = k.Rotates
	}
	rec, err = s.Records.Load(ctx, of)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return rotation.Record{}, false, nil
	case err != nil:
		return rec, false, s.explainStore(ctx, "looking for what the first request made", err)
	case k.Rotates == "":
		return rec, true, nil
	}
	return rec, rec.Request != nil && rec.Request.ID == id || rec.Run != nil && rec.Run.ID == id ||
		rec.LastRun != nil && rec.LastRun.ID == id, nil
}

// finish notes how a request went. What fails here is made up for: a repetition finds
// what was made, or waits until no process can be at it any more.
func (s *Service) finish(ctx context.Context, k Keyed, n note, etag string, failure error) {
	n.State = noteDone
	if e, ok := errors.AsType[*Error](failure); failure != nil {
		if !ok || e.Kind == Unavailable {
			// It may have been made all the same. If it was, that stays noted.
			if _, made, err := s.came(ctx, k, n.ID); made || err != nil {
				return
			}
		}
		n.State = noteFree
	}
	if _, err := s.putNote(ctx, k.Key, n, etag); err != nil {
		s.log().WarnContext(ctx, "noting how a request went", "class", string(serviceerror.ClassOf(err)))
	}
}
