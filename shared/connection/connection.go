// Package connection creates connections, signs in as them, and takes requests about
// them.
//
// It is what stands between a caller and the rotation: it validates everything
// that is local and everything that can be read before anything is changed, it
// keeps names and vault secrets unique, it claims applications, it takes the caller's secret
// over, and it hands the rest to package rotation, whose passes finish what a
// request had no time for. Nothing is lost on bad input: a refused request leaves
// everything as it was.
//
// Its errors are of type [*Error] and say what is wrong and what to do.
package connection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rekey/shared/activity"
	"rekey/shared/claim"
	"rekey/shared/index"
	"rekey/shared/reservation"
	"rekey/shared/rotator"
	"rekey/shared/secret"

	"rekey/shared/rotation"
)

// Kind sorts errors by what the caller can do.
type Kind string

// The kinds of errors.
const (
	Invalid     Kind = "invalid"     // change the request
	Taken       Kind = "taken"       // another one has the name: change the request
	Conflict    Kind = "conflict"    // the connection as it is, or another one, does not allow it
	Forbidden   Kind = "forbidden"   // the caller may not do that: see removing.go
	NotFound    Kind = "not found"   //
	Unavailable Kind = "unavailable" // an outside service did not answer: try again
)

// Error is what a caller is told.
type Error struct {
	Kind       Kind
	Message    string        // what is wrong and what to do; safe to show
	RetryAfter time.Duration // 0: no use to wait
	Code       string        // tells a program what it can't tell by Kind; most have none
}

// InProgress is the [Error.Code] of a request whose first one, with the same Idempotency-Key, is not answered yet.
const InProgress = "request-in-progress"

func (e *Error) Error() string { return e.Message }

func invalid(format string, args ...any) *Error {
	return &Error{Kind: Invalid, Message: fmt.Sprintf(format, args...)}
}

// What is not there. It does not say whether there ever was one.
var (
	errNoConnection = &Error{Kind: NotFound, Message: "There is no such connection."}
	errNoTarget     = &Error{Kind: NotFound, Message: "There is no such target."}
)

