package rotation

import "time"

// RequestKind says what the API asks a pass to do. A higher rank replaces a
// pending request of a lower one (rule R12).
type RequestKind string

// The kinds of requests, from the lowest rank to the highest.
const (
	AskIdentify  RequestKind = "identify" // which credential is current?
	AskRotate    RequestKind = "rotate"
	AskAbandon   RequestKind = "abandon"
	AskEmergency RequestKind = "emergency"
	AskRebind    RequestKind = "rebind"
	AskKeep      RequestKind = "keep" // what is current was given again: new credentials are not wanted any more
	AskDelete    RequestKind = "delete"
)

// Rank orders the kinds.
func (k RequestKind) Rank() int {
	switch k {
	case AskIdentify:
		return 1
	case AskRotate:
		return 2
	case AskAbandon:
		return 3
	case AskEmergency:
		return 4
	case AskRebind:
		return 5
	case AskKeep:
		return 6
	case AskDelete:
		return 7
	}
	return 0
}

// Request is what the API asks for. The pass that takes it over clears it.
type Request struct {
	Kind  RequestKind    `json:"kind"`
	ID    string         `json:"id"` // becomes the run's id
	By    string         `json:"by"`
	At    time.Time      `json:"at"`
	Grace *time.Duration `json:"grace,omitempty"` // overrides the policy's

	// Unidentified says that it could not be told which credential current is (emergency).
	Unidentified bool `json:"unidentified,omitempty"`

	Hastened bool `json:"hastened,omitempty"` // emergency: every grace period was ended

	Revoke bool        `json:"revoke,omitempty"` // delete: current goes too
	Target Application `json:"target,omitzero"`  // rebind: the application that the new credential is of
	Digest string      `json:"digest,omitempty"` // rebind: of the new credential, as the caller gave it
	Next   *Credential `json:"next,omitempty"`   // rebind: the new credential, VaultVersion being a staged version
}

// Asked is what q asks for, as the history tells it: its kind, and of a deletion what becomes of current.
func (q *Request) Asked() string {
	if q.Kind == AskDelete && q.Revoke {
		return string(AskDelete) + "-and-revoke"
	}
	return string(q.Kind)
}

// ends reports whether q ends the run that is under way.
func (q *Request) ends() bool {
	return q.Kind == AskAbandon || q.Kind == AskRebind || q.Kind == AskKeep || q.Kind == AskDelete
}

// Ask puts a request on the record, unless one of the same or a higher rank is
// pending, which is then the answer. It reports whether it did. A rotation that was
// refused and waits to be tried again is no answer: a new one is tried at once, and
// abandoning ends it; an emergency that was refused stays one, and is tried at once.
// An emergency that is outranked is served afterwards (rule R12).
func (r *Record) Ask(q Request) bool {
	replaces := r.refusedRequest() && (q.Kind == AskAbandon || q.Kind.Rank() >= r.Request.Kind.Rank())
	pending := r.Request
	switch {
	case pending == nil || replaces:
	case q.Kind == AskRotate && r.refusedRequest():
		r.RetryNow(q.At)
		return true
	case pending.Kind.Rank() >= q.Kind.Rank():
		if q.Kind != AskEmergency || pending.Kind == AskEmergency || pending.Kind == AskDelete || r.Outranked != nil {
			return false
		}
		r.Outranked = &q
		return true
	case pending.Kind == AskEmergency && q.Kind != AskDelete:
		r.Outranked = pending
	}
	r.Request = &q
	return true
}

// refusedRequest reports whether the pending request is a rotation that was refused
// before.
func (r *Record) refusedRequest() bool {
	q := r.Request
	return q != nil && (q.Kind == AskRotate || q.Kind == AskEmergency) && r.Error != nil && r.Error.Request == q.ID
}
