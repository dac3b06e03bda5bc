package rotation

import (
	"time"

	"rekey/shared/serviceerror"
)

// Event is a line of a connection's history.
type Event struct {
	At      time.Time          `json:"at"`
	Kind    string             `json:"kind"` // see the Event... constants
	By      string             `json:"by,omitempty"`
	From    string             `json:"from,omitempty"` // the IP address of the request that did it
	RunID   string             `json:"runId,omitempty"`
	Trigger Trigger            `json:"trigger,omitempty"`
	KeyID   string             `json:"keyId,omitempty"`
	Class   serviceerror.Class `json:"class,omitempty"`
	Message string             `json:"message,omitempty"`
	// Notice says that a person has to be told: the state of the connection has
	// changed for better or worse.
	Notice bool `json:"notice,omitempty"`
}

// The kinds of events.
const (
	EventCreated         = "connection.created"
	EventUndone          = "connection.undone"
	EventDeleting        = "connection.deleting"
	EventDeleted         = "connection.deleted"
	EventRequested       = "rotation.requested"
	EventStarted         = "rotation.started"
	EventIssued          = "rotation.issued"
	EventPublished       = "rotation.published" // the run succeeded
	EventFailed          = "rotation.failed"
	EventAttemptDropped  = "rotation.attempt-abandoned"
	EventRepublished     = "credential.republished"
	EventRevoked         = "credential.revoked"     // Graph accepted the removal
	EventGone            = "credential.gone"        // and it has stopped showing
	EventGraceEnded      = "credential.grace-ended" // early, for want of room
	EventByHand          = "credential.remove-by-hand"
	EventExpiring        = "credential.expiring"
	EventLost            = "credential.lost"
	EventRebound         = "connection.rebound"
	EventRebindRefused   = "connection.rebind-refused"
	EventCredentialGiven = "credential.given"
	EventIdentified      = "credential.identified"   // which one was given is known by now
	EventChanged         = "connection.changed"      // by the API
	EventAttention       = "connection.attention"    // something is wrong that was not before
	EventRecovered       = "connection.recovered"    // and nothing is any more
	EventReconnected     = "connection.reconnected"  // with new credentials of its own
	EventSignInLost      = "connection.sign-in-lost" // it can't authenticate any more
	EventSignInBack      = "connection.sign-in-back"
)
