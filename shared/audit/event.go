// Package audit keeps the trail of a deployment: who signed in and out, who was refused and why, when
// the console's key was made, and who created or deleted which connection and target.
//
// Lines about connections and targets are written by the commits themselves ([Of]), in the same
// transaction, so that none is lost and none costs a request. They refer to a history, which has the
// rest and is found by the id that they give, also when the connection is gone. All other lines go
// through a [Trail].
//
// The trail names callers and addresses as the log does, and nothing else of a request. It is kept as
// long as history.
package audit

import (
	"context"
	"time"

	"rekey/shared/auth"
	"rekey/shared/history"
	"rekey/shared/rotation"
)

// The kinds of events, beside those of package history that [Of] takes over.
const (
	SignedIn       = "console.signed-in"
	SignedOut      = "console.signed-out"
	ConsoleRefused = "console.refused" // a sign-in, a session or a request was refused
	KeyMade        = "console.key-made"
	APIRefused     = "api.refused"
	// DeletionRequested is of the request, which has the caller's address. A pass carries it out.
	DeletionRequested = "connection.deletion-requested"
)

// Event is a line of the trail.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	By   string    `json:"by,omitempty"`   // the caller's name; empty: not known, or Rekey itself
	How  string    `json:"how,omitempty"`  // the caller's kind, of package auth
	Role string    `json:"role,omitempty"` // theirs at that time
	From string    `json:"from,omitempty"` // the IP address that the last proxy names
	// Reason is why, in words of Rekey's own.
	Reason string `json:"reason,omitempty"`
	// Count is how often it happened within a minute, at least; see [Trail]. 0 is once.
	Count int `json:"count,omitempty"`

	// Of a connection, or of a target and the connection that authenticates for it.
	ConnectionID string `json:"connectionId,omitempty"`
	TargetID     string `json:"targetId,omitempty"`
	Name         string `json:"name,omitempty"`
}

// By is an event of a caller, zero if they are not known, whose request came from an address.
func By(caller auth.Caller, kind, from, reason string) Event {
	e := Event{Kind: kind, By: caller.Label(), How: caller.Kind, From: from, Reason: reason}
	if caller.Role != 0 {
		e.Role = caller.Role.String()
	}
	return e
}

// Query asks for a page of the trail.
type Query struct {
	From, To time.Time // from inclusive, to exclusive, in milliseconds; zero: without a bound
	Cursor   string    // where the page before said that the list goes on; empty: at the newest
	Limit    int       // 100 if it is not positive, at most 1,000
}

// Store keeps the trail.
type Store interface {
	// WriteAudit writes a line, over what was written with the same id and time.
	WriteAudit(ctx context.Context, id string, e Event) error
	// Audit returns lines, the newest first; next is empty at the end.
	Audit(ctx context.Context, q Query) (events []Event, next string, err error)
}

// Of returns the line about an event of a record's history, if the trail has such events: what began
// and ended a connection or a target.
func Of(rec *rotation.Record, e rotation.Event) (line Event, ok bool) {
	line = Event{At: e.At, Kind: e.Kind, By: e.By, From: e.From, Reason: e.Message, ConnectionID: rec.ID, Name: rec.Title()}
	if rec.Via != "" {
		line.ConnectionID, line.TargetID = rec.Via, rec.ID
	}
	deletion := rotation.Request{Kind: rotation.AskDelete, Revoke: true}
	switch {
	case e.Kind == history.Requested && e.Message == string(rotation.AskDelete):
		line.Kind, line.Reason = DeletionRequested, "keep what is published"
	case e.Kind == history.Requested && e.Message == deletion.Asked():
		line.Kind, line.Reason = DeletionRequested, "remove what is published as well"
	case e.Kind != history.Created && e.Kind != history.Undone && e.Kind != history.Deleted:
		return Event{}, false
	}
	return line, true
}
