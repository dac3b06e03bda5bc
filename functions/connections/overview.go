package connections

import (
	"time"

	"rekey/shared/connection"
)

// What a page that shows the whole deployment begins with.

const (
	maxUpcoming = 100
	maxWeeks    = 52
)

// upcomingView is the next scheduled rotation of a connection or of a target.
type upcomingView struct {
	At              time.Time  `json:"at"`
	ConnectionID    string     `json:"connectionId"`
	TargetID        *string    `json:"targetId"` // null: the connection itself
	Name            string     `json:"name"`
	VaultSecretName string     `json:"vaultSecretName"`
	Application     actingView `json:"application"`
	ExpiresAt       *time.Time `json:"expiresAt"` // of what is published; null: not known
}

type actingView struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
}

// upcoming lists what is going to be rotated, in order.
func (h *Handler) upcoming(r *request) (any, error) {
	limit, err := r.whole("limit", 10, maxUpcoming)
	if err != nil {
		return nil, err
	}
	found, err := h.Service.Upcoming(r.Context(), limit)
	if err != nil {
		return nil, err
	}
	views := make([]upcomingView, 0, len(found.Rotations))
	for i := range found.Rotations {
		views = append(views, viewOfUpcoming(&found.Rotations[i]))
	}
	return map[string]any{"upcoming": views, "completeUntil": when(found.Until)}, nil
}

func viewOfUpcoming(n *connection.NextRotation) upcomingView {
	rec := &n.Record
	v := upcomingView{
		At: n.At, ConnectionID: rec.ID, Name: rec.Name, VaultSecretName: rec.VaultName,
		Application: actingView{rec.Target.TenantID, rec.Target.ClientID},
	}
	if rec.Via != "" {
		v.ConnectionID, v.TargetID = rec.Via, some(rec.ID)
	}
	if rec.Current != nil {
		v.ExpiresAt = when(rec.Current.ExpiresAt)
	}
	return v
}

// weekView counts the rotations that ended in a week.
type weekView struct {
	Start     time.Time `json:"start"` // Monday, 00:00 UTC
	Succeeded int       `json:"succeeded"`
	Failed    int       `json:"failed"`
}

// activity counts rotations by week.
func (h *Handler) activity(r *request) (any, error) {
	n, err := r.whole("weeks", 12, maxWeeks)
	if err != nil {
		return nil, err
	}
	weeks, err := h.Service.Activity(r.Context(), n)
	if err != nil {
		return nil, err
	}
	views := make([]weekView, 0, len(weeks))
	for _, week := range weeks {
		views = append(views, weekView{week.Start, week.Succeeded, week.Failed})
	}
	return map[string]any{"weeks": views}, nil
}
