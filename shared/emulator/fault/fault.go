// Package fault lets the emulators misbehave on request.
//
// Every emulator asks its Hook before it carries out a call, naming the operation,
// such as "graph.addPassword". The hook answers nil for "behave", or an [Effect].
// The two effects that matter most come in a pair: failed and not applied, failed
// but applied. Nobody can tell them apart from the answer, which is the point.
package fault

import (
	"net/http"
	"net/http/httptest"
	"time"
)

// Hook decides about one call. It may be called by many requests at once.
type Hook func(op string, r *http.Request) *Effect

// Effect is how a call misbehaves. The zero Effect applies nothing and drops the
// connection.
type Effect struct {
	Apply  bool          // carry the call out before failing
	Pass   bool          // after the delay behave as usual
	Status int           // answer with this status; 0 drops the connection without an answer
	Code   string        // the service's error code, in the service's own envelope
	Text   string        // the error's message
	Header http.Header   // added to the answer, such as Retry-After
	Delay  time.Duration // wait this long first, or until the caller has gone
}

// Serve carries out one call under hook: next is the emulator's own behaviour and
// fail writes an error in its service's envelope.
func Serve(hook Hook, op string, w http.ResponseWriter, r *http.Request, next http.HandlerFunc, fail func(w http.ResponseWriter, status int, code, message string)) {
	var e *Effect
	if hook != nil {
		e = hook(op, r)
	}
	if e == nil {
		next(w, r)
		return
	}
	if e.Delay > 0 {
		t := time.NewTimer(e.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
		}
	}
	if e.Pass {
		next(w, r)
		return
	}
	if e.Apply {
		next(httptest.NewRecorder(), r)
	}
	if e.Status == 0 {
		panic(http.ErrAbortHandler) // the server closes the connection and logs nothing
	}
	for k, v := range e.Header {
		w.Header()[k] = v
	}
	fail(w, e.Status, e.Code, e.Text)
}
