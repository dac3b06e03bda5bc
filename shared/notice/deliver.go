package notice

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// How notices are tried again. The standard recommends several days, an exponential
// backoff and jitter.
const (
	shortest = time.Minute
	longest  = time.Hour
	keep     = 3 * 24 * time.Hour // from the event on
)

const (
	// most is how many notices a round looks at. Rekey tells one per change of
	// state, so that this is thousands of connections in trouble at once.
	most = 10_000
	// atOnce is how many requests are under way at the same time.
	atOnce = 8
	// deaf is after how many failures in a row, without an answer or with one that
	// says that the receiver is down, a round leaves it alone.
	deaf = 5
	// claim is how long a deliverer keeps others off a notice that it is sending. It
	// is far above what sending takes, so that only death lets it end.
	claim = time.Minute
	// storeTimeout is what one write to the table gets.
	storeTimeout = 5 * time.Second
)

// Deliverer sends notices to the one webhook of a deployment. Any number of them may
// be at work at once; its methods may be called at the same time.
type Deliverer struct {
	Store Store
	// URL is where notices are posted. Its path and query may be a secret.
	URL        secret.Value
	Keyring    Keyring
	Deployment string
	// Client sends the requests; only its Transport is used. nil: net/http's own.
	Client *http.Client
	// Timeout is what a request gets, with its answer; 0: 10 s.
	Timeout time.Duration
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: slog.Default

	mu    sync.Mutex
	quiet time.Time // until when the receiver asked to be left alone
}

// Round is what one round did.
type Round struct {
	Pending   int // notices that were there
	Delivered int
	Failed    int // not taken; they will be sent again
	GivenUp   int // not taken for three days
}

func (d *Deliverer) now() time.Time { return clock(d.Now) }

func (d *Deliverer) timeout() time.Duration {
	if d.Timeout == 0 {
		return 10 * time.Second
	}
	return d.Timeout
}

func (d *Deliverer) log() *slog.Logger {
	if d.Log == nil {
		return slog.Default()
	}
	return d.Log
}

// Deliver sends what may be sent now: for each connection in order, until one is not
// taken. Each attempt is one line of the log. It starts no attempt that would not end
// before ctx's deadline, and leaves what is then left to the next round; if ctx ends
// early, what is under way is sent again later.
//
// A receiver that is down is not asked for every notice: after some failures in a row
// the round ends. One that asks for a pause (Retry-After, with a status that says that
// it is down) is left alone by this process for so long, at most an hour, and one that
// answers 410 Gone for an hour: its address is an operator's to correct, and until then
// nothing is lost.
//
// The error is of the store or the keyring, and safe to print; a receiver that takes
// nothing is none. A nil Deliverer delivers nothing.
func (d *Deliverer) Deliver(ctx context.Context) (Round, error) {
	if d == nil || d.now().Before(d.quietUntil()) {
		return Round{}, nil
	}
	cctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	all, failed := d.Store.Undelivered(cctx, most)
	cancel()
	if failed != nil {
		failed = fmt.Errorf("looking for undelivered notices: %w", failed)
	}
	r := &round{d: d, did: Round{Pending: len(all)}}
	now := d.now()
	var ready [][]Notice
	for _, q := range queues(all) {
		if !q[0].Until.After(now) {
			ready = append(ready, q)
		}
	}
	if len(ready) == 0 {
		return r.did, failed // the vault is asked only if there is something to sign
	}
	var err error
	if r.keys, err = d.Keyring.Keys(ctx); err != nil {
		return r.did, errors.Join(failed, err)
	}
	r.run(ctx, ready)
	return r.did, errors.Join(failed, errors.Join(r.errs...))
}

func (d *Deliverer) quietUntil() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.quiet
}

func (d *Deliverer) silence(until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until.After(d.quiet) {
		d.quiet = until
	}
}

// round is one round under way.
type round struct {
	d    *Deliverer
	keys Keys

	mu    sync.Mutex
	did   Round
	errs  []error
	down  int  // failures of the receiver in a row
	ended bool // leave the rest to the next round
}

