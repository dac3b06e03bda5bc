// Package notice tells the outside what a person has to know of a connection: that it
// needs a person, that a credential is about to expire, that all is well again; and of the
// inventory of a tenant: what a scan has found. It does so by a webhook: one signed HTTP
// request for each change of state, or for each scan.
//
// The record, its history and its notices are written in one transaction, as are a tenant, its
// scan and the notice of that, so that there is a notice exactly if there was the change. From then on it is this package's to
// deliver, beside the rotations and never in their way:
//
//   - Every notice is delivered at least once, or after three days of trying given up
//     with a line in the log; the history keeps what it was about.
//   - The notices of one connection, or of one tenant's inventory, arrive in the order in
//     which they happened: one that was not taken holds back the later ones of its
//     connection or tenant, and of no other.
//   - A notice that is sent again, because an answer was lost or a process died, has the
//     same id, so that a receiver can tell.
//   - No request carries a secret, and nothing that is logged shows the webhook's path
//     or query, which for many receivers are one.
//
// The body is a CloudEvent in JSON (see [Event]); the signature follows Standard
// Webhooks (see [Keys]).
package notice

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rekey/shared/serviceerror"
)

// Notice is an event that a person has to be told of, as the store keeps it until it is
// delivered. Besides the event it holds who it is about, because the record may be gone
// by then.
type Notice struct {
	// ID is unique and never changes. It consists of A-Z a-z 0-9 _ -.
	ID string
	// ETag is the condition of the next write, where the store knows it. It is the
	// store's own.
	ETag string

	// Connection is the id that it is delivered in order under: that of a connection, or for a
	// notice of a tenant's inventory that of the tenant in the due index (inventory.DueID).
	Connection string
	Name       string
	Project    string
	TenantID   string // of the application whose credential is rotated; may be empty
	ClientID   string

	// Version and Place order the notices of one connection: the version of the
	// record that the event came with, and its place among the events of that commit.
	Version int64
	Place   int

	Kind    string // one of package history's
	At      time.Time
	RunID   string
	KeyID   string
	Class   serviceerror.Class // empty where nothing failed
	Message string

	// Of a notice of an inventory: the connection that the scan signed in as, and the scan.
	Via    string
	ScanID string

	// Until is when it may be sent; zero: at once. Tries is how often it was sent and
	// not taken.
	Until time.Time
	Tries int
}

// Store keeps notices until they are delivered. What writes the records puts them there.
//
// Both writes are conditional on the notice being as it was read, and answer
// [serviceerror.ErrConflict] if it is not, or is gone: another pass delivers it.
type Store interface {
	// Undelivered returns what is not delivered yet, also what may not be sent until
	// later, the oldest first, at most limit. Its cost depends on how many there are
	// (promise P6). With an error it may return a part.
	Undelivered(ctx context.Context, limit int) ([]Notice, error)
	// Postpone sets Until and Tries, and returns n as it is then.
	Postpone(ctx context.Context, n Notice, until time.Time, tries int) (Notice, error)
	// Delivered deletes n.
	Delivered(ctx context.Context, n Notice) error
}

// queues sorts notices by connection, each in its order. A connection whose first one
// failed less often comes first, so that those which fail for ever are in no other's way.
func queues(all []Notice) [][]Notice {
	place := map[string]int{}
	var out [][]Notice
	for _, n := range all {
		i, ok := place[n.Connection]
		if !ok {
			i = len(out)
			place[n.Connection] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], n)
	}
	for _, q := range out {
		slices.SortFunc(q, func(a, b Notice) int {
			return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Place, b.Place))
		})
	}
	slices.SortStableFunc(out, func(a, b []Notice) int { return cmp.Compare(a[0].Tries, b[0].Tries) })
	return out
}
