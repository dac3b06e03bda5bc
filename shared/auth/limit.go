package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are how many requests a minute are answered. After a quiet minute that
// many may come at once; from then on they are let through evenly. A limit that is
// 0 has its default.
type Limits struct {
	Reads   int // of one caller, GET and HEAD; default 600
	Writes  int // of one caller, everything else; default 120
	Unknown int // to the API by unknown callers, all together; default 300
	// Pages are of visitors of the OAuth pages who bring no flow that is known, all
	// together; default 300. They are apart from Unknown, so that a flood of the pages
	// does not silence the API's answers to callers with a wrong key, nor the reverse.
	Pages int
	Flow  int // to the OAuth pages with one flow that is known; default 60
}

// maxCallers bounds the memory: a caller takes about 300 bytes.
const maxCallers = 10_000

// Limiter slows down callers who ask too often, each by their own count, so that
// one of them cannot take the others' share of the process, the tenant's quota at
// Graph or the vault's. It counts for one process: with n instances a caller may
// get n times as much. It is safe for concurrent use.
type Limiter struct {
	limits Limits

	mu      sync.Mutex
	callers map[share]*entry
	unknown *rate.Limiter
	pages   *rate.Limiter
	flows   map[string]*entry
	swept   time.Time
}

// share is what is counted on its own. When there are too many, the rest counts as
// the one without a name.
type share struct {
	caller string
	write  bool
}

type entry struct {
	bucket *rate.Limiter
	used   time.Time
}

// NewLimiter returns a Limiter without a count.
func NewLimiter(l Limits) *Limiter {
	l.Reads, l.Writes, l.Unknown = orDefault(l.Reads, 600), orDefault(l.Writes, 120), orDefault(l.Unknown, 300)
	l.Pages, l.Flow = orDefault(l.Pages, 300), orDefault(l.Flow, 60)
	return &Limiter{
		limits: l, callers: make(map[share]*entry), unknown: bucket(l.Unknown), pages: bucket(l.Pages), flows: make(map[string]*entry),
	}
}

func orDefault(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return n
}

func bucket(perMinute int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute)
}

// Allow counts a request of a known caller, by its [Caller.Name], and reports
// whether it is to be answered. If not, it counts for nothing, and retryAfter is
// how long the caller has to wait for the next.
func (l *Limiter) Allow(caller string, write bool, now time.Time) (retryAfter time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	e := l.entry(share{caller, write})
	e.used = now
	return take(e.bucket, now)
}

// AllowUnknown counts a request that was refused because its sender is not known.
// It is to be asked after [Authenticator.Authenticate] has failed, so that those
// who guess never use up what known callers need; what it saves is the work and
// the log lines that come with refusing.
func (l *Limiter) AllowUnknown(now time.Time) (retryAfter time.Duration, ok bool) {
	return take(l.unknown, now)
}

// take takes one from b. Its arithmetic is floating, so that less than a
// millisecond counts as no time: who waits as long as told is let through.
func take(b *rate.Limiter, now time.Time) (retryAfter time.Duration, ok bool) {
	r := b.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait < time.Millisecond {
		return 0, true
	}
	r.CancelAt(now)
	return (wait + time.Millisecond - 1).Truncate(time.Millisecond), false
}

func (l *Limiter) entry(s share) *entry {
	if e, ok := l.callers[s]; ok {
		return e
	}
	if len(l.callers) >= maxCallers {
		s.caller = ""
		if e, ok := l.callers[s]; ok {
			return e
		}
	}
	limit := l.limits.Reads
	if s.write {
		limit = l.limits.Writes
	}
	e := &entry{bucket: bucket(limit)}
	l.callers[s] = e
	return e
}

// sweep forgets, once a minute, who has not asked for a minute: their count is what
// it would be for a new caller.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	l.forgetFlows(now)
	for s, e := range l.callers {
		if now.Sub(e.used) >= time.Minute {
			delete(l.callers, s)
		}
	}
}
