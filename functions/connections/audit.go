package connections

import (
	"errors"
	"time"

	"rekey/shared/connection"
)

// eventView is a line of the audit: who did what when, and with what result.
type eventView struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	By      *string   `json:"by"`   // the caller's name; null: Rekey itself
	From    *string   `json:"from"` // the IP address that the last proxy names for the request: [host.Origin]
	RunID   *string   `json:"runId"`
	Trigger *string   `json:"trigger"`
	KeyID   *string   `json:"keyId"`
	Class   *string   `json:"class"` // of what went wrong; null: nothing
	Message *string   `json:"message"`
}

// maxEvents is the most that one page of the audit has.
const maxEvents = 1000

// audit lists everything that was done to a connection, the newest first. It is there
// as long as the history is kept, also after the connection is gone: who deleted it is
// among what an audit is for.
func (h *Handler) audit(r *request) (any, error) {
	limit, err := r.whole("limit", 100, maxEvents)
	if err != nil {
		return nil, err
	}
	id, err := h.audited(r)
	if err != nil {
		return nil, err
	}
	events, next, err := h.Service.Audit(r.Context(), id, r.URL.Query().Get("cursor"), limit)
	if err != nil {
		return nil, err
	}
	views := make([]eventView, 0, len(events))
	for _, e := range events {
		views = append(views, eventView{e.At, e.Kind, some(e.By), some(e.From), some(e.RunID), some(string(e.Trigger)), some(e.KeyID),
			some(string(e.Class)), some(e.Message)})
	}
	return listing{"events": views}.next(next), nil
}

// audited is whose events are asked for: what the path names, or has named.
func (h *Handler) audited(r *request) (id string, err error) {
	rec, err := h.subject(r)
	if e, ok := errors.AsType[*connection.Error](err); !ok || e.Kind != connection.NotFound {
		return rec.ID, err
	}
	name := "id"
	if _, ok := r.params["targetId"]; ok {
		name = "targetId"
	}
	if id, err = r.id(name); err != nil {
		return "", err
	}
	// What is there, but not at this address, has its audit at its own.
	if _, err := h.Service.Get(r.Context(), id); err == nil {
		return "", missing[name]
	}
	return id, nil
}
