package connection

import (
	"context"

	"rekey/shared/rotation"
)

// Audit returns everything that was done to a connection, the newest first, from cursor
// on. Unlike History it does so for connections, too, that are gone, as long as their
// history is kept.
func (s *Service) Audit(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error) {
	events, next, err := s.events(ctx, id, cursor, limit)
	if err == nil && len(events) == 0 && next == "" && cursor == "" {
		return nil, "", errNoConnection
	}
	return events, next, err
}

func (s *Service) events(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error) {
	events, next, err := s.Records.History(ctx, id, cursor, limit)
	switch {
	case err != nil && cursor != "" && rotation.ClassOf(err) == rotation.Invalid:
		return nil, "", errCursor
	case err != nil:
		return nil, "", s.explainStore(ctx, "reading the history", err)
	}
	return events, next, nil
}

var errCursor = invalid("cursor is none that this list gave out. Begin again without it.")
