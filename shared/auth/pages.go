package auth

import (
	"sync"
	"time"
)

// The OAuth pages are open to all visitors. A person who really signs in brings the state
// of a flow, but only the table can tell a real state from a made-up one, and the table is
// what has to be spared. So this process remembers the flows that it has begun or found:
// each of them has a count of its own, which no flood uses up. A visitor whose flow was
// begun in another process shares the count of all unknown visitors once, and from then
// on their flow is known here too.
//
// A state that is sealed with a key could be checked by every process, without the table.
// That key would be one more secret to share, keep and replace, for what is lost here: some
// seconds of one person's time, while there is a flood, in a deployment of several
// instances.

// flowLife is for how long a flow is known after its last request: as long as its row is
// kept, ten minutes and an hour.
const flowLife = 70 * time.Minute

// maxFlows bounds the memory. A flow that there is no room for is unknown.
const maxFlows = 10_000

// KnowFlow remembers the id of a flow that exists.
func (l *Limiter) KnowFlow(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.flows[id]; ok {
		return
	}
	if len(l.flows) >= maxFlows {
		l.forgetFlows(now)
	}
	if len(l.flows) < maxFlows {
		l.flows[id] = &entry{bucket: bucket(l.limits.Flow), used: now}
	}
}

// AllowPage counts a request to the OAuth pages and reports whether it is to be answered.
// id is of the flow that the visitor claims to be in, and may be empty.
func (l *Limiter) AllowPage(id string, now time.Time) (retryAfter time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, known := l.flows[id]
	if !known {
		return take(l.pages, now)
	}
	e.used = now
	return take(e.bucket, now)
}

// forgetFlows removes the flows whose rows are gone by now.
func (l *Limiter) forgetFlows(now time.Time) {
	for id, e := range l.flows {
		if now.Sub(e.used) >= flowLife {
			delete(l.flows, id)
		}
	}
}

// Refusals counts requests that are refused without a line in the log for each. It is
// safe for concurrent use.
type Refusals struct {
	mu    sync.Mutex
	count int
	told  time.Time
}

// Add counts one. At most once a minute it returns how many there were since it last did,
// for one line in the log; otherwise it returns 0.
func (r *Refusals) Add(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if !r.told.IsZero() && now.Sub(r.told) < time.Minute {
		return 0
	}
	n := r.count
	r.count, r.told = 0, now
	return n
}
