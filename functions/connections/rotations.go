package connections

import (
	"cmp"
	"context"
	"time"

	"rekey/shared/connection"
	"rekey/shared/history"
	"rekey/shared/rotation"
)

// rotate takes an optional body. A dry run says what would be done, and does nothing.
func (h *Handler) rotate(r *request) (any, error) {
	var b struct {
		GracePeriodHours *float64 `json:"gracePeriodHours"`
		Emergency        bool     `json:"emergency"`
		DryRun           bool     `json:"dryRun"`
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
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	opts := connection.RotateOptions{Grace: grace, Emergency: b.Emergency, By: r.caller.Label()}
	if b.DryRun {
		return h.dryRun(r.Context(), rec.ID, opts)
	}
	keyed, err := r.keyed(rec.ID)
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Once(r.Context(), keyed, func(id string) (rotation.Record, error) {
		opts.ID = id
		return h.Service.Rotate(r.Context(), rec.ID, opts)
	}))
}

// planView is what a rotation would do.
type planView struct {
	Running bool       `json:"running"` // a run is under way, which would be the answer
	Steps   []stepView `json:"steps"`
}

type stepView struct {
	At    time.Time `json:"at"` // at the earliest
	What  string    `json:"what"`
	Calls []string  `json:"calls"`
	KeyID *string   `json:"keyId"`
}

func (h *Handler) dryRun(ctx context.Context, id string, opts connection.RotateOptions) (any, error) {
	p, err := h.Service.DryRun(ctx, id, opts)
	if err != nil {
		return nil, err
	}
	v := planView{Running: p.Running, Steps: []stepView{}}
	for _, s := range p.Steps {
		v.Steps = append(v.Steps, stepView{s.At, s.What, append([]string{}, s.Calls...), some(s.KeyID)})
	}
	return map[string]any{"plan": v}, nil
}

func (h *Handler) abandon(r *request) (any, error) {
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	return h.one(h.Service.Abandon(r.Context(), rec.ID, r.caller.Label()))
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
	Reason    *string    `json:"reason"` // null where only the confirmation is on the page
}

// The most runs that one answer has, and how many events are read at a time.
const (
	maxRuns     = 200
	historyPage = 500
)

// rotations lists the runs, the newest first, and what was revoked meanwhile.
func (h *Handler) rotations(r *request) (any, error) {
	limit, err := r.whole("limit", 50, maxRuns)
	if err != nil {
		return nil, err
	}
	rec, err := h.subject(r)
	if err != nil {
		return nil, err
	}
	f := fold{last: rec.LastRun, byRun: map[string]int{}, byKey: map[string]int{}, runs: []historyRun{}, revoked: []revocation{}}
	next, err := h.history(r.Context(), rec.ID, r.URL.Query().Get("cursor"), limit, &f)
	if err != nil {
		return nil, err
	}
	f.end()
	return listing{"rotations": f.runs, "revocations": f.revoked}.next(next), nil
}

// history reads events until it has the beginnings of limit runs, and returns where the
// one before them ends: a run begins after the last one has ended.
func (h *Handler) history(ctx context.Context, id, cursor string, limit int, f *fold) (next string, err error) {
	for {
		events, next, err := h.Service.History(ctx, id, cursor, historyPage)
		if err != nil {
			return "", err
		}
		for i, e := range events {
			f.add(e)
			if f.begun < limit {
				continue
			}
			if i < len(events)-1 { // only the store knows its cursors
				_, next, err = h.Service.History(ctx, id, cursor, i+1)
			}
			return next, err
		}
		if next == "" {
			return "", nil
		}
		cursor = next
	}
}

// fold makes runs of events, which come newest first.
type fold struct {
	last    *rotation.RunResult // how the last run ended; nil: none has
	runs    []historyRun
	byRun   map[string]int
	begun   int
	revoked []revocation
	byKey   map[string]int
}

func (f *fold) add(e rotation.Event) {
	switch e.Kind {
	case history.Revoked, history.Gone:
		f.addRevocation(e)
	case history.Requested:
		f.addRequest(e)
	case history.Started, history.Issued, history.Published, history.Failed, history.AttemptDropped:
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
	case history.Started:
		run.StartedAt, run.RequestedBy = e.At, e.By
		f.begun++
		delete(f.byRun, e.RunID) // what is older is of a try that was refused
	case history.Issued:
		if run.KeyID == "" {
			run.KeyID = e.KeyID
		}
	case history.Published:
		run.Outcome, run.KeyID, run.FinishedAt = "success", e.KeyID, when(e.At)
	case history.Failed:
		run.Outcome, run.Message, run.FinishedAt = "failed", e.Message, when(e.At)
	case history.AttemptDropped:
		if run.Message == "" {
			run.Message = "an attempt was given up: " + e.Message
		}
		if run.Outcome == "running" && run.FinishedAt == nil { // unless it goes on, see end
			run.FinishedAt = when(e.At)
		}
	}
}

// end says of runs that were given up on request, for which there is no event, that they are over: a run begins after
// the one before it has ended.
func (f *fold) end() {
	for i := range f.runs {
		run, last := &f.runs[i], f.last != nil && f.last.ID == f.runs[i].ID
		switch {
		case run.Outcome != "running":
		case last:
			run.Outcome, run.Message, run.FinishedAt = f.last.Outcome, f.last.Message, when(f.last.FinishedAt)
		case i > 0:
			run.Outcome = "abandoned"
		default:
			run.FinishedAt = nil
		}
	}
}

// addRequest tells of a run that failed before it began when it was asked for, and by whom.
func (f *fold) addRequest(e rotation.Event) {
	if i, ok := f.byRun[e.RunID]; ok && f.runs[i].StartedAt.IsZero() && f.runs[i].Outcome == "failed" {
		f.runs[i].StartedAt, f.runs[i].RequestedBy = e.At, e.By
		delete(f.byRun, e.RunID)
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
	if e.Kind == history.Gone {
		f.revoked[i].GoneAt = when(e.At)
	} else {
		f.revoked[i].RevokedAt, f.revoked[i].Reason = when(e.At), some(cmp.Or(e.Message, "another client secret took its place"))
	}
}
