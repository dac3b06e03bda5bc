package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/shared/telemetry"
	"rekey/shared/telemetry/telemetrytest"
)

// invoke is an invocation with a span.
func invoke(t *testing.T, tel *telemetry.Telemetry) {
	t.Helper()
	_, end := tel.Invocation(t.Context(), telemetry.Timer, "tick", "id")
	end(nil)
}

// A receiver that refuses, or does not exist, is told of once a minute, whatever it
// says, and does not keep invocations waiting; what comes after it is back arrives.
func TestReceiverDown(t *testing.T) {
	r := telemetrytest.New(t)
	tel, out, clock := exporting(t, r)
	r.Refuse(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "canary", http.StatusUnauthorized)
		return true
	})
	for range 5 {
		invoke(t, tel)
		tel.Flush(t.Context())
	}
	if n := r.Requests(); n == 0 || n > 2 { // one of each signal
		t.Errorf("%d exports were tried within a minute", n)
	}
	if got := out.String(); strings.Count(got, "telemetry not exported") != 1 || !strings.Contains(got, "refused by the receiver") ||
		strings.Contains(got, "canary") || strings.Contains(got, r.URL) {
		t.Errorf("log: %s", got)
	}
	clock.ahead.Add(int64(61 * time.Second))
	tel.Flush(t.Context())
	if got := strings.Count(out.String(), "telemetry not exported"); got != 2 {
		t.Errorf("told %d times in two minutes", got)
	}
	r.Refuse(nil)
	clock.ahead.Add(int64(61 * time.Second))
	invoke(t, tel)
	tel.Flush(t.Context())
	if len(r.Spans()) == 0 {
		t.Error("nothing arrives after the receiver is back")
	}
}

// Nothing listens there.
func TestReceiverMissing(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	tel, out, _ := exporting(t, &telemetrytest.Receiver{URL: gone.URL})
	invoke(t, tel)
	tel.Flush(t.Context())
	if got := out.String(); !strings.Contains(got, "unreachable") || strings.Contains(got, gone.URL[7:]) {
		t.Errorf("log: %s", got)
	}
}

// A receiver that never answers is given up on by one invocation, and those of the next
// minute don't ask it.
func TestReceiverHangs(t *testing.T) {
	r := telemetrytest.New(t)
	tel, out, _ := exporting(t, r)
	release := make(chan struct{})
	defer close(release)
	r.Refuse(func(http.ResponseWriter, *http.Request) bool {
		<-release
		return true
	})
	invoke(t, tel)
	tel.Flush(t.Context()) // returns: it waits for two seconds, not for the answer
	asked := r.Requests()
	if asked == 0 {
		t.Error("it was not asked")
	}
	for range 100 {
		invoke(t, tel)
		tel.Flush(t.Context())
	}
	if n := r.Requests() - asked; n != 0 {
		t.Errorf("a hundred more asked it %d times", n)
	}
	if got := out.String(); strings.Count(got, "telemetry not exported") != 1 || !strings.Contains(got, "timeout") {
		t.Errorf("log: %s", got)
	}
}

// The last word is sent, also when exports failed a moment ago.
func TestShutdown(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	r.Refuse(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadRequest)
		return true
	})
	invoke(t, tel)
	tel.Flush(t.Context())
	r.Refuse(nil)
	invoke(t, tel)
	tel.Shutdown(t.Context())
	if n := len(r.Spans()); n != 1 {
		t.Errorf("%d spans arrived, want the one that was not refused", n)
	}
}
