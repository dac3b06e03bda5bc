package connections

import (
	"strings"
	"time"

	"rekey/shared/connection"
	"rekey/shared/index"
	"rekey/shared/inventory"
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
	ApplicationName *string    `json:"applicationName"` // null: not known
	ExpiresAt       *time.Time `json:"expiresAt"`       // of what is published; null: not known
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
		Application: actingView{rec.Target.TenantID, rec.Target.ClientID}, ApplicationName: some(rec.TargetName),
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

// weeksAhead is how far ahead is counted: a quarter of a year.
const weeksAhead = 13

const week = 7 * 24 * time.Hour

// aheadView counts what is ahead, by what is left until then and by week from now on.
type aheadView struct {
	Due         map[inventory.Left]int `json:"due"`         // rotations of connections and targets
	ManagedEnds map[inventory.Left]int `json:"managedEnds"` // client secrets that are published
	Ends        map[inventory.Left]int `json:"ends"`        // these, and what else scans have found
	DueByWeek   []int                  `json:"dueByWeek"`
	EndsByWeek  []int                  `json:"endsByWeek"`
	Complete    bool                   `json:"complete"` // false: these are the least
}

// ahead counts the rotations and the ends of the next quarter of a year. Connections and targets know
// what they have published before a scan was made, and after a rotation sooner than the next scan.
func (h *Handler) ahead(r *request) (any, error) {
	now := h.now()
	managed, err := h.Service.Ahead(r.Context(), weeksAhead*week)
	if err != nil {
		return nil, err
	}
	scanned, whole, err := h.Inventory.Ends(r.Context(), now, now.Add(weeksAhead*week))
	if err != nil {
		return nil, err
	}
	v := aheadView{Due: lefts(), ManagedEnds: lefts(), Ends: lefts(), DueByWeek: make([]int, weeksAhead),
		EndsByWeek: make([]int, weeksAhead), Complete: managed.Whole && whole}
	for _, at := range managed.Due {
		count(v.Due, v.DueByWeek, at, now)
	}
	known := map[index.End]bool{}
	for _, end := range managed.Ends {
		known[endOf(end)] = true
		count(v.ManagedEnds, nil, end.At, now)
		count(v.Ends, v.EndsByWeek, end.At, now)
	}
	for _, end := range scanned {
		same := index.End{At: end.At, Credential: index.Credential(end.TenantID, end.ClientID, end.KeyID)}
		unidentified := index.End{At: end.At, Credential: index.Credential(end.TenantID, end.ClientID, "")}
		if !known[endOf(same)] && !known[endOf(unidentified)] {
			count(v.Ends, v.EndsByWeek, end.At, now)
		}
	}
	return v, nil
}

// endOf is what tells client secrets apart: the key id, or where it is not known when it ends.
func endOf(end index.End) index.End {
	if !strings.HasSuffix(end.Credential, " ") {
		end.At = time.Time{}
	}
	return end
}

// lefts are the counts that are shown: the rest of what ends is behind the quarter of a year.
func lefts() map[inventory.Left]int {
	return map[inventory.Left]int{inventory.Left7Days: 0, inventory.Left30Days: 0, inventory.Left90Days: 0}
}

func count(by map[inventory.Left]int, weeks []int, at, now time.Time) {
	left := (&inventory.Credential{EndsAt: at}).LeftAt(now)
	if left == inventory.LeftNone { // this very second
		left = inventory.Left7Days
	}
	if _, shown := by[left]; shown {
		by[left]++
	}
	if n := int(at.Sub(now) / week); n >= 0 && n < len(weeks) {
		weeks[n]++
	}
}
