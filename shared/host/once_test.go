package host_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/host"
)

func write(t *testing.T, id string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://127.0.0.1:1/api/v1/app-connections/c1/rotate-credentials?x=1", nil)
	r.Header.Set("X-Azure-Functions-InvocationId", id)
	return r
}

// do sends one request through o and returns the answer. next counts its calls
// in n and answers with the count.
func do(o *host.Once, n *atomic.Int32, r *http.Request, caller, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	o.Do(w, r, caller, []byte(body), func(w http.ResponseWriter) {
		w.Header().Set("X-Count", fmt.Sprint(n.Add(1)))
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "call %d", n.Load())
	})
	return w
}

func TestOnceRepeatsTheAnswer(t *testing.T) {
	var o host.Once
	var n atomic.Int32
	for range 3 {
		w := do(&o, &n, write(t, invocationID), "alice", "{}")
		if w.Code != http.StatusAccepted || w.Body.String() != "call 1" || w.Header().Get("X-Count") != "1" {
			t.Errorf("answer = %d %q %v", w.Code, w.Body, w.Header())
		}
	}
}

func TestOnceTellsRequestsApart(t *testing.T) {
	for _, tc := range []struct {
		name         string
		change       func(*http.Request)
		caller, body string
	}{
		{"invocation", func(r *http.Request) {
			r.Header.Set("X-Azure-Functions-InvocationId", strings.Replace(invocationID, "7", "8", 1))
		}, "alice", "{}"},
		{"caller", nil, "bob", "{}"},
		{"body", nil, "alice", "{ }"},
		{"where caller ends and body begins", nil, "alice{", "}"},
		{"method", func(r *http.Request) { r.Method = http.MethodDelete }, "alice", "{}"},
		{"path", func(r *http.Request) { r.URL.Path += "/2" }, "alice", "{}"},
		{"query", func(r *http.Request) { r.URL.RawQuery = "x=2" }, "alice", "{}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o host.Once
			var n atomic.Int32
			do(&o, &n, write(t, invocationID), "alice", "{}")
			r := write(t, invocationID)
			if tc.change != nil {
				tc.change(r)
			}
			if w := do(&o, &n, r, tc.caller, tc.body); w.Body.String() != "call 2" {
				t.Errorf("it got the answer of another request: %q", w.Body)
			}
		})
	}
}

func TestOnceIsNotApplied(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }},
		{"HEAD", func(r *http.Request) { r.Method = http.MethodHead }},
		{"no id", func(r *http.Request) { r.Header.Del("X-Azure-Functions-InvocationId") }},
		{"a client's id alone behind the host's", func(r *http.Request) {
			r.Header.Set("X-Azure-Functions-InvocationId", invocationID+", 42")
		}},
		{"id that is no GUID", func(r *http.Request) { r.Header.Set("X-Azure-Functions-InvocationId", "42") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o host.Once
			var n atomic.Int32
			for range 2 {
				r := write(t, invocationID)
				tc.change(r)
				do(&o, &n, r, "alice", "{}")
			}
			if n.Load() != 2 {
				t.Errorf("called %d times, want 2", n.Load())
			}
		})
	}
}

func TestOnceDuplicatesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o host.Once
		release := make(chan struct{})
		answers := make(chan string, 3)
		send := func(ctx context.Context, next func(w http.ResponseWriter)) {
			w := httptest.NewRecorder()
			o.Do(w, write(t, invocationID).WithContext(ctx), "alice", nil, next)
			answers <- w.Body.String()
		}
		go send(t.Context(), func(w http.ResponseWriter) {
			<-release
			fmt.Fprint(w, "first")
		})
		synctest.Wait()

		twice := func(http.ResponseWriter) { t.Error("applied twice") }
		impatient, cancel := context.WithCancel(t.Context())
		go send(t.Context(), twice)
		go send(impatient, twice)
		synctest.Wait()
		if len(answers) != 0 {
			t.Fatalf("answered before the first was done: %q", <-answers)
		}
		cancel()
		synctest.Wait()
		if got := <-answers; got != "" {
			t.Errorf("the one that gave up got %q", got)
		}
		close(release)
		for range 2 {
			if got := <-answers; got != "first" {
				t.Errorf("answer = %q, want that of the first", got)
			}
		}
	})
}

func TestOncePanicIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o host.Once
		release := make(chan struct{})
		panicked := make(chan any)
		go func() {
			defer func() { panicked <- recover() }()
			o.Do(httptest.NewRecorder(), write(t, invocationID), "alice", nil, func(w http.ResponseWriter) {
				fmt.Fprint(w, "half an answer")
				<-release
				panic(http.ErrAbortHandler)
			})
		}()
		synctest.Wait()
		waiting := make(chan *httptest.ResponseRecorder)
		repeat := func() {
			w := httptest.NewRecorder()
			o.Do(w, write(t, invocationID), "alice", nil, func(http.ResponseWriter) { t.Error("applied twice") })
			waiting <- w
		}
		go repeat()
		synctest.Wait()
		close(release)
		if p := <-panicked; p != http.ErrAbortHandler {
			t.Errorf("panic = %v", p)
		}
		check := func(w *httptest.ResponseRecorder) {
			if w.Code != http.StatusInternalServerError || w.Body.Len() > 0 {
				t.Errorf("answer = %d %q, want an empty 500", w.Code, w.Body)
			}
		}
		check(<-waiting)
		go repeat()
		check(<-waiting)
	})
}

func TestOnceForgets(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("%08d", i) + invocationID[8:] }

	t.Run("by age", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var o host.Once
			var n atomic.Int32
			do(&o, &n, write(t, id(1)), "alice", "")
			time.Sleep(10*time.Minute - 1)
			if w := do(&o, &n, write(t, id(1)), "alice", ""); w.Body.String() != "call 1" {
				t.Errorf("forgotten early: %q", w.Body)
			}
			time.Sleep(time.Nanosecond)
			if w := do(&o, &n, write(t, id(1)), "alice", ""); w.Body.String() != "call 2" {
				t.Errorf("still known after ten minutes: %q", w.Body)
			}
		})
	})
	t.Run("by count", func(t *testing.T) {
		o := host.Once{Entries: 2}
		var n atomic.Int32
		for i := range 3 {
			do(&o, &n, write(t, id(i)), "alice", "")
		}
		if w := do(&o, &n, write(t, id(2)), "alice", ""); w.Body.String() != "call 3" {
			t.Errorf("the newest was forgotten: %q", w.Body)
		}
		if w := do(&o, &n, write(t, id(0)), "alice", ""); w.Body.String() != "call 4" {
			t.Errorf("the oldest was kept: %q", w.Body)
		}
	})
	t.Run("by size", func(t *testing.T) {
		o := host.Once{Bytes: len("call 1")}
		var n atomic.Int32
		do(&o, &n, write(t, id(1)), "alice", "")
		do(&o, &n, write(t, id(2)), "alice", "")
		if w := do(&o, &n, write(t, id(2)), "alice", ""); w.Body.String() != "call 2" {
			t.Errorf("the newest was forgotten: %q", w.Body)
		}
		if w := do(&o, &n, write(t, id(1)), "alice", ""); w.Body.String() != "call 3" {
			t.Errorf("the oldest was kept: %q", w.Body)
		}
	})
	t.Run("not what is running", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := host.Once{Entries: 1}
			var n atomic.Int32
			release := make(chan struct{})
			go o.Do(httptest.NewRecorder(), write(t, id(0)), "alice", nil, func(http.ResponseWriter) { <-release })
			synctest.Wait()
			time.Sleep(time.Hour)
			for i := range 3 {
				do(&o, &n, write(t, id(i+1)), "alice", "")
			}
			answered := make(chan int, 1)
			go func() {
				w := httptest.NewRecorder()
				o.Do(w, write(t, id(0)), "alice", nil, func(http.ResponseWriter) { t.Error("applied twice") })
				answered <- w.Code
			}()
			synctest.Wait()
			close(release)
			if code := <-answered; code != http.StatusOK {
				t.Errorf("status = %d", code)
			}
		})
	})
}
