package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/freeport"
	"rekey/shared/emulator/stack"
	"rekey/shared/telemetry/telemetrytest"
)

// What was gathered is sent when the process is told to end; and a tick of the timer is
// in the trace of the host's invocation, which names it in a header.
func TestSentAtTheEnd(t *testing.T) {
	services, err := stack.Start(stack.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Stop() })
	port := freeport.ForTest(t)
	receiver := telemetrytest.New(t)
	for _, e := range append(services.Env(), "FUNCTIONS_CUSTOMHANDLER_PORT="+port, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL) {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, slog.New(slog.DiscardHandler)) }()

	tick := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:"+port+"/rotatedue",
			strings.NewReader(`{"Data":{"timer":{}},"Metadata":{}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Azure-Functions-InvocationId", "0b1e7e57-0000-4000-8000-00000000000a")
		r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
		return http.DefaultClient.Do(r)
	}
	resp, err := tick()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for err != nil { // until it listens
		select {
		case <-again.C:
			resp, err = tick()
		case err := <-ended:
			t.Fatalf("it ended before it listened: %v", err)
		}
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	spans := receiver.Spans()
	if len(spans) < 17 { // the tick, and a look into each shard
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		if s.Trace != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is in trace %s, not the host's", s.Name, s.Trace)
		}
	}
	if s := spans[0]; s.Name != "POST /rotatedue" || s.Parent != "b7ad6b7169203331" || s.Attrs["faas.trigger"] != "timer" ||
		s.Attrs["faas.invocation_id"] == "" {
		t.Errorf("the first is %+v", s)
	}
}
