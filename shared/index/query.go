package index

import (
	"slices"
	"strings"
	"time"
)

// Query asks for a part of a list in the order of names, and of ids among equal ones.
type Query struct {
	Targets   bool      // targets, instead of connections
	Project   *string   // nil: of all projects
	Name      string    // empty: of all names
	Text      string    // in [Entry.Text], folded; empty: whatever
	State     string    // one of [States]; empty: whatever
	Attention time.Time // only what a person should look at at that moment; zero: all

	// Where to go on, behind this one; without an id: at the beginning.
	AfterName, AfterID string
	Limit              int // at most 1,000
}

// Finds reports whether the query asks for an entry, wherever it stands.
func (q *Query) Finds(e *Entry) bool {
	return q.Targets == e.Target && (q.Project == nil || *q.Project == e.Project) && (q.Name == "" || q.Name == e.Name) &&
		(q.Text == "" || strings.Contains(e.Text, q.Text)) &&
		(q.State == "" || slices.Contains(strings.Fields(e.States), q.State)) &&
		(q.Attention.IsZero() || !e.Attention.IsZero() && !q.Attention.Before(e.Attention))
}

// Searches reports whether the order of names does not lead to what the query asks for.
func (q *Query) Searches() bool { return q.Text != "" || q.State != "" }

// Behind reports whether an entry comes after where the query goes on. An id has no spaces.
func (q *Query) Behind(e *Entry) bool {
	return q.AfterID == "" || e.Name+" "+e.ID > q.AfterName+" "+q.AfterID
}

// Ahead is what comes within a time: rotations, and ends of the client secrets that are rotated.
type Ahead struct {
	Due  []time.Time
	Ends []End
	// Whole is false if there is more than was counted.
	Whole bool
}

// End is when a client secret ends.
type End struct {
	At         time.Time
	Credential string // see [Credential]
}
