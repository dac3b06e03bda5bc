package scan

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rekey/shared/inventory/catalog"
	"rekey/shared/rotation"
	"rekey/shared/rotator"
)

// Scanner scans tenants. It is safe for concurrent use; its fields are set once, before the first
// pass.
type Scanner struct {
	Store       Store
	Directory   Directory
	Actors      Actors
	Connections Connections
	Managers    Managers
	Observer    Observer // nil: none

	Rules      rotation.Rules // of which the lease, its skew, and the time of a call count
	Deployment string         // in markers

	Log *slog.Logger     // nil: slog.Default()
	Now func() time.Time // nil: time.Now
	ID  func() string    // ids of leases and scans; nil: random. At least 10 characters of [A-Z0-9a-z]

	// Brief is how long a request works on a scan that it begins; 0: 10 s.
	Brief time.Duration
	// Parallel is how many tenants are scanned at once; 0: 8. Of these one at a time has its
	// applications in memory.
	Parallel int
	// PartSize is how many applications are in memory at once; 0: 10,000.
	PartSize int

	once    sync.Once
	slots   chan struct{}
	merging chan struct{}

	mu   sync.Mutex
	pace map[string]*rate.Limiter // by tenant
}

var (
	_ rotator.Inventory = (*Scanner)(nil)
	_ catalog.Scanner   = (*Scanner)(nil)
)

// How many things there may be of a kind.
const (
	manyTenants      = 8      // see Scanner.Parallel
	manyApplications = 10_000 // see Scanner.PartSize
	manyScans        = 30     // finished ones that are kept of a tenant
	manyPages        = 20_000 // of a scan: four million objects
)

// keyReads is the time between two reads with keyCredentials, of which Graph takes 150 a minute
// and tenant. It is a little more than 60 s / 150, since what is on its way is counted here when it
// is sent, and there when it arrives.
// Source: learn.microsoft.com/graph/api/application-list.
const keyReads = 410 * time.Millisecond

func (s *Scanner) init() {
	s.once.Do(func() {
		s.slots = make(chan struct{}, cmp.Or(s.Parallel, manyTenants))
		s.merging = make(chan struct{}, 1)
		s.pace = make(map[string]*rate.Limiter)
	})
}

func (s *Scanner) now() time.Time {
	if s.Now != nil {
		return s.Now().UTC()
	}
	return time.Now().UTC()
}

func (s *Scanner) newID() string {
	if s.ID != nil {
		return s.ID()
	}
	return rand.Text()
}

func (s *Scanner) log() *slog.Logger { return cmp.Or(s.Log, slog.Default()) }

// Pass implements [rotator.Inventory]: it takes the lease of the tenant and works on its scan until
// nothing is left to do, or what is left has to wait, or its time is over. A daily scan that is due
// begins. It has no error if there was nothing to do, or no time.
func (s *Scanner) Pass(ctx context.Context, tenantID string, until time.Time) (err error) {
	s.init()
	if s.Observer != nil {
		var end func(error)
		ctx, end = s.Observer.Pass(ctx, tenantID)
		defer func() { end(err) }()
	}
	d := until.Sub(s.now())
	if !acquire(ctx, s.slots, d) {
		return nil
	}
	defer func() { <-s.slots }()
	p := &pass{Scanner: s, id: tenantID, end: until, logger: s.log().With("tenant", tenantID)}
	return p.work(ctx)
}

// acquire takes a place within d, if there is one by then.
func acquire(ctx context.Context, places chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case places <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// reserve books a read with keyCredentials and returns how long to wait for its turn.
func (s *Scanner) reserve(tenantID string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.pace[tenantID]
	if !ok {
		l = rate.NewLimiter(rate.Every(keyReads), 1)
		s.pace[tenantID] = l
	}
	return l.ReserveN(now, 1).DelayFrom(now)
}
