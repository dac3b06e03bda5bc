package connection

import (
	"context"
	"strings"
	"unicode/utf8"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// MaxClients is the most applications that one answer lists.
const MaxClients = 1000

// Applications lists the applications of a tenant.
type Applications interface {
	// Applications returns up to limit (1 to 999) applications whose display name
	// has words that begin with those of search, or whose client id it is; all if it
	// is empty. Only their ids and names are filled in. next is the cursor of the
	// rest, empty at the end. A cursor that is not one of this search is refused with
	// class [serviceerror.Invalid], without a call to Entra.
	Applications(
		ctx context.Context, token rotation.Token, search, cursor string, limit int,
	) (list []rotation.ApplicationState, next string, err error)
}

// ClientQuery says which applications to list.
type ClientQuery struct {
	Search string // words of the display name, or the client id; empty: all
	Cursor string // from where on; empty: from the beginning
	Limit  int    // 1 to [MaxClients]; 0: that
}

// ClientList is a part of a tenant's applications.
type ClientList struct {
	Clients []rotation.ApplicationState // ids and names only
	Next    string                      // the cursor of the rest; empty: there is none
}

// Clients lists the applications of a connection's tenant, as far as it may see them.
func (s *Service) Clients(ctx context.Context, id string, q ClientQuery) (ClientList, error) {
	ctx, _, _, cancel := s.bounded(ctx)
	defer cancel()
	q.Search = strings.TrimSpace(q.Search)
	if utf8.RuneCountInString(q.Search) > 256 || strings.ContainsFunc(q.Search, func(r rune) bool { return r < ' ' }) {
		return ClientList{}, invalid("search must be at most 256 characters in one line.")
	}
	if s.Applications == nil {
		return ClientList{}, &Error{Kind: Unavailable, Message: "This deployment can't list applications."}
	}
	if _, err := s.parent(ctx, id); err != nil {
		return ClientList{}, err
	}
	token, err := s.Actors.Token(ctx, id)
	if err != nil {
		return ClientList{}, s.explain(ctx, "signing in as the connection", err)
	}
	limit := q.Limit
	if limit <= 0 || limit > MaxClients {
		limit = MaxClients
	}
	// Graph's pages may be shorter than asked for, but all of a list's have the same
	// size: the most takes two, everything else one.
	size := limit
	if limit > MaxClients/2 {
		size = MaxClients / 2
	}
	list := ClientList{Next: q.Cursor}
	for {
		page, next, err := s.Applications.Applications(ctx, token, q.Search, list.Next, size)
		switch {
		case err != nil && list.Next != "" && serviceerror.ClassOf(err) == serviceerror.Invalid:
			return ClientList{}, errCursor
		case err != nil:
			return ClientList{}, s.explain(ctx, "listing applications", err)
		}
		list.Clients, list.Next = append(list.Clients, page...), next
		if next == "" || len(list.Clients)+size > limit {
			return list, nil
		}
	}
}
