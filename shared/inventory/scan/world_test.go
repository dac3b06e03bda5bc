package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/connection"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/inventorytest"
	"rekey/shared/inventory/scan"
	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

const (
	day        = 24 * time.Hour
	deployment = "test"
	conn       = "connection-1"
)

// tenantA is the tenant of most tests.
var tenantA = guid(0xa)

func guid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

// errDead is what every port answers a process that has crashed.
var errDead = errors.New("this process is dead")

// errLate says that a call is carried out although its caller has given up.
var errLate = errors.New("late")

// world is a store, the directories of some tenants, and the processes that scan them. It belongs
// into a synctest bubble.
type world struct {
	t       testing.TB
	store   *inventorytest.MemoryStore
	tenants map[string]*directory
	log     *safeBuffer

	mu      sync.Mutex
	calls   []string // of all ports, in order
	at      int      // the call to break, counted from 1; 0: none
	fault   fault
	process int // the process that is alive
	// before is run before each call, without the lock; an error is the call's.
	before func(ctx context.Context, call string) error

	partSize int
	managers map[string][]inventory.Manager // by client id
	unknown  bool                           // some records can't be read
}

// fault is what becomes of a call.
type fault string

const (
	crashBefore fault = "crash before"
	crashAfter  fault = "crash after"
	notDone     fault = "failed, not done"
	done        fault = "failed, but done"
)

func newWorld(t testing.TB) *world {
	w := &world{t: t, store: &inventorytest.MemoryStore{}, tenants: map[string]*directory{}, log: &safeBuffer{}}
	w.tenants[tenantA] = &directory{world: w, tenantID: tenantA, pageSize: 3, tenantOf: map[string]string{conn: tenantA}}
	return w
}

func (w *world) dir() *directory { return w.tenants[tenantA] }

// scanner returns one of the process that is alive.
func (w *world) scanner() *scan.Scanner { return w.skewed(0) }

// skewed returns a scanner of which the clock is ahead by that much.
func (w *world) skewed(ahead time.Duration) *scan.Scanner {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := port{w, w.process}
	return &scan.Scanner{
		Store: storePort{w.store, p}, Directory: directoryPort{p}, Actors: directoryPort{p}, Connections: directoryPort{p},
		Managers: directoryPort{p}, Rules: rotation.DefaultRules(), Deployment: deployment, PartSize: w.partSize,
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Now: func() time.Time { return time.Now().Add(ahead) },
	}
}

// port is a process's way to the services.
type port struct {
	w       *world
	process int
}

// call carries out do with what becomes of it.
func (p port) call(ctx context.Context, name string, do func() error) error {
	w := p.w
	w.mu.Lock()
	if p.process != w.process {
		w.mu.Unlock()
		return errDead
	}
	w.calls = append(w.calls, name)
	fault := fault("")
	if w.at > 0 {
		if w.at--; w.at == 0 {
			fault = w.fault
		}
	}
	if fault == crashBefore || fault == crashAfter {
		w.process++
	}
	before := w.before
	w.mu.Unlock()
	late := false
	if before != nil {
		err := before(ctx, name)
		if late = errors.Is(err, errLate); err != nil && !late {
			return err
		}
	}
	if ctx.Err() != nil && !late {
		return ctx.Err()
	}
	if fault == crashBefore {
		return errDead
	}
	if fault == notDone {
		return &serviceerror.Error{Op: "testing", Class: serviceerror.Transient, UnknownOutcome: true}
	}
	err := do()
	if fault == crashAfter {
		return errDead
	}
	if fault == done {
		return &serviceerror.Error{Op: "testing", Class: serviceerror.Transient, UnknownOutcome: true}
	}
	return err
}

// breakAt arms a fault at the n-th call from now on.
func (w *world) breakAt(n int, f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.fault, w.calls = n, f, nil
}