// run works off the queues, several at once.
func (r *round) run(ctx context.Context, ready [][]Notice) {
	next := make(chan []Notice)
	var all sync.WaitGroup
	for range min(atOnce, len(ready)) {
		all.Go(func() {
			for q := range next {
				for _, n := range q {
					if !r.open(ctx) || n.Until.After(r.d.now()) || !r.attempt(ctx, n) {
						break
					}
				}
			}
		})
	}
	for _, q := range ready {
		next <- q
	}
	close(next)
	all.Wait()
}

// open reports whether another attempt may be started.
func (r *round) open(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	if end, ok := ctx.Deadline(); ok && end.Sub(r.d.now()) < r.d.timeout()+2*storeTimeout {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.ended
}

// attempt sends n once, and reports whether the next notice of its connection may
// follow.
func (r *round) attempt(ctx context.Context, n Notice) bool {
	start := r.d.now()
	// Claimed first: another deliverer that has read the same row stays off it, unless
	// we die, which the end of the claim shows.
	n, err := r.postpone(ctx, n, start.Add(claim), n.Tries)
	if err != nil {
		r.trouble(err)
		return false
	}
	o, err := r.d.send(ctx, r.keys, n)
	if err != nil {
		r.trouble(err)
		return false
	}
	log := r.d.log().With("connection", n.Connection, "event", n.ID, "kind", n.Kind, "try", n.Tries+1,
		"status", o.status, "duration", r.d.now().Sub(start))
	if !o.taken() {
		r.failed(ctx, log, n, o)
		return false
	}
	r.mu.Lock()
	r.did.Delivered++
	r.down = 0
	r.mu.Unlock()
	log.Info("notice", "outcome", "delivered")
	// If we die here, or this fails, it is sent once more with the same id, and the
	// later ones of its connection wait for that.
	if err := r.done(ctx, n); err != nil {
		r.trouble(err)
		return false
	}
	return true
}

// failed puts a notice off that was not taken, or gives it up.
func (r *round) failed(ctx context.Context, log *slog.Logger, n Notice, o outcome) {
	now := r.d.now()
	r.mu.Lock()
	if o.down() {
		r.down++
	} else {
		r.down = 0
	}
	pause := o.pause()
	r.ended = r.ended || r.down >= deaf || pause > 0
	r.mu.Unlock()
	if pause > 0 {
		r.d.silence(now.Add(min(pause, longest)))
	}
	if o.reason != "" {
		log = log.With("reason", o.reason)
	}
	if o.status == http.StatusGone {
		log = log.With("advice", "The receiver says that it is gone for good: correct REKEY_WEBHOOK_URL, or leave it out.")
	}
	if now.Sub(n.At) >= keep {
		log.Error("notice", "outcome", "given up",
			"advice", "The receiver has not taken this notice for three days. Look at the connection's history, and at REKEY_WEBHOOK_URL.")
		r.count(func(did *Round) { did.GivenUp++ })
		r.trouble(r.done(ctx, n))
		return
	}
	until := now.Add(max(backoff(n.ID, n.Tries+1), o.retryAfter))
	log.Warn("notice", "outcome", "failed", "again", until.UTC())
	r.count(func(did *Round) { did.Failed++ })
	_, err := r.postpone(ctx, n, until, n.Tries+1)
	r.trouble(err)
}

func (r *round) count(add func(*Round)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.did)
}

// trouble notes a failure of ours; that another deliverer has the notice is none.
func (r *round) trouble(err error) {
	if err == nil || errors.Is(err, serviceerror.ErrConflict) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) < 3 { // of thousands that say the same, a few will do
		r.errs = append(r.errs, err)
	}
}

// The writes go on when ctx ends: what was sent is sent.

func (r *round) postpone(ctx context.Context, n Notice, until time.Time, tries int) (Notice, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return r.d.Store.Postpone(ctx, n, until, tries)
}

func (r *round) done(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return r.d.Store.Delivered(ctx, n)
}

// backoff is how long to wait after the count-th failure of a notice: from 1 min
// doubling to 1 h, spread by up to a fifth, so that those that failed together do not
// return together.
func backoff(id string, count int) time.Duration {
	d := min(shortest<<min(max(count-1, 0), 10), longest)
	h := fnv.New32a()
	h.Write([]byte(id))
	h.Write([]byte{byte(count)})
	return d + time.Duration(int64(d)*int64(h.Sum32()%1000)/5000)
}