// Records are the rows of connections.
type Records interface {
	Load(ctx context.Context, id string) (rotation.Record, error)
	Create(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
	Commit(ctx context.Context, rec rotation.Record, events ...rotation.Event) (rotation.Record, error)
	// List leaves out what can't be read. Then it returns an error beside the others
	// and next, which has a method LeftOut() int: how many rows these are.
	List(ctx context.Context, cursor string, limit int) (records []rotation.Record, next string, err error)
	// Page returns what q asks for, and what to ask for next; nil at the end. It leaves out what List
	// does. What it costs is bounded: a page of a search may have few or none, and more to come.
	Page(ctx context.Context, q index.Query) (records []rotation.Record, next *index.Query, err error)
	History(ctx context.Context, id, cursor string, limit int) (events []rotation.Event, next string, err error)
	// Former returns what is kept of connections that are gone and rotated app.
	Former(ctx context.Context, app rotation.Application) ([]rotation.Former, error)
	// Due returns the first limit wake-ups at or before until, the earliest first.
	Due(ctx context.Context, until time.Time, limit int) ([]index.Due, error)
	// Activity counts the runs that ended in each of some weeks up to that of last, the oldest first.
	Activity(ctx context.Context, last time.Time, weeks int) ([]activity.Week, error)
	// Ahead returns when something rotates, and when what is rotated ends, from a moment on until another.
	Ahead(ctx context.Context, from, to time.Time) (index.Ahead, error)
}

// Reservations keep values unique among connections.
type Reservations interface {
	// Reserve claims res.Value for res.Owner; [serviceerror.ErrExists] if another
	// owner holds it, unless that claim is old and reclaim says that it is void.
	Reserve(ctx context.Context, res reservation.Row, reclaim func(context.Context, reservation.Row) (bool, error)) error
	Find(ctx context.Context, kind reservation.Kind, value string) (reservation.Row, error)
	// Notes returns the reservations of a shared kind that have that value.
	Notes(ctx context.Context, kind reservation.Kind, value string) ([]reservation.Row, error)
	Release(ctx context.Context, res reservation.Row) error
}

// Vault is what taking a secret over needs of the vault.
type Vault interface {
	Put(ctx context.Context, secret rotation.VaultSecret) (version string, err error)
	Get(ctx context.Context, name, version string) (rotation.VaultSecret, error)
	State(ctx context.Context, name string) (rotation.VaultState, error)
	Recover(ctx context.Context, name string) error
}

// Directory is what validating a credential needs to read.
type Directory interface {
	Token(ctx context.Context, app rotation.Application, secret secret.Value) (rotation.Token, error)
	Application(ctx context.Context, token rotation.Token, app rotation.Application) (rotation.ApplicationState, error)
	ServicePrincipal(ctx context.Context, token rotation.Token, app rotation.Application) (own []rotation.Password, enabled bool, err error)
	Owners(ctx context.Context, token rotation.Token, app rotation.Application) (objectIDs []string, err error)
}

// Service creates connections and takes requests about them. Its fields are set
// once; all but Applications, Policies, Notes, Refused, Budget and Log are required.
type Service struct {
	Rotator      *rotator.Rotator
	Actors       *Actors
	Records      Records
	Reservations Reservations
	Claims       claim.Store
	Vault        Vault
	Directory    Directory
	Applications Applications // nil: the tenant's applications can't be listed
	Policies     Policies     // nil: [Service.Check] says nothing about them
	Notes        Notes        // nil: [Service.Once] refuses requests with a key

	// Refused are applications that must not be rotated: Rekey's own, and the
	// one of the OAuth connections. By lower-case client id, with what it is.
	Refused map[string]string
	// Budget is how long a request may work, from its arrival; 0: 25 s.
	Budget time.Duration
	Log    *slog.Logger
}

func (s *Service) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

// bounded detaches ctx from its caller, who cancels nothing by hanging up, and gives
// it the request's own end. asking is for what only reads: it ends with the request's
// time. What must not be cut off, such as storing a value that exists nowhere else, may
// outlast that, but not the lease: it has working.
func (s *Service) bounded(ctx context.Context) (asking, working context.Context, until time.Time, cancel context.CancelFunc) {
	budget := cmp.Or(s.Budget, 25*time.Second)
	until = s.Rotator.Clock().Add(budget)
	detached := context.WithValue(context.WithoutCancel(ctx), callerKey{}, ctx)
	working, stop := context.WithTimeout(detached, s.Rotator.Rules.Lease)
	asking, end := context.WithTimeout(working, budget)
	return asking, working, until, func() { end(); stop() }
}

// callerKey finds the context of the caller in one that bounded has detached from it.
type callerKey struct{}

// whileAsked is a context that ends with ctx, and also when the caller hangs up. It is
// for work that is done before anything is written, and that an impatient caller could
// otherwise pile up.
func whileAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	caller, ok := ctx.Value(callerKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	if caller.Err() != nil { // at once, and not from another goroutine
		cancel()
	}
	stop := context.AfterFunc(caller, cancel)
	return ctx, func() { stop(); cancel() }
}

// Get returns a connection.
func (s *Service) Get(ctx context.Context, id string) (rotation.Record, error) {
	rec, err := s.Records.Load(ctx, id)
	if err != nil {
		return rec, s.explainStore(ctx, "reading the connection", err)
	}
	if rec.Gone() {
		return rotation.Record{}, errNoConnection
	}
	return rec, nil
}

// ByName returns the connection of that name in a project; "" for none.
func (s *Service) ByName(ctx context.Context, project, name string) (rotation.Record, error) {
	want := rotation.NameReservation(project, name, "")
	res, err := s.Reservations.Find(ctx, want.Kind, want.Value)
	if err != nil {
		return rotation.Record{}, s.explainStore(ctx, "looking the name up", err)
	}
	rec, err := s.Get(ctx, res.Owner)
	if err == nil && (rec.Name != name || rec.Project != project) {
		return rotation.Record{}, errNoConnection
	}
	return rec, err
}

// List returns every connection of a project, or of all projects if it is nil. One that
// a newer Rekey has written hides no other: it is left out, which is logged. [Service.Get]
// says what it is.
func (s *Service) List(ctx context.Context, project *string) ([]rotation.Record, error) {
	return s.records(ctx, project, func(rec *rotation.Record) bool { return rec.Via == "" })
}

// AllTargets does the same for the targets of all connections.
func (s *Service) AllTargets(ctx context.Context, project *string) ([]rotation.Record, error) {
	return s.records(ctx, project, func(rec *rotation.Record) bool { return rec.Via != "" })
}

func (s *Service) records(ctx context.Context, project *string, wanted func(*rotation.Record) bool) ([]rotation.Record, error) {
	var all []rotation.Record
	leftOut := 0
	for cursor := ""; ; {
		page, next, err := s.Records.List(ctx, cursor, 1000)
		if some, ok := errors.AsType[unreadable](err); ok {
			leftOut += some.LeftOut()
		} else if err != nil {
			return nil, s.explainStore(ctx, "listing connections", err)
		}
		for _, rec := range page {
			if !rec.Gone() && wanted(&rec) && (project == nil || *project == rec.Project) {
				all = append(all, rec)
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	s.warnLeftOut(ctx, leftOut)
	return all, nil
}

func (s *Service) warnLeftOut(ctx context.Context, rows int) {
	if rows > 0 {
		s.log().WarnContext(ctx, "connections left out of a list: their rows can't be read, as after a rollback", "rows", rows)
	}
}

// What is not shown is made up for by at least refill at a time, and so often at most.
const (
	refill  = 100
	refills = 10
)

// Page returns what q asks for, up to q.Limit, and what to ask for next; nil at the end. Its cost is
// bounded: a page of a search, or among very many that are being deleted, may have fewer, even none, and
// more to come. It leaves out what [Service.List] does, but for deletions that need attention where that is asked for.
func (s *Service) Page(ctx context.Context, q index.Query) (page []rotation.Record, next *index.Query, err error) {
	leftOut, limit := 0, q.Limit
	defer func() { s.warnLeftOut(ctx, leftOut) }()
	for ask, n := &q, 0; ask != nil && len(page) < limit && n < refills; n++ {
		var records []rotation.Record
		records, next, err = s.Records.Page(ctx, *ask)
		if some, ok := errors.AsType[unreadable](err); ok {
			leftOut += some.LeftOut()
		} else if err != nil {
			return nil, nil, s.explainStore(ctx, "listing connections", err)
		}
		page = append(page, slices.DeleteFunc(records, func(rec rotation.Record) bool { return rec.Gone() && q.Attention.IsZero() })...)
		if q.Searches() {
			break
		}
		if ask = next; ask != nil {
			ask.Limit = max(limit, refill)
		}
	}
	if len(page) > limit {
		page, next = page[:limit], &q
		next.AfterName, next.AfterID = page[limit-1].Name, page[limit-1].ID
	}
	if next != nil {
		next.Limit = limit
	}
	return page, next, nil
}

// unreadable is the error of a list that left rows out.
type unreadable interface {
	error
	LeftOut() int
}

// History returns a connection's events, the newest first.
func (s *Service) History(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, "", err
	}
	return s.events(ctx, id, cursor, limit)
}