// forget returns the calls so far and begins to count anew.
func (w *world) forget() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *world) each(before func(ctx context.Context, call string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = before
}

// storePort is the store as a process sees it.
type storePort struct {
	s *inventorytest.MemoryStore
	p port
}

func (s storePort) Tenant(ctx context.Context, tenantID string) (t inventory.Tenant, err error) {
	err = s.p.call(ctx, "store.tenant", func() (err error) { t, err = s.s.Tenant(ctx, tenantID); return err })
	return t, err
}

func (s storePort) Commit(ctx context.Context, t inventory.Tenant, w scan.Write) (saved inventory.Tenant, err error) {
	err = s.p.call(ctx, "store.commit", func() (err error) { saved, err = s.s.Commit(ctx, t, w); return err })
	return saved, err
}

func (s storePort) Pages(ctx context.Context, scanID string, visit func(int, inventory.List, []inventory.Application) error) error {
	return s.p.call(ctx, "store.pages", func() error { return s.s.Pages(ctx, scanID, visit) })
}

func (s storePort) DropPages(ctx context.Context, tenantID, keep string) error {
	return s.p.call(ctx, "store.drop", func() error { return s.s.DropPages(ctx, tenantID, keep) })
}

func (s storePort) Rows(ctx context.Context, tenantID string, visit func(catalog.Row) error) error {
	return s.p.call(ctx, "store.rows", func() error { return s.s.Rows(ctx, tenantID, visit) })
}

func (s storePort) Put(ctx context.Context, write []inventory.Application, gone []inventory.Key) (rows int, err error) {
	put := func(write []inventory.Application, gone []inventory.Key) error {
		return s.p.call(ctx, "store.put", func() error {
			n, err := s.s.Put(ctx, write, gone)
			rows += n
			return err
		})
	}
	for i := range write { // one at a time, so that each may be the last
		if err := put(write[i:i+1], nil); err != nil {
			return rows, err
		}
	}
	for i := range gone {
		if err := put(nil, gone[i:i+1]); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (s storePort) PruneScans(ctx context.Context, tenantID string, keep int) error {
	return s.p.call(ctx, "store.prune", func() error { return s.s.PruneScans(ctx, tenantID, keep) })
}

// directoryPort is what else a process sees.
type directoryPort struct{ p port }

func (d directoryPort) Page(
	ctx context.Context, token rotation.Token, list inventory.List, cursor string,
) (page inventory.Page, err error) {
	err = d.p.call(ctx, "page "+string(list), func() (err error) {
		page, err = d.p.w.directoryOf(token).page(list, cursor)
		return err
	})
	return page, err
}

func (d directoryPort) Exists(ctx context.Context, token rotation.Token, clientID string) (registration, principal bool, err error) {
	err = d.p.call(ctx, "exists", func() (err error) {
		registration, principal, err = d.p.w.directoryOf(token).exists(clientID)
		return err
	})
	return registration, principal, err
}

func (d directoryPort) LongestSecret(ctx context.Context, token rotation.Token) (longest time.Duration, err error) {
	err = d.p.call(ctx, "policy", func() (err error) {
		longest, err = d.p.w.directoryOf(token).policy()
		return err
	})
	return longest, err
}

func (d directoryPort) TokenIn(ctx context.Context, connectionID, tenantID string) (token rotation.Token, err error) {
	err = d.p.call(ctx, "token", func() (err error) {
		token, err = d.p.w.tokenIn(connectionID, tenantID)
		return err
	})
	return token, err
}

func (d directoryPort) TenantOf(ctx context.Context, connectionID string) (tenantID string, err error) {
	err = d.p.call(ctx, "tenant of", func() error {
		for _, dir := range d.p.w.tenants {
			if id, ok := dir.tenantOf[connectionID]; ok {
				tenantID = id
				return nil
			}
		}
		return &connection.Error{Kind: connection.NotFound, Message: "There is no such connection."}
	})
	return tenantID, err
}

func (d directoryPort) All(ctx context.Context, _ string) (managers map[string][]inventory.Manager, known bool, err error) {
	err = d.p.call(ctx, "managers", func() error {
		managers, known = maps.Clone(d.p.w.managers), !d.p.w.unknown
		return nil
	})
	return managers, known, err
}

func (w *world) tokenIn(connectionID, tenantID string) (rotation.Token, error) {
	dir := w.tenants[tenantID]
	if dir == nil || dir.tenantOf[connectionID] != tenantID || dir.signInRefused != nil {
		e := &serviceerror.Error{Op: "signing in", Class: serviceerror.ActorRefused, Detail: "a test"}
		if dir != nil && dir.signInRefused != nil {
			e = dir.signInRefused
		}
		return rotation.Token{}, e
	}
	return rotation.Token{Value: secret.New("token of " + tenantID), ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func (w *world) directoryOf(token rotation.Token) *directory {
	return w.tenants[strings.TrimPrefix(token.Value.Reveal(), "token of ")]
}

// pass runs one pass of a scanner for at most 4 minutes, as a tick does, and checks that it ends by
// then.
func (w *world) pass(s *scan.Scanner, tenantID string) error {
	w.t.Helper()
	until := time.Now().Add(4 * time.Minute)
	err := s.Pass(w.t.Context(), tenantID, until)
	if time.Now().After(until) {
		w.t.Errorf("a pass ended %s late", time.Since(until))
	}
	return err
}

// tick plays the timer for d: once a minute, a pass for what is due. What a pass could not do is
// the next one's.
func (w *world) tick(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		due, err := w.store.Due(w.t.Context(), time.Now(), 100)
		if err != nil {
			w.t.Fatal(err)
		}
		s := w.scanner()
		var all sync.WaitGroup
		for _, one := range due {
			tenantID, _ := inventory.ParseDueID(one.ID)
			all.Go(func() { _ = w.pass(s, tenantID) })
		}
		all.Wait()
		time.Sleep(time.Until(w.nextTick(end)))
	}
}

// nextTick is the next minute at which the timer finds something, or end.
func (w *world) nextTick(end time.Time) time.Time {
	tenants, err := w.store.Tenants(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	at := end
	for _, t := range tenants {
		if !t.WakeAt.IsZero() && t.WakeAt.Before(at) {
			at = t.WakeAt
		}
	}
	next := time.Now().Truncate(time.Minute).Add(time.Minute)
	if at.After(next) {
		next = at.Add(time.Minute - 1).Truncate(time.Minute)
	}
	return next
}

// request asks for a scan and leaves it to the timer.
func (w *world) request(connectionID string) inventory.Scan {
	w.t.Helper()
	s := w.scanner()
	s.Brief = 1 // a pass of a nanosecond does nothing
	sc, err := s.Request(w.t.Context(), catalog.Request{ConnectionID: connectionID, By: "tester"})
	if err != nil {
		w.t.Fatalf("asking for a scan: %v", err)
	}
	return sc
}

// tenant returns the row of a tenant.
func (w *world) tenant(tenantID string) inventory.Tenant {
	w.t.Helper()
	t, err := w.store.Tenant(w.t.Context(), tenantID)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// finish plays the timer until the scan that is under way has ended.
func (w *world) finish(tenantID string) inventory.Tenant {
	w.t.Helper()
	for range 2 * 24 * 60 {
		if t := w.tenant(tenantID); t.Scan.Phase == inventory.Complete || t.Scan.Phase == inventory.Failed {
			return t
		}
		w.tick(time.Minute)
	}
	t := w.tenant(tenantID)
	w.t.Fatalf("the scan does not come to its end: %+v\n%s", *t.Scan, w.log)
	return t
}

// scanned asks for a scan and plays the timer until it is complete.
func (w *world) scanned() inventory.Tenant {
	w.t.Helper()
	w.request(conn)
	t := w.finish(tenantA)
	if t.Scan.Phase != inventory.Complete {
		w.t.Fatalf("the scan has failed: %+v", t.Scan.Problem)
	}
	w.tick(time.Minute) // it may have died before it cleared up
	return t
}

// rows are those of a tenant, by client id.
func (w *world) rows(tenantID string) map[string]inventory.Application {
	w.t.Helper()
	rows := map[string]inventory.Application{}
	if err := w.store.Rows(w.t.Context(), tenantID, func(r catalog.Row) error {
		rows[r.ClientID] = r.Application
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// kept returns the pages that are kept of a scan.
func (w *world) kept(scanID string) (n int) {
	_ = w.store.Pages(w.t.Context(), scanID, func(int, inventory.List, []inventory.Application) error { n++; return nil })
	return n
}

// check compares the rows with the directory.
func (w *world) check(tenantID string) {
	w.t.Helper()
	rows, truth := w.rows(tenantID), w.tenants[tenantID].truth()
	for id, want := range truth {
		got, ok := rows[id]
		if !ok {
			w.t.Errorf("%s has no row", want.Name)
			continue
		}
		got.FirstSeenAt, got.ChangedAt, got.Noted = time.Time{}, time.Time{}, nil
		if g, wanted := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != wanted {
			w.t.Errorf("the row of %s is\n%s, want\n%s", want.Name, g, wanted)
		}
	}
	for id, row := range rows {
		if _, ok := truth[id]; !ok {
			w.t.Errorf("there is a row of %s (%s), which is not there", row.Name, id)
		}
	}
}

// notices are those of a kind.
func (w *world) notices(kind string) (all []scan.Notice) {
	return slices.DeleteFunc(w.store.Notices(), func(n scan.Notice) bool { return n.Kind != kind })
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

var _ io.Writer = (*safeBuffer)(nil)

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
