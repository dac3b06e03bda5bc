package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/shared/rotation"
)

// DeleteOptions say what becomes of what a connection has published.
type DeleteOptions struct {
	// Revoke removes everything that Rekey issued, and the vault secret. Without
	// it the current credential stays, in Entra and in the vault, since its
	// consumers read it.
	Revoke bool
	By     string
}

// Delete ends a connection. It is gone for the API at once, and its name is free; what
// is retiring or abandoned is removed, as far as the request's time goes, and by the
// timer. It returns the connection as it was.
func (s *Service) Delete(ctx context.Context, id string, opts DeleteOptions) (rotation.Record, error) {
	asking, ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	was, err := s.Get(asking, id)
	if err == nil {
		err = opts.mayDelete(ctx, &was)
	}
	if err != nil {
		return was, err
	}
	ask := rotation.Request{Kind: rotation.AskDelete, ID: s.Rotator.NewID(), By: opts.By, At: s.Rotator.Clock(), Revoke: opts.Revoke}
	next := was.Clone()
	next.Request = &ask
	rows, err := s.claim(asking, &was, moreToClaim(&was, &next)...)
	if err != nil {
		return was, err
	}
	// The check and the request are one: adding a target writes this record.
	rec, err := s.askIf(ctx, id, ask, rows, func(ctx context.Context, rec *rotation.Record) error {
		if err := opts.mayDelete(ctx, rec); err != nil {
			return err
		}
		return s.noTargets(ctx, rec)
	})
	if err != nil {
		return was, err
	}
	// The rest is the timer's if it fails here: the request is on the record.
	if _, err := s.drive(ctx, rec, until); err != nil && !errors.Is(err, errNoConnection) {
		s.log().WarnContext(ctx, "the deletion goes on by itself", "connection", id, "reason", err.Error())
	}
	return was, nil
}

// noTargets refuses to delete a connection that authenticates for others.
func (s *Service) noTargets(ctx context.Context, rec *rotation.Record) error {
	if rec.Via != "" {
		return nil
	}
	found, err := s.targets(ctx, rec.ID)
	switch {
	case err != nil:
		return err
	case found.more:
		return &Error{
			Kind: Conflict, RetryAfter: time.Minute,
			Message: "A target is being added to this connection. Try again in a minute; then delete that one first.",
		}
	case found.leftOut > 0:
		return invalid("This connection authenticates for %s, of which %d can't be read, because a newer version of Rekey "+
			"has written them. Upgrade this deployment; then delete them first, and wait until they are gone.",
			counted(len(found.list)+found.leftOut), found.leftOut)
	case len(found.list) > 0:
		return invalid("This connection authenticates for %s, some perhaps still being deleted. "+
			"Delete them first, and wait until they are gone.", counted(len(found.list)))
	}
	return nil
}

func counted(targets int) string {
	if targets == 1 {
		return "1 target"
	}
	return fmt.Sprintf("%d targets", targets)
}

// Abandon ends a run that is under way. What it may have issued is looked for and
// removed; the connection keeps what it has published.
func (s *Service) Abandon(ctx context.Context, id, by string) (rotation.Record, error) {
	asking, ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	rec, err := s.Get(asking, id)
	if err != nil {
		return rec, err
	}
	pending := rec.Request != nil && (rec.Request.Kind == rotation.AskRotate || rec.Request.Kind == rotation.AskEmergency)
	if rec.Run == nil && !pending {
		return rec, &Error{Kind: Conflict, Message: "No run is under way that could be abandoned."}
	}
	if rec.Phase == rotation.Rebinding && !pending {
		return rec, &Error{
			Kind: Conflict, RetryAfter: time.Minute,
			Message: "The connection is taking new credentials over. That ends by itself: " +
				"within half an hour they are published, or it goes back to those from before.",
		}
	}
	rec, err = s.ask(ctx, id, rotation.Request{Kind: rotation.AskAbandon, ID: s.Rotator.NewID(), By: by, At: s.Rotator.Clock()})
	if err != nil {
		return rec, err
	}
	return s.drive(ctx, rec, until)
}
