package connections

import (
	"time"

	"rekey/shared/audit"
	"rekey/shared/connection"
	"rekey/shared/serviceerror"
)

// trailBase is where the audit of the whole deployment is.
const trailBase = "/api/v1/audit"

// lineView is a line of the trail.
type lineView struct {
	At           time.Time `json:"at"`
	Kind         string    `json:"kind"`
	By           *string   `json:"by"`         // the caller's name; null: not known, or Rekey itself
	CallerKind   *string   `json:"callerKind"` // how they are known
	Role         *string   `json:"role"`
	From         *string   `json:"from"`
	ConnectionID *string   `json:"connectionId"`
	TargetID     *string   `json:"targetId"` // null: it is of the connection itself, or of none
	Name         *string   `json:"name"`     // of the connection or target
	Reason       *string   `json:"reason"`
	Count        int       `json:"count"` // how often it happened within a minute, at least
}

// trail lists what happened in the deployment, the newest first.
func (h *Handler) trail(r *request) (any, error) {
	q := audit.Query{Cursor: r.URL.Query().Get("cursor")}
	var err error
	if q.Limit, err = r.whole("limit", 100, maxEvents); err != nil {
		return nil, err
	}
	if q.From, err = r.moment("from"); err != nil {
		return nil, err
	}
	if q.To, err = r.moment("to"); err != nil {
		return nil, err
	}
	events, next, err := h.Trail.Audit(r.Context(), q)
	switch {
	case err != nil && q.Cursor != "" && serviceerror.ClassOf(err) == serviceerror.Invalid:
		return nil, badRequest("cursor is none that this list gave out. Begin again without it.")
	case err != nil:
		return nil, connection.ExplainStore(r.Context(), h.log(), "reading the audit", err)
	}
	views := make([]lineView, 0, len(events))
	for _, e := range events {
		views = append(views, lineView{e.At, e.Kind, some(e.By), some(e.How), some(e.Role), some(e.From), some(e.ConnectionID), some(e.TargetID),
			some(e.Name), some(e.Reason), max(e.Count, 1)})
	}
	return listing{"events": views}.next(next), nil
}
