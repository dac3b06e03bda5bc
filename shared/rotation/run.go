package rotation

import (
	"time"
)

// Trigger says why a run was started.
type Trigger string

// The triggers.
const (
	OnCreation  Trigger = "creation"
	OnSchedule  Trigger = "schedule"
	OnRequest   Trigger = "manual"
	OnEmergency Trigger = "emergency"
	OnLoss      Trigger = "loss"   // the published credential stopped working
	OnRebind    Trigger = "rebind" // not a rotation: the caller's new credential is being proven
)

// Run is the rotation that is under way. One run may need several attempts; each
// has its own marker.
type Run struct {
	ID        string        `json:"id"`
	Trigger   Trigger       `json:"trigger"`
	By        string        `json:"by,omitempty"`
	StartedAt time.Time     `json:"startedAt"`
	Slot      time.Time     `json:"slot,omitzero"` // the nominal time that a scheduled run serves
	Grace     time.Duration `json:"grace"`
	// AskedGrace is the grace period that the request named, which one that takes its place after a refusal names, too.
	AskedGrace *time.Duration `json:"askedGrace,omitempty"`
	Attempt    int            `json:"attempt"` // 1, 2, ...
	Target     Application    `json:"target"`  // what the credential is of
	// Marker is the display name that the attempt's credential carries. Empty
	// when the last attempt is known to have issued nothing, or was abandoned.
	Marker string `json:"marker"`
	// IssuedUnder is the token of the lease under which addPassword may be
	// called for Marker (rule R1). Empty once it may have been called.
	IssuedUnder   string    `json:"issuedUnder"`
	FirstIssuedAt time.Time `json:"firstIssuedAt,omitzero"` // when addPassword may first have been under way for Marker
	// Lifetime is how long the attempt's credential is asked to live, where a policy of the
	// tenant has refused longer (rule R10); zero: none has, in this run.
	Lifetime time.Duration `json:"lifetime,omitempty"`

	KeyID         string    `json:"keyId"`
	StagedVersion string    `json:"stagedVersion"`
	Hint          string    `json:"hint,omitempty"`
	Digest        string    `json:"digest,omitempty"` // of its value; empty if a pass that is gone has issued it
	Origin        Origin    `json:"origin"`
	IssuedAt      time.Time `json:"issuedAt,omitzero"`
	ExpiresAt     time.Time `json:"expiresAt,omitzero"`

	NextCheck time.Time `json:"nextCheck,omitzero"` // issuing: when to look again what was issued under Marker
	Deadline  time.Time `json:"deadline,omitzero"`  // until when it has to be proven (rule R5)

	// Stands says that the attempt's credential is published, and that current did not work when a request was to
	// have it published in its place: the attempt may be all that works.
	Stands bool `json:"stands,omitempty"`
}

// RunResult is how the last run ended.
type RunResult struct {
	ID         string    `json:"id"`
	Trigger    Trigger   `json:"trigger"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	Outcome    string    `json:"outcome"` // "success", "failed", "abandoned"
	KeyID      string    `json:"keyId,omitempty"`
	Message    string    `json:"message,omitempty"`
}

// Proof is what the pass that holds the lease has seen of the run's credential. It is
// in memory only, since it counts for this pass only (rule R4).
type Proof struct {
	StagedVersion string    // of which it is
	Successes     int       // fresh tokens in a row
	Failures      int       // refusals in a row
	Wrong         bool      // the last refusal says that it is no secret of the application, or it is not there
	Dead          bool      // Entra says so, or that there is no such application: what is published of it does not work
	NextAt        time.Time // when to ask for the next token
}
