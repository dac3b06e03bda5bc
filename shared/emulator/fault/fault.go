// Package fault lets the emulators misbehave on request.
//
// Every emulator asks its [Hook] before it carries out a call, naming the operation,
// such as "graph.addPassword". The hook answers nil for "behave", or an [Effect].
// The two effects that matter most come in a pair: failed and not applied, failed
// but applied. A caller cannot tell them apart by the answer, which is the point.
//
// Effects are what a test writes by hand. A [Schedule] makes them out of a [Plan]:
// rules that name a [Kind] of fault and when it happens, as data, so that a plan can
// also be sent to the emulators of another process. The same plan and the same order
// of calls give the same faults.
package fault

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Hook decides about one call. It may be called by many requests at once.
type Hook func(op string, r *http.Request) *Effect

// Effect is how a call misbehaves. The zero Effect applies nothing and drops the
// connection.
type Effect struct {
	Apply    bool          // carry the call out before failing
	Pass     bool          // after the delay behave as usual
	Status   int           // answer with this status; 0 drops the connection without an answer
	Code     string        // the service's error code, in the service's own envelope
	Text     string        // the error's message
	Header   http.Header   // added to the answer, such as Retry-After
	HTML     string        // answer with this page in place of the envelope, as things on the way do
	Delay    time.Duration // wait this long first, or until the caller has gone
	Hold     time.Duration // carry out and then wait this long, or until the caller has gone
	Truncate bool          // promise the whole answer, send half of its body and drop the connection
	Hint     Hint          // with Pass: something that only the service itself can do
}

// Hint asks a service for behaviour that is no failure, and that some callers take
// for one.
type Hint string

// The hints that the table emulator knows, about queries.
const (
	HintShortPage Hint = "short page" // one row, and a continuation token if there are more
	HintEmptyPage Hint = "empty page" // no row, and a continuation token if there are any
)

type hintKey struct{}

// HintOf returns the hint that came with the call's [Effect]; empty if there is none.
func HintOf(r *http.Request) Hint {
	hint, _ := r.Context().Value(hintKey{}).(Hint)
	return hint
}

// Subject is what a call is about, as far as its service can tell before it
// carries it out. Empty fields are not known.
type Subject struct {
	Tenant      string
	Application string // object id
}

type subjectKey struct{}

// About returns r with its subject, for hooks to see.
func About(r *http.Request, s Subject) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), subjectKey{}, s))
}

// SubjectOf returns what [About] said of r.
func SubjectOf(r *http.Request) Subject {
	s, _ := r.Context().Value(subjectKey{}).(Subject)
	return s
}

// Serve carries out one call under hook: next is the emulator's own behaviour and
// fail writes an error in its service's envelope.
func Serve(hook Hook, op string, w http.ResponseWriter, r *http.Request, next http.HandlerFunc,
	fail func(w http.ResponseWriter, status int, code, message string)) {
	var e *Effect
	if hook != nil {
		e = hook(op, r)
	}
	if e == nil {
		next(w, r)
		return
	}
	if e.Delay > 0 || e.Hold > 0 {
		r = r.WithContext(r.Context())
		r.Body = readAhead(r.Body)
	}
	wait(r, e.Delay)
	if e.Hint != "" {
		r = r.WithContext(context.WithValue(r.Context(), hintKey{}, e.Hint))
	}
	var answer *httptest.ResponseRecorder
	if e.Pass || e.Apply {
		answer = record(w, func(w http.ResponseWriter) { next(w, r) })
	}
	wait(r, e.Hold)
	if (e.Delay > 0 || e.Hold > 0) && r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // a caller that has gone, and has not closed its connection yet, must not get the answer
	}
	if !e.Pass {
		answer = record(w, func(w http.ResponseWriter) { e.refuse(w, fail) })
	}
	e.send(w, answer)
}

// maxAhead bounds what is read of a body before a wait; the largest that a service
// takes is the table service's 4 MiB.
const maxAhead = 5 << 20

// readAhead reads a body before a wait, because a server notices that its caller has
// gone only once it has read the whole request.
func readAhead(body io.ReadCloser) io.ReadCloser {
	data, err := io.ReadAll(io.LimitReader(body, maxAhead))
	rest := io.Reader(bytes.NewReader(data))
	if err != nil {
		rest = io.MultiReader(rest, failing{err})
	}
	return io.NopCloser(rest)
}

// failing is a body that broke off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// wait waits for d or until the caller has gone.
func wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

// record keeps what write answers, on top of the headers that w has already.
func record(w http.ResponseWriter, write func(http.ResponseWriter)) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	maps.Copy(answer.Header(), w.Header().Clone())
	write(answer)
	return answer
}

// refuse answers with the effect's failure.
func (e *Effect) refuse(w http.ResponseWriter, fail func(http.ResponseWriter, int, string, string)) {
	if e.Status == 0 {
		drop()
	}
	if e.HTML == "" {
		fail(w, e.Status, e.Code, e.Text)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(e.Status)
	io.WriteString(w, e.HTML)
}

// send passes a recorded answer on, or as much of it as the effect lets through.
func (e *Effect) send(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	clear(w.Header())
	maps.Copy(w.Header(), answer.Header())
	maps.Copy(w.Header(), e.Header)
	body := answer.Body.Bytes()
	if !e.Truncate {
		w.WriteHeader(answer.Code)
		w.Write(body)
		return
	}
	if len(body) == 0 {
		drop() // there is nothing to cut: the answer is lost as a whole
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.Code)
	w.Write(body[:len(body)/2])
	http.NewResponseController(w).Flush() // else the half would wait for the rest, in vain
	drop()
}

// drop makes the server close the connection, and log nothing.
func drop() { panic(http.ErrAbortHandler) }
