package rotation

import (
	"time"

	"rekey/shared/serviceerror"
)

// Event is a line of a connection's history.
type Event struct {
	At      time.Time          `json:"at"`
	Kind    string             `json:"kind"` // see package history
	By      string             `json:"by,omitempty"`
	From    string             `json:"from,omitempty"` // the IP address that the last proxy names for the request that did it
	RunID   string             `json:"runId,omitempty"`
	Trigger Trigger            `json:"trigger,omitempty"`
	KeyID   string             `json:"keyId,omitempty"`
	Target  Application        `json:"target,omitzero"` // what the key id is of, where a person has to act there
	Class   serviceerror.Class `json:"class,omitempty"`
	Message string             `json:"message,omitempty"`
	// Notice says that a person has to be told: the state of the connection has
	// changed for better or worse.
	Notice bool `json:"notice,omitempty"`
}

// Of is the application that the event of r is of: mostly that of which r rotates the client secrets now.
func (e *Event) Of(r *Record) Application {
	if e.Target.ClientID != "" {
		return e.Target
	}
	return r.Target
}
