package connections

import (
	"cmp"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// rotationView is the schedule, and where the rotation stands. Source: reference, section
// 1.2; what is ours is marked. Clients decode a status that is success or failed, or not
// there, and an interval of at least a day.
type rotationView struct {
	RotationInterval int        `json:"rotationInterval"`
	RotateAtUTC      timeOfDay  `json:"rotateAtUtc"`
	NextRotationAt   *time.Time `json:"nextRotationAt"`
	RotateAt         timeOfDay  `json:"rotateAt"` // ours
	TimeZone         string     `json:"timeZone"` // ours
	rotationState
}

// rotationState is where the rotation stands. It is shown by itself where there was never a
// schedule.
type rotationState struct {
	RotationStatus      string  `json:"rotationStatus,omitempty"`
	LastRotationMessage *string `json:"lastRotationMessage"`

	// From here on it is ours.
	LastRotationClass        *serviceerror.Class `json:"lastRotationClass"` // of the failure that the message tells; null: it tells none
	State                    rotation.Phase      `json:"state"`
	Settled                  bool                `json:"settled"`
	GracePeriodHours         float64             `json:"gracePeriodHours"`
	OriginalGracePeriodHours float64             `json:"originalGracePeriodHours"`
	LastRotatedAt            *time.Time          `json:"lastRotatedAt"`
	Current                  *currentView        `json:"current"`
	Retiring                 []retiringView      `json:"retiring"`
	ByHand                   []byHandView        `json:"byHand"`
	LastRun                  *runView            `json:"lastRun"`
	RetryAt                  *time.Time          `json:"retryAt"`          // when what has failed is tried again; null: nothing waits for that
	Target                   *targetRef          `json:"target,omitempty"` // where another application authenticates
}

type currentView struct {
	KeyID     string     `json:"keyId"`
	Hint      string     `json:"hint"`
	ExpiresAt *time.Time `json:"expiresAt"`
	Issued    bool       `json:"issuedByRekey"` // else it was given, and a deletion leaves it in Entra
}

type retiringView struct {
	KeyID       string     `json:"keyId"`
	RevokeAfter time.Time  `json:"revokeAfter"`
	RevokedAt   *time.Time `json:"revokedAt"`         // the directory accepted; until it is gone from reads it stays here
	Problem     string     `json:"problem,omitempty"` // why the last try to remove it failed
	RetryAt     *time.Time `json:"retryAt,omitempty"` // when it is tried again, if the last try failed
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

// rotationViews returns the schedule with the state, or the state alone where there is no schedule, or none any more, or
// neither where there is nothing to rotate.
func (h *Handler) rotationViews(rec *rotation.Record) (*rotationView, *rotationState) {
	now, s := h.now(), rec.Policy.Schedule
	switch {
	case rec.Gone():
		return nil, new(state(rec, now))
	case s.Interval > 0:
		return &rotationView{
			RotationInterval: s.Interval, RotateAtUTC: atUTC(s, slot(rec, now)), NextRotationAt: when(rec.NextRotation(now)),
			RotateAt: timeOfDay{s.Hours, s.Minutes}, TimeZone: cmp.Or(s.Zone, "UTC"), rotationState: state(rec, now),
		}, nil
	case rec.Target.ClientID != "" || rec.Target.ObjectID != "":
		return nil, new(state(rec, now))
	}
	return nil, nil
}

func state(rec *rotation.Record, now time.Time) rotationState {
	v := rotationState{
		State: rec.Phase, Settled: rec.Settled(now), LastRotatedAt: when(rec.LastRotatedAt),
		GracePeriodHours: rec.Policy.Grace.Hours(), OriginalGracePeriodHours: rec.OriginalGrace().Hours(),
		Retiring: []retiringView{}, ByHand: []byHandView{}, LastRun: lastRun(rec),
	}
	if e := rec.Error; e != nil && e.RetryAt.After(now) && rec.Retries() {
		v.RetryAt = when(e.RetryAt)
	}
	switch last := rec.LastRun; {
	case rec.Gone(): // it is shown where that fails
		v.State, v.RotationStatus, v.LastRotationMessage = rotation.Deleting, "failed", some(rec.Lingering(now))
	case rec.Error != nil:
		v.RotationStatus, v.LastRotationMessage = "failed", some(rec.Error.Message)
		v.LastRotationClass = &rec.Error.Class
	case last != nil && last.Outcome == "success":
		v.RotationStatus, v.LastRotationMessage = "success", some(last.Message)
	case last != nil:
		v.RotationStatus, v.LastRotationMessage = "failed", some(last.Message)
	}
	if rec.Delegated() && rec.Via == "" && rec.Target.ClientID != "" {
		v.Target = &targetRef{rec.Target.ClientID, rec.Target.ObjectID}
	}
	if c := rec.Current; c != nil {
		v.Current = &currentView{c.KeyID, c.Hint, when(c.ExpiresAt), c.Origin == rotation.OriginIssued}
	}
	for _, o := range rec.Replaced() {
		retiring := retiringView{KeyID: o.KeyID, RevokeAfter: o.After, RevokedAt: when(o.RemovedAt), Problem: o.Problem.Advice()}
		if o.Problem != "" {
			retiring.RetryAt = when(o.NextAt)
		}
		v.Retiring = append(v.Retiring, retiring)
	}
	for _, o := range rec.ByHand {
		v.ByHand = append(v.ByHand, byHandView{o.KeyID, o.Since, o.Reason})
	}
	return v
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
