package connection

import (
	"context"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

type originKey struct{}

// WithOrigin returns ctx for what is done on behalf of a request that, as the last proxy
// says, came from this IP address, which the audit names; "" if it is not known.
func WithOrigin(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, originKey{}, address)
}

func origin(ctx context.Context) string {
	address, _ := ctx.Value(originKey{}).(string)
	return address
}

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
	case err != nil && cursor != "" && serviceerror.ClassOf(err) == serviceerror.Invalid:
		return nil, "", errCursor
	case err != nil:
		return nil, "", s.explainStore(ctx, "reading the history", err)
	}
	return events, next, nil
}

var errCursor = invalid("cursor is none that this list gave out. Begin again without it.")
