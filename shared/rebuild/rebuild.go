// Package rebuild writes the table again from what the vault and the directory say,
// after the table was lost.
//
// Every version that Rekey writes is tagged with what its record said, so that the
// vault is the record's second copy. A [Rebuilder] reads all of them, tries the values,
// asks the directory what of it still shows, and makes one record for each connection
// that has none. Looking writes nothing, anywhere; [Rebuilder.Apply] writes to the table
// only. Everything that has to be done in the vault or the directory is put on the
// record and done by normal passes, behind the same gates as ever.
//
// It promises three things.
//
//   - A record that is there is never touched.
//   - Nothing is put down for removal but what is provably Rekey's (promise P2): a client
//     secret that the directory shows with a display name that begins with the marker of
//     this connection and that stands, letter for letter, in a tag of one of this
//     connection's versions; or the original that was named, if it fits the value that
//     was published. Where the directory can't be read, it is looked for by its marker
//     later. What only looks like Rekey's is reported and left alone.
//   - What is current is the newest published value that gets a token now. Where none
//     does, the record says so, and a person is told to reconnect.
//
// What has no second copy is lost: descriptions and labels, history, the number of times that the
// caller changed the credentials, the grace period of an original, which client secrets a target
// retires (none of these is removed), requests that no pass had taken up, who created a
// connection and when; changes of name or schedule since a version was last written; and
// connections of which the vault has nothing, such as a target that was never rotated.
package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rekey/shared/claim"
	"rekey/shared/reservation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// EventRebuilt is the kind of the first event of a connection that was rebuilt.
const EventRebuilt = "connection.rebuilt"

// By is who did it, in history and as the one who created the connection.
const By = "rebuild"

// Vault is what is read of the vault.
type Vault interface {
	// All returns the latest version of every secret, with tags and state.
	All(ctx context.Context) ([]rotation.VaultSecret, error)
	State(ctx context.Context, name string) (rotation.VaultState, error)
	List(ctx context.Context, name string) ([]rotation.VaultSecret, error)
	Get(ctx context.Context, name, version string) (rotation.VaultSecret, error)
}

// Records are the rows of connections; the methods are those of
// [connection.Records].
type Records interface {
	Load(ctx context.Context, id string) (rotation.Record, error)
	Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
	History(ctx context.Context, id, cursor string, limit int) (events []rotation.Event, next string, err error)
}

// Reservations keep values unique; the methods are those of
// [connection.Reservations].
type Reservations interface {
	Reserve(ctx context.Context, res reservation.Row, reclaim func(context.Context, reservation.Row) (bool, error)) error
	Release(ctx context.Context, res reservation.Row) error
}

// Directory is what is read of Entra and Graph.
type Directory interface {
	Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error)
	Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error)
}

// Rebuilder rebuilds records. Its fields are set once; SignIns, Refused, Log, Now and
// Parallel may be left out.
type Rebuilder struct {
	Vault        Vault
	Records      Records
	Reservations Reservations
	Claims       claim.Store
	Directory    Directory
	SignIns      connection.SignIns // nil: connections by certificate or OAuth can't sign in

	// Refused are applications that must not be rotated, as in
	// [connection.Service].
	Refused    map[string]string
	Deployment string
	Rules      rotation.Rules

	Log      *slog.Logger     // nil: slog.Default()
	Now      func() time.Time // nil: time.Now
	Parallel int              // connections looked at at once; 0: 8
}

// Outcome says what becomes of a connection.
type Outcome string

// The outcomes.
const (
	Present Outcome = "present"   // its record is in the table
	Missing Outcome = "missing"   // it can be rebuilt
	Rebuilt Outcome = "rebuilt"   // it was
	Deleted Outcome = "deleted"   // it was deleted before; what is published was left on purpose
	Held    Outcome = "held back" // a person has to do something first
	Unclear Outcome = "unclear"   // a service did not answer properly: run it again
)

// Connection is one connection that the vault tells of.
type Connection struct {
	ID        string
	Name      string
	VaultName string // the published secret; empty if it is not known
	Via       string
	Outcome   Outcome
	// Record is what is written, or was, of one that is Missing or Rebuilt.
	Record rotation.Record

	Notes    []string // what is worth knowing
	ByPerson []string // what a person has to do

	touched time.Time // when the newest of its versions was written
}

// Plan is what a look has found.
type Plan struct {
	Connections []Connection // those that authenticate for others before these, then the newest first
	ByPerson    []string     // about secrets that are of no connection
}

// Count returns how many connections have that outcome.
func (p *Plan) Count(o Outcome) int {
	n := 0
	for _, c := range p.Connections {
		if c.Outcome == o {
			n++
		}
	}
	return n
}

