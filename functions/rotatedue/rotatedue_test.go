package rotatedue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rekey/functions/rotatedue"
	"rekey/shared/host"
	"rekey/shared/rotator"
)

type sweeper func(context.Context) (rotator.Swept, error)

func (s sweeper) Sweep(ctx context.Context) (rotator.Swept, error) { return s(ctx) }
func (sweeper) Clock() time.Time                                   { return time.Unix(0, 0) }

// A tick reports what was done, to the host and to the log.
func TestTick(t *testing.T) {
	var log bytes.Buffer
	swept, err := rotatedue.Tick(t.Context(), sweeper(func(context.Context) (rotator.Swept, error) {
		return rotator.Swept{Due: 3, Passes: 2, Leased: 1}, nil
	}), nil, host.Timer{InvocationID: "i-1", IsPastDue: true}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || swept.Due != 3 {
		t.Errorf("Tick = %+v, %v", swept, err)
	}
	for _, words := range []string{"level=INFO", "invocation=i-1", "pastDue=true", "due=3", "passes=2", "leased=1", "outcome=ok"} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log does not say %s: %s", words, log.String())
		}
	}
}

// A sweep that could not look at the index is a failed tick.
func TestFailedTick(t *testing.T) {
	var log bytes.Buffer
	failure := errors.New("table down")
	_, err := rotatedue.Tick(t.Context(), sweeper(func(context.Context) (rotator.Swept, error) {
		return rotator.Swept{}, failure
	}), nil, host.Timer{}, slog.New(slog.NewTextHandler(&log, nil)))
	if !errors.Is(err, failure) || !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "outcome=failed") {
		t.Errorf("Tick = %v; log %s", err, log.String())
	}
}

// A tick goes on when the host hangs up: what it is in the middle of is not undone
// for want of a listener.
func TestTickOutlivesTheHost(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	var connection context.Context
	swept, during := false, error(nil)
	h := rotatedue.Handler(sweeper(func(ctx context.Context) (rotator.Swept, error) {
		hangUp()
		<-connection.Done()
		swept, during = true, ctx.Err()
		return rotator.Swept{}, nil
	}), nil, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection = r.Context()
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/"+rotatedue.Name, strings.NewReader(
		`{"Data":{"timer":{"Schedule":{},"ScheduleStatus":null,"IsPastDue":false}},`+
			`"Metadata":{"sys":{"MethodName":"rotatedue","UtcNow":"2026-07-01T12:00:00Z"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Azure-Functions-InvocationId", "5cd1f3a6-3a3e-4b6c-9b53-0c1f5b5d8f10")
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
	}
	server.Close() // waits for the handler
	if !swept {
		t.Fatal("there was no sweep")
	}
	if during != nil {
		t.Errorf("the sweep's context ended with the connection: %v", during)
	}
}
