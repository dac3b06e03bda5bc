package connections

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

func (h *Handler) options(*request) (any, error) {
	return map[string]any{"appConnectionOptions": []any{map[string]any{
		"name": "Azure Client Secrets", "app": app, "methods": []string{connection.ClientSecret},
	}}}, nil
}

// project is the project that a request names; nil if it names none.
func (r *request) project() *string {
	if !r.URL.Query().Has("projectId") {
		return nil
	}
	p := strings.ToLower(strings.TrimSpace(r.URL.Query().Get("projectId")))
	return &p
}

func (h *Handler) list(r *request) (any, error) {
	records, err := h.Service.List(r.Context(), r.project())
	if err != nil {
		return nil, err
	}
	views := make([]view, 0, len(records))
	for _, rec := range records {
		views = append(views, h.view(&rec))
	}
	return map[string]any{"appConnections": views}, nil
}

// available lists what the caller may connect with, by name only.
func (h *Handler) available(r *request) (any, error) {
	records, err := h.Service.List(r.Context(), r.project())
	if err != nil {
		return nil, err
	}
	type short struct {
		App       string  `json:"app"`
		Name      string  `json:"name"`
		ID        string  `json:"id"`
		ProjectID *string `json:"projectId,omitempty"`
		OrgID     string  `json:"orgId"`
	}
	views := make([]short, 0, len(records))
	for _, rec := range records {
		views = append(views, short{app, rec.Name, rec.ID, some(rec.Project), h.Deployment})
	}
	return map[string]any{"appConnections": views}, nil
}

func (h *Handler) create(r *request) (any, error) {
	var b createBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	if b.IsAutoRotationEnabled && !r.caller.Role.Allows(auth.Rotate) {
		return nil, &problem{http.StatusForbidden, "Turning rotation on needs the role \"rotate\"."}
	}
	in, err := b.input(r.caller.Name, h.now())
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Create(r.Context(), in))
}

// one answers with one connection.
func (h *Handler) one(rec rotation.Record, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]any{"appConnection": h.view(&rec)}, nil
}

// id is the connection that the path names. What can't be an id is answered as what
// is not there.
func (r *request) id() (string, error) {
	id := strings.ToLower(r.params["id"])
	if !connection.ValidID(id) {
		return "", &problem{http.StatusNotFound, "There is no such connection."}
	}
	return id, nil
}

func (h *Handler) get(r *request) (any, error) {
	id, err := r.id()
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Get(r.Context(), id))
}

func (h *Handler) byName(r *request) (any, error) {
	project := ""
	if p := r.project(); p != nil {
		project = *p
	}
	return h.one(h.Service.ByName(r.Context(), project, r.params["name"]))
}

// rotate takes an optional body.
func (h *Handler) rotate(r *request) (any, error) {
	id, err := r.id()
	if err != nil {
		return nil, err
	}
	var b struct {
		GracePeriodHours *float64 `json:"gracePeriodHours"`
		Emergency        bool     `json:"emergency"`
	}
	if len(r.body) > 0 {
		if err := r.decode(&b); err != nil {
			return nil, err
		}
	}
	grace, err := hours("gracePeriodHours", b.GracePeriodHours)
	if err != nil {
		return nil, err
	}
	if b.Emergency && grace != nil && *grace != 0 {
		return nil, badRequest("An emergency has no grace period: leave gracePeriodHours out.")
	}
	return h.one(h.Service.Rotate(r.Context(), id, connection.RotateOptions{Grace: grace, Emergency: b.Emergency, By: r.caller.Name}))
}

// historyRun is a run as the history shows it.
type historyRun struct {
	runView
	RequestedBy string `json:"requestedBy,omitempty"`
}

// revocation is a credential that was removed.
type revocation struct {
	KeyID     string     `json:"keyId"`
	RevokedAt *time.Time `json:"revokedAt"`
	GoneAt    *time.Time `json:"goneAt"` // it has stopped showing in the directory
}

// The most runs that one answer has, and how many events are read at a time.
const (
	maxRuns     = 200
	historyPage = 500
)

// rotations lists the runs, the newest first, and what was revoked meanwhile.
func (h *Handler) rotations(r *request) (any, error) {
	id, err := r.id()
	if err != nil {
		return nil, err
	}
	limit := 50
	if q := r.URL.Query().Get("limit"); q != "" {
		if limit, err = strconv.Atoi(q); err != nil || limit < 1 || limit > maxRuns {
			return nil, badRequest("limit must be 1 to %d.", maxRuns)
		}
	}
	f := fold{byRun: map[string]int{}, byKey: map[string]int{}, runs: []historyRun{}, revoked: []revocation{}}
	if err := h.history(r.Context(), id, limit, &f); err != nil {
		return nil, err
	}
	return map[string]any{"rotations": f.runs[:min(limit, len(f.runs))], "revocations": f.revoked}, nil
}

// history reads events until it has the beginnings of limit runs.
func (h *Handler) history(ctx context.Context, id string, limit int, f *fold) error {
	for cursor := ""; ; {
		events, next, err := h.Service.History(ctx, id, cursor, historyPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			f.add(e)
		}
		if next == "" || f.begun > limit {
			return nil
		}
		cursor = next
	}
}

// fold makes runs of events, which come newest first.
type fold struct {
	runs    []historyRun
	byRun   map[string]int
	begun   int
	revoked []revocation
	byKey   map[string]int
}

func (f *fold) add(e rotation.Event) {
	switch e.Kind {
	case rotation.EventRevoked, rotation.EventGone:
		f.addRevocation(e)
	case rotation.EventStarted, rotation.EventIssued, rotation.EventPublished, rotation.EventFailed, rotation.EventAttemptDropped:
		f.addRun(e)
	}
}

func (f *fold) addRun(e rotation.Event) {
	i, ok := f.byRun[e.RunID]
	if !ok {
		i = len(f.runs)
		f.byRun[e.RunID] = i
		f.runs = append(f.runs, historyRun{runView: runView{ID: e.RunID, Trigger: string(e.Trigger), Outcome: "running"}})
	}
	run := &f.runs[i]
	switch e.Kind {
	case rotation.EventStarted:
		run.StartedAt, run.RequestedBy = e.At, e.By
		f.begun++
	case rotation.EventIssued:
		if run.KeyID == "" {
			run.KeyID = e.KeyID
		}
	case rotation.EventPublished:
		run.Outcome, run.KeyID, run.FinishedAt = "success", e.KeyID, when(e.At)
	case rotation.EventFailed:
		run.Outcome, run.Message, run.FinishedAt = "failed", e.Message, when(e.At)
	case rotation.EventAttemptDropped:
		if run.Message == "" {
			run.Message = "an attempt was given up: " + e.Message
		}
	}
}

func (f *fold) addRevocation(e rotation.Event) {
	if e.KeyID == "" {
		return
	}
	i, ok := f.byKey[e.KeyID]
	if !ok {
		i = len(f.revoked)
		f.byKey[e.KeyID] = i
		f.revoked = append(f.revoked, revocation{KeyID: e.KeyID})
	}
	if e.Kind == rotation.EventGone {
		f.revoked[i].GoneAt = when(e.At)
	} else {
		f.revoked[i].RevokedAt = when(e.At)
	}
}