// NeedsPerson reports whether anything is left that does not happen by itself.
func (p *Plan) NeedsPerson() bool {
	for _, c := range p.Connections {
		if len(c.ByPerson) > 0 || c.Outcome == Held || c.Outcome == Unclear {
			return true
		}
	}
	return len(p.ByPerson) > 0
}

// Rebuild looks, writes what is missing, and returns what it did; only is the id of the
// one connection that is meant, or empty for all.
//
// A pass that was under way when the table was lost still has its record in memory, and
// may issue one more client secret that no record knows. It can't commit, and it ends
// with its lease. So Rebuild looks twice, a lease apart, and writes what the second look
// shows of what was missing both times. Handlers may run meanwhile.
func (r *Rebuilder) Rebuild(ctx context.Context, only string) (*Plan, error) {
	first, err := r.Scan(ctx, only)
	if err != nil {
		return first, err
	}
	missing := map[string]bool{}
	for _, c := range first.Connections {
		missing[c.ID] = c.Outcome == Missing
	}
	if first.Count(Missing) == 0 {
		return first, r.Apply(ctx, first)
	}
	if err := sleep(ctx, r.Quiet()); err != nil {
		return first, err
	}
	second, err := r.Scan(ctx, only)
	if err != nil {
		return second, err
	}
	for i := range second.Connections {
		if c := &second.Connections[i]; c.Outcome == Missing && !missing[c.ID] {
			c.Outcome = Unclear
			c.Notes = append(c.Notes, "It has changed while it was looked at. Run it again.")
		}
	}
	return second, r.Apply(ctx, second)
}

// Quiet is how long Rebuild waits between its two looks: until every lease that
// a pass held before the first has run out, whatever the clocks say.
func (r *Rebuilder) Quiet() time.Duration { return r.Rules.Lease + 2*r.Rules.Skew }

// Scan looks at the vault, the table and the directory and says what it would do. It
// writes nothing. The error is one of reading the vault as a whole; what concerns one
// connection is said there.
func (r *Rebuilder) Scan(ctx context.Context, only string) (*Plan, error) {
	secrets, err := r.Vault.All(ctx)
	if err != nil {
		return &Plan{}, fmt.Errorf("listing the vault: %w", err)
	}
	found, plan := r.sort(secrets, only)
	s := &scan{Rebuilder: r, only: only, drafts: map[string]*draft{}}
	for _, g := range found {
		s.drafts[g.id] = &draft{group: g, Connection: Connection{ID: g.id, Via: g.via}}
	}
	s.each(ctx, func(d *draft) bool { return d.via == "" }, s.draft)
	s.each(ctx, func(d *draft) bool { return d.via != "" }, s.draft) // they sign in through those
	for _, d := range s.drafts {
		if only == "" || d.ID == only {
			plan.Connections = append(plan.Connections, d.Connection)
		}
	}
	order(plan.Connections)
	return plan, ctx.Err()
}

// scan is one look.
type scan struct {
	*Rebuilder
	only   string
	drafts map[string]*draft
}

// each looks at the drafts that are meant, some at once.
func (s *scan) each(ctx context.Context, meant func(*draft) bool, look func(context.Context, *draft)) {
	room := make(chan struct{}, cmp.Or(s.Parallel, 8))
	var all sync.WaitGroup
	for _, d := range s.drafts {
		if !meant(d) {
			continue
		}
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			look(ctx, d)
		})
	}
	all.Wait()
}

// draft looks at one connection.
func (s *scan) draft(ctx context.Context, d *draft) {
	ctx, cancel := context.WithTimeout(ctx, s.Rules.Lease) // no call may hold all of it up
	defer cancel()
	d.Outcome = Missing
	err := s.complete(ctx, d)
	if stop, ok := errors.AsType[*stop](err); ok {
		d.Outcome = stop.outcome
		if stop.outcome == Held {
			d.ByPerson = append(d.ByPerson, stop.why)
		} else if stop.why != "" {
			d.Notes = append(d.Notes, stop.why)
		}
	} else if err != nil {
		d.Outcome = Unclear
		d.Notes = append(d.Notes, serviceerror.Explain(err))
	}
	if d.Outcome != Missing {
		d.Record = rotation.Record{}
	}
}

// stop says that a connection is not to be rebuilt.
type stop struct {
	outcome Outcome
	why     string
}

func (s *stop) Error() string { return string(s.outcome) + ": " + s.why }

func held(format string, args ...any) error { return &stop{Held, fmt.Sprintf(format, args...)} }

// sleep waits unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Rebuilder) now() time.Time {
	if r.Now != nil {
		return r.Now().UTC()
	}
	return time.Now().UTC()
}

func (r *Rebuilder) log() *slog.Logger { return cmp.Or(r.Log, slog.Default()) }
