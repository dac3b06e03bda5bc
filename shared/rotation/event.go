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
	Class   serviceerror.Class `json:"class,omitempty"`
	Message string             `json:"message,omitempty"`
	// Notice says that a person has to be told: the state of the connection has
	// changed for better or worse.
	Notice bool `json:"notice,omitempty"`
}
