package connections

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"rekey/shared/index"
	"rekey/shared/rotation"
)

// maxConnections is the most that one page of a list has, maxName the longest name, and maxSearched
// the longest text that is searched for.
const (
	maxConnections = 1000
	maxName        = 64
	maxSearched    = 256
)

// listing is an answer that may have a next page. Who does not ask for pages never
// sees the member.
type listing map[string]any

func (l listing) next(cursor string) listing {
	if cursor != "" {
		l["nextCursor"] = cursor
	}
	return l
}

// page reads the connections, or the targets, that a request asks for. With a limit it costs what is
// on the page, or for a search a bounded look through the list.
func (h *Handler) page(r *request, targets bool) (records []rotation.Record, next string, err error) {
	q, err := h.listQuery(r, targets)
	switch {
	case err != nil:
		return nil, "", err
	case len(q.Name) > maxName:
		return nil, "", nil
	case q.Limit == 0:
		records, err = h.everything(r.Context(), q)
		return records, "", err
	}
	records, more, err := h.Service.Page(r.Context(), q)
	if err == nil && more != nil {
		next = cursor(more)
	}
	return records, next, err
}

func (h *Handler) listQuery(r *request, targets bool) (q index.Query, err error) {
	values := r.URL.Query()
	q = index.Query{Targets: targets, Project: r.project(), Name: values.Get("name"), State: values.Get("state"),
		Text: index.Fold(strings.TrimSpace(values.Get("text")))}
	if utf8.RuneCountInString(q.Text) > maxSearched {
		return q, badRequest("text must be at most %d characters.", maxSearched)
	}
	if q.State != "" && !slices.Contains(index.States, q.State) {
		return q, badRequest("state must be one of %s.", strings.Join(index.States, ", "))
	}
	if q.Limit, err = r.whole("limit", 0, maxConnections); err != nil {
		return q, err
	}
	urgent, err := r.flag("attention")
	if err != nil {
		return q, err
	}
	if urgent {
		q.Attention = h.now()
	}
	q.AfterName, q.AfterID, err = parseCursor(values.Get("cursor"))
	return q, err
}

// everything reads all that q asks for. What is found by its name or needs attention is read by
// itself; all else costs one read of all rows.
func (h *Handler) everything(ctx context.Context, q index.Query) (records []rotation.Record, err error) {
	if q.Name != "" || !q.Attention.IsZero() {
		q.Limit = maxConnections
		for next := &q; next != nil; {
			var page []rotation.Record
			if page, next, err = h.Service.Page(ctx, *next); err != nil {
				return nil, err
			}
			records = append(records, page...)
		}
		return records, nil
	}
	if q.Targets {
		records, err = h.Service.AllTargets(ctx, q.Project)
	} else {
		records, err = h.Service.List(ctx, q.Project)
	}
	records = slices.DeleteFunc(records, func(rec rotation.Record) bool {
		e := index.Of(&rec)
		return !q.Finds(&e) || !q.Behind(&e)
	})
	slices.SortFunc(records, func(a, b rotation.Record) int { return cmp.Compare(place(a.Name, a.ID), place(b.Name, b.ID)) })
	return records, err
}

// place is where a connection comes in a list. An id has no spaces; a name that the API took has
// none either, but one that was rebuilt from tags may. A target need not have a name.
func place(name, id string) string { return name + " " + id }

// placeForm is what a cursor holds.
var placeForm = regexp.MustCompile(`^((?s:.{0,256})) ([A-Za-z0-9_-]{1,100})$`)

// cursor is where the next page begins.
func cursor(next *index.Query) string {
	return base64.RawURLEncoding.EncodeToString([]byte(place(next.AfterName, next.AfterID)))
}

func parseCursor(cursor string) (name, id string, err error) {
	if cursor == "" {
		return "", "", nil
	}
	at, err := base64.RawURLEncoding.DecodeString(cursor)
	place := placeForm.FindSubmatch(at)
	if err != nil || place == nil {
		return "", "", errCursor
	}
	return string(place[1]), string(place[2]), nil
}

var errCursor = badRequest("cursor is none that this list gave out. Begin again without it.")
