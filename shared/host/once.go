package host

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"sync"
	"time"
)

// Once carries a write out once, however often the host sends it.
//
// In its proxying mode the host sends a request up to ten times when its
// connection to the handler fails, without asking whether the first one was
// received (RetryProxyHandler in the host's sources). In the forwarding mode .NET's
// client does that by itself, up to three times, with what has no body. All of them have
// the invocation id that the host made up for the call. Once keeps the answers of
// recent writes by that id, and gives a repetition the answer of the first;
// while the first is still running the repetition waits for it.
//
// It is for the Functions host only: where the id is not set by the host but by
// the client, as on Lambda, it must not be used. It remembers within one process;
// a repetition that reaches a restarted handler is a new request, which the
// record's compare-and-swap has to withstand.
//
// The zero Once is ready for use, by many requests at once. A Once must not be
// copied after that.
type Once struct {
	Now     func() time.Time // nil: time.Now
	MaxAge  time.Duration    // an answer is kept that long after it was given; 0: 10 minutes
	Entries int              // answers kept at most, the newest ones; 0: 1000
	Bytes   int              // the same for their bodies' total size; 0: 16 MiB

	mu      sync.Mutex
	entries map[onceKey]*onceEntry
	done    list.List // of *onceEntry, those with an answer, oldest first
	bytes   int       // of the bodies in done
}

type onceKey [sha256.Size]byte

type onceEntry struct {
	key      onceKey
	finished chan struct{} // closed when the fields below are set for good
	at       time.Time
	answer   recorder
}

// Do answers r, a request of the authenticated caller with that body, by calling
// next at most once for all repetitions of r: same invocation id, caller,
// method, host, path, query and body. Reads (GET, HEAD, OPTIONS) and requests
// without a trustworthy id (see [InvocationID]) are simply passed to next.
//
// What next writes is kept in memory and sent when it returns. It must not give
// up when the context of r ends: that is what happens when the host is about to
// repeat the request. If next panics the answer to every repetition is 500,
// since it is not known how far it got; the panic goes on.
func (o *Once) Do(w http.ResponseWriter, r *http.Request, caller string, body []byte, next func(w http.ResponseWriter)) {
	id, ok := InvocationID(r)
	if !ok || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		next(w)
		return
	}
	entry, first := o.enter(keyOf(id, caller, r.Method, r.Host, r.URL.RequestURI(), string(body)))
	if !first {
		select {
		case <-entry.finished:
			entry.answer.replay(w)
		case <-r.Context().Done(): // this one is given up too
		}
		return
	}
	o.lead(entry, next)
	entry.answer.replay(w)
}

// lead runs next and finishes entry whatever happens.
func (o *Once) lead(entry *onceEntry, next func(w http.ResponseWriter)) {
	returned := false
	defer func() {
		if !returned {
			entry.answer = recorder{status: http.StatusInternalServerError}
		}
		o.finish(entry)
	}()
	next(&entry.answer)
	returned = true
}

// enter returns the entry for key, and whether the caller is the one to fill it.
func (o *Once) enter(key onceKey) (entry *onceEntry, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.evict()
	if entry, ok := o.entries[key]; ok {
		return entry, false
	}
	entry = &onceEntry{key: key, finished: make(chan struct{})}
	if o.entries == nil {
		o.entries = make(map[onceKey]*onceEntry)
	}
	o.entries[key] = entry
	return entry, true
}

func (o *Once) finish(entry *onceEntry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	entry.at = o.now()
	close(entry.finished)
	o.done.PushBack(entry)
	o.bytes += entry.answer.body.Len()
	o.evict()
}

// evict forgets what is too old or too much. What is still running is never
// forgotten, since that would let a repetition through; there are only as many
// of those as the host runs requests at once.
func (o *Once) evict() {
	maxAge, entries, size := o.limits()
	for e := o.done.Front(); e != nil; e = o.done.Front() {
		entry := e.Value.(*onceEntry)
		if o.now().Sub(entry.at) < maxAge && o.done.Len() <= entries && o.bytes <= size {
			return
		}
		o.done.Remove(e)
		delete(o.entries, entry.key)
		o.bytes -= entry.answer.body.Len()
	}
}

func (o *Once) limits() (maxAge time.Duration, entries, size int) {
	maxAge, entries, size = o.MaxAge, o.Entries, o.Bytes
	if maxAge == 0 {
		maxAge = 10 * time.Minute
	}
	if entries == 0 {
		entries = 1000
	}
	if size == 0 {
		size = 16 << 20
	}
	return maxAge, entries, size
}

func (o *Once) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// keyOf hashes parts with their lengths, so that no two lists of parts give the
// same bytes, and so that no body is kept.
func keyOf(parts ...string) onceKey {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return onceKey(h.Sum(nil))
}

// recorder keeps an answer. Once recorded it is only read.
type recorder struct {
	header http.Header
	sent   http.Header // header as it was when the status was written
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = make(http.Header)
	}
	return r.header
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 { // 1xx is no answer yet
		r.status = status
		r.sent = r.header.Clone()
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// replay writes the answer to w.
func (r *recorder) replay(w http.ResponseWriter) {
	header := r.sent
	if r.status == 0 { // nothing was written: net/http sends 200 then
		header = r.header
	}
	for name, values := range header {
		w.Header()[name] = append([]string(nil), values...)
	}
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
	_, _ = w.Write(r.body.Bytes()) // the client has gone; the answer is kept for its repetition
}
