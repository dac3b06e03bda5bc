package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"rekey/shared/emulator/stack"
	"rekey/shared/telemetry/telemetrytest"
)

// What an invocation has gathered is sent before it answers, since Lambda freezes the
// process then.
func TestSentBeforeTheAnswer(t *testing.T) {
	services, err := stack.Start(stack.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Stop() })
	receiver := telemetrytest.New(t)
	for _, e := range append(services.Env(), "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL) {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	handler, err := newFunction(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	handle := handler.(func(context.Context, json.RawMessage) (any, error))
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "the-request"})
	if _, err := handle(ctx, json.RawMessage(`{"rekey":"rotate-due"}`)); err != nil {
		t.Fatal(err)
	}
	spans := receiver.Spans()
	if len(spans) == 0 || spans[0].Name != "rotatedue" || spans[0].Attrs["faas.trigger"] != "timer" ||
		spans[0].Attrs["faas.invocation_id"] != "the-request" {
		t.Fatalf("spans %+v", spans)
	}
	for _, s := range spans[1:] {
		if s.Trace != spans[0].Trace {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	if p := receiver.Points("rekey.due"); len(p) != 1 || p[0].Value != 0 {
		t.Errorf("due %+v", p)
	}
}
