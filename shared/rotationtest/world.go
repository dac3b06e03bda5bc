package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/audit"
	"rekey/shared/notice"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"
)

// Fault is how an external write fails.
type Fault string

// The faults.
const (
	NoFault    Fault = ""
	NotApplied Fault = "failed, not applied"
	Applied    Fault = "failed, but applied"
	CrashAfter Fault = "crash after"
)

// Faults lists those that are worth injecting.
var Faults = []Fault{NotApplied, Applied, CrashAfter}

// Deployment is the deployment id of every World.
const Deployment = "test"

// errDead is what every port answers a process that has crashed.
var errDead = errors.New("this process is dead")

// World is one tenant, one vault and one table, and the processes that work on them. Its
// clock is time.Now, so that it belongs into a synctest bubble.
type World struct {
	Store     *MemoryStore
	Vault     *MemoryVault
	Directory *MemoryDirectory
	Log       *Log

	// Latency is how long every call takes.
	Latency time.Duration
	// AtEnd leaves the promises to the checks at the end: where there are very
	// many connections, looking at all of them after every call takes too long.
	AtEnd bool

	t testing.TB

	mu      sync.Mutex
	writes  []string // operations of the external writes so far
	at      int      // the write to break, counted from 1; 0: none
	atOp    string   // the operation to break at its first write; empty: none
	fault   Fault
	process int  // the process that is alive
	armed   bool // faults count
	broken  []string
	outside bool // a person outside broke P1 on purpose
	hooks   hooks
}

// NewWorld returns an empty world.
func NewWorld(t testing.TB) *World {
	w := &World{t: t, Latency: 40 * time.Millisecond, process: 1, Log: &Log{}}
	w.Store = &MemoryStore{world: w, rows: map[string]row{}, due: map[string]time.Time{}, history: map[string][]historyRow{},
		former:   map[string]formerRow{},
		ended:    map[endedRun]bool{},
		audited:  map[string]audit.Event{},
		reserved: map[string]reservation.Row{}, claims: map[string]rotation.ClaimRow{}, notices: map[string]notice.Notice{}}
	w.Vault = &MemoryVault{world: w, secrets: map[string]*heldSecret{}}
	w.Directory = &MemoryDirectory{world: w, apps: map[string]*app{}, clients: map[string]*app{},
		holders: map[string]string{}, signIns: map[string]*signIn{}}
	return w
}

// Rotator returns the rotator of the process that is alive; after a crash, of a
// new one. Rules are the real ones.
func (w *World) Rotator() *rotator.Rotator {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := port{w, w.process}
	return &rotator.Rotator{
		Store: storePort{w.Store, p}, History: storePort{w.Store, p}, Vault: vaultPort{w.Vault, p},
		Authority: directoryPort{w.Directory, p}, Directory: directoryPort{w.Directory, p},
		Rules: rotation.DefaultRules(), Deployment: Deployment, Log: slog.New(slog.NewJSONHandler(w.Log, nil)),
	}
}

// Break arms a fault at the n-th external write from now on.
func (w *World) Break(n int, f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes, w.at, w.atOp, w.fault, w.armed = nil, n, "", f, true
}

// BreakAt arms a fault at the next write of that operation.
func (w *World) BreakAt(op string, f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes, w.at, w.atOp, w.fault, w.armed = nil, 0, op, f, true
}

// Writes returns the operations of the external writes since Break.
func (w *World) Writes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.writes...)
}

// Restart begins a new process; calls of the old one fail from now on.
func (w *World) Restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process++
}

// OutsideBreak says that the test breaks the published credential on purpose, so
// that promise P1 can't hold for now.
func (w *World) OutsideBreak(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outside = on
}

// Violate records a broken promise.
func (w *World) Violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violate(fmt.Sprintf(format, args...))
}

func (w *World) violate(s string) {
	if len(w.broken) < 20 {
		w.broken = append(w.broken, s)
	}
}

// Violations returns the promises that were broken.
func (w *World) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.broken...)
}

// port is a process's way to the services.
type port struct {
	w       *World
	process int
}

// read carries out a read, op, of what on names.
func (p port) read(ctx context.Context, op, on string, apply func() error) error {
	if err := p.arrive(ctx, op, on); err != nil {
		return err
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.process != p.w.process {
		return errDead
	}
	return apply()
}

// write carries out an external write to what on names, or breaks it, and checks the
// promises. An apply of a late write runs after write has returned: with an error, the
// caller must not look at what apply sets.
func (p port) write(ctx context.Context, op, on string, apply func() error) error {
	w := p.w
	if err := p.arrive(ctx, op, on); err != nil {
		return err
	}
	if err := p.delay(ctx, op, on, apply); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.process != w.process {
		return errDead
	}
	fault := NoFault
	if w.armed {
		if w.writes = append(w.writes, op); len(w.writes) == w.at || op == w.atOp {
			w.atOp = ""
			fault = w.fault
		}
	}
	lost := &serviceerror.Error{Op: op, Class: serviceerror.Transient, Status: 504, UnknownOutcome: true}
	if fault == NotApplied {
		return lost
	}
	err := apply()
	w.check(op)
	switch fault {
	case Applied:
		return lost
	case CrashAfter:
		w.process++
		return errDead
	}
	return err
}

// NextDue is when the next connection has to be woken; false if none ever has.
func (w *World) NextDue() (next time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.Store.due {
		if !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	return next, ok
}

// Live counts the live credentials of an application, by ground truth.
func (w *World) Live(clientID string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.Directory.byClient(clientID).passwords {
		if c.removedAt == nil {
			n++
		}
	}
	return n
}

// Record returns the record as it is stored, and whether there is one.
func (w *World) Record(id string) (rotation.Record, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.Store.rows[id]
	if !ok {
		return rotation.Record{}, false
	}
	return r.record(), true
}

// Records returns the ids of all records.
func (w *World) Records() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for id := range w.Store.rows {
		ids = append(ids, id)
	}
	return ids
}

// Log collects what was logged.
type Log struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
