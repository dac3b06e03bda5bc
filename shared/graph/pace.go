package graph

import (
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotator"
)

// Budget is how many writes fit into any stretch of time of that length.
type Budget struct {
	Writes int
	Per    time.Duration
}

// The budgets that Graph documents for identity and access.
// Source: learn.microsoft.com/graph/throttling-limits.
var (
	perApplication = Budget{3000, 150 * time.Second}.careful()
	perTenant      = Budget{18000, 5 * time.Minute}.careful()
)

// careful takes a fortieth off, and makes the time a little longer: what is on its
// way is counted by us when it is sent, and by Graph when it arrives.
func (b Budget) careful() Budget { return Budget{b.Writes - b.Writes/40, b.Per + b.Per/50} }

// refusedPause is how long writes stop after a 429 that does not say how long.
const refusedPause = 10 * time.Second

// maxWindows bounds the memory; an application of which nothing was written for the
// length of its budget needs none.
const maxWindows = 10_000

// Pace is a [rotator.Pacer] that keeps the writes of this process within what Graph
// documents: for each application that authenticates, and for each tenant. Bookings
// are served in the order in which they are made. The zero Pace is ready for use.
//
// Other processes and other programs draw on the same budgets, so that Graph may
// refuse a write all the same; then all of that application's stop for as long as
// Graph says.
type Pace struct {
	Application, Tenant Budget // zero: Graph's documented ones

	mu      sync.Mutex
	windows map[string]*window
}

var _ rotator.Pacer = (*Pace)(nil)

// window is a budget and what was booked of it.
type window struct {
	Budget
	booked  []time.Time // ascending; only those that still count
	blocked time.Time   // nothing before
	turned  time.Time   // when the last one that was turned away is to come back
}

// Reserve implements [rotator.Pacer].
func (p *Pace) Reserve(now time.Time, actor rotation.Application, most time.Duration) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	windows := p.of(now, actor)
	at := earliest(now, windows)
	if at.Sub(now) <= most {
		for _, w := range windows {
			w.book(at)
		}
		return at.Sub(now), true
	}
	return windows[0].turnAway(now, at), false
}

// Room implements [rotator.Pacer].
func (p *Pace) Room(now time.Time, actor rotation.Application, most time.Duration) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	windows := p.of(now, actor)
	at := earliest(now, windows)
	if at.Sub(now) <= most {
		return at.Sub(now), true
	}
	return windows[0].turnAway(now, at), false
}

// earliest is when the next write has room in every window, after what the first,
// the application's own, has booked.
func earliest(now time.Time, windows []*window) time.Time {
	at := now
	if own := windows[0].booked; len(own) > 0 && own[len(own)-1].After(at) {
		at = own[len(own)-1]
	}
	for _, w := range windows {
		if free := w.free(now); free.After(at) {
			at = free
		}
	}
	return at
}

// turnAway returns how long one for whom there is room at at is to wait before it
// asks again: they come back one after the other, so that they keep their order.
func (w *window) turnAway(now, at time.Time) time.Duration {
	if w.turned.After(at) {
		at = w.turned
	}
	w.turned = at.Add(w.Per / time.Duration(w.Writes))
	return at.Sub(now)
}

// Refused implements [rotator.Pacer].
func (p *Pace) Refused(now time.Time, actor rotation.Application, retryAfter time.Duration) {
	if retryAfter <= 0 {
		retryAfter = refusedPause
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.of(now, actor)[0]; w.blocked.Before(now.Add(retryAfter)) {
		w.blocked = now.Add(retryAfter)
	}
}

// of returns the windows of an application and of its tenant.
func (p *Pace) of(now time.Time, actor rotation.Application) []*window {
	tenant := strings.ToLower(actor.TenantID)
	return []*window{
		p.window(now, tenant+" "+strings.ToLower(actor.ClientID), p.Application, perApplication),
		p.window(now, tenant, p.Tenant, perTenant),
	}
}

func (p *Pace) window(now time.Time, key string, b, byDefault Budget) *window {
	if w, ok := p.windows[key]; ok {
		return w
	}
	if b == (Budget{}) {
		b = byDefault
	}
	if p.windows == nil {
		p.windows = make(map[string]*window)
	}
	if len(p.windows) >= maxWindows {
		for key, w := range p.windows {
			if w.idle(now) {
				delete(p.windows, key)
			}
		}
	}
	w := &window{Budget: b}
	p.windows[key] = w
	return w
}

// idle reports whether nothing in w counts any more.
func (w *window) idle(now time.Time) bool {
	n := len(w.booked)
	return (n == 0 || !w.booked[n-1].After(now.Add(-w.Per))) && !w.blocked.After(now) && !w.turned.After(now)
}

// free is when the next write has room. Later bookings count as if they were earlier:
// that is never too soon.
func (w *window) free(now time.Time) time.Time {
	at := now
	if n := len(w.booked); n >= w.Writes {
		if room := w.booked[n-w.Writes].Add(w.Per); room.After(at) {
			at = room
		}
	}
	if w.blocked.After(at) {
		at = w.blocked
	}
	return at
}

// book takes a write at a time that was free. Of a tenant's applications one may have
// to wait and another not, so that it need not be the last.
func (w *window) book(at time.Time) {
	i := len(w.booked)
	for i > 0 && w.booked[i-1].After(at) {
		i--
	}
	w.booked = slices.Insert(w.booked, i, at)
	// Only the last of them count from now on. In bulk, so that a booking costs the
	// same however many there were.
	if n := len(w.booked); n >= 2*w.Writes {
		w.booked = append(make([]time.Time, 0, 2*w.Writes), w.booked[n-w.Writes:]...)
	}
}
