package connections

import (
	"cmp"
	"time"

	"rekey/shared/rotation"
)

// rotationView is the schedule, and where the rotation stands. Source: reference,
// section 1.2; from State on it is ours.
type rotationView struct {
	RotationInterval    int        `json:"rotationInterval"`
	RotateAtUTC         timeOfDay  `json:"rotateAtUtc"`
	RotationStatus      *string    `json:"rotationStatus"`
	NextRotationAt      *time.Time `json:"nextRotationAt"`
	LastRotationMessage *string    `json:"lastRotationMessage"`

	State                    rotation.Phase `json:"state"`
	Settled                  bool           `json:"settled"`
	RotateAt                 timeOfDay      `json:"rotateAt"`
	TimeZone                 string         `json:"timeZone"`
	GracePeriodHours         float64        `json:"gracePeriodHours"`
	OriginalGracePeriodHours float64        `json:"originalGracePeriodHours"`
	LastRotatedAt            *time.Time     `json:"lastRotatedAt"`
	Current                  *currentView   `json:"current"`
	Retiring                 []retiringView `json:"retiring"`
	ByHand                   []byHandView   `json:"byHand"`
	LastRun                  *runView       `json:"lastRun"`
	Target                   *targetRef     `json:"target,omitempty"` // where another application authenticates
}

type currentView struct {
	KeyID     string     `json:"keyId"`
	Hint      string     `json:"hint"`
	ExpiresAt *time.Time `json:"expiresAt"`
}

type retiringView struct {
	KeyID       string     `json:"keyId"`
	RevokeAfter time.Time  `json:"revokeAfter"`
	RevokedAt   *time.Time `json:"revokedAt"`         // the directory accepted; until it is gone from reads it stays here
	Problem     string     `json:"problem,omitempty"` // why the last try to remove it failed
}

type byHandView struct {
	KeyID  string    `json:"keyId"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

type runView struct {
	ID         string     `json:"id"`
	Trigger    string     `json:"trigger"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt"`
	Outcome    string     `json:"outcome"`
	KeyID      string     `json:"keyId,omitempty"`
	Message    string     `json:"message,omitempty"`
}

func (h *Handler) rotationView(rec *rotation.Record) *rotationView {
	now := h.now()
	p := rec.Policy
	if !p.Enabled && p.Schedule.Interval == 0 && rec.Run == nil && rec.LastRun == nil && (!rec.Delegated() || rec.Target.ClientID == "") {
		return nil // there is nothing to rotate, or no caller has asked for it
	}
	v := &rotationView{
		RotationInterval: p.Schedule.Interval, RotateAtUTC: atUTC(p.Schedule, slot(rec, now)), NextRotationAt: next(rec),
		State: rec.Phase, Settled: rec.Settled(now), RotateAt: timeOfDay{p.Schedule.Hours, p.Schedule.Minutes},
		GracePeriodHours: p.Grace.Hours(), OriginalGracePeriodHours: p.OriginalGrace.Hours(), LastRotatedAt: when(rec.LastRotatedAt),
		Retiring: []retiringView{}, ByHand: []byHandView{}, LastRun: lastRun(rec), TimeZone: cmp.Or(p.Schedule.Zone, "UTC"),
	}
	if rec.Error != nil {
		v.RotationStatus, v.LastRotationMessage = new("failed"), some(rec.Error.Message)
	} else if rec.LastRun != nil {
		v.RotationStatus, v.LastRotationMessage = new(rec.LastRun.Outcome), some(rec.LastRun.Message)
		if rec.LastRun.Outcome != "success" {
			v.RotationStatus = new("failed")
		}
	}
	if rec.Delegated() && rec.Via == "" && rec.Target.ClientID != "" {
		v.Target = &targetRef{rec.Target.ClientID, rec.Target.ObjectID}
	}
	if c := rec.Current; c != nil {
		v.Current = &currentView{c.KeyID, c.Hint, when(c.ExpiresAt)}
	}
	for _, o := range rec.Replaced() {
		v.Retiring = append(v.Retiring, retiringView{o.KeyID, o.After, when(o.RemovedAt), o.Problem.Advice()})
	}
	for _, o := range rec.ByHand {
		v.ByHand = append(v.ByHand, byHandView{o.KeyID, o.Since, o.Reason})
	}
	return v
}

// next is when the next rotation is tried.
func next(rec *rotation.Record) *time.Time {
	if !rec.Policy.Enabled {
		return nil
	}
	if rec.Error != nil && rec.Error.RetryAt.After(rec.Due()) {
		return when(rec.Error.RetryAt)
	}
	return when(rec.Due())
}

// lastRun is the run under way, or else the last one.
func lastRun(rec *rotation.Record) *runView {
	if r := rec.Run; r != nil {
		return &runView{ID: r.ID, Trigger: string(r.Trigger), StartedAt: r.StartedAt, Outcome: "running", KeyID: r.KeyID}
	}
	r := rec.LastRun
	if r == nil {
		return nil
	}
	return &runView{ID: r.ID, Trigger: string(r.Trigger), StartedAt: r.StartedAt, FinishedAt: when(r.FinishedAt),
		Outcome: r.Outcome, KeyID: r.KeyID, Message: r.Message}
}
