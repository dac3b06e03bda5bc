package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"rekey/shared/host"
)

// The triggers of functions, by OpenTelemetry's names (faas.trigger).
const (
	HTTP  = "http"
	Timer = "timer"
)

// Handler returns h with a span around each request, as a child of the one that the
// request names by traceparent; h itself if t is nil. trigger is what the function is
// called by.
func (t *Telemetry) Handler(trigger string, h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, verb := route(r.URL), method(r.Method)
		attrs := []attribute.KeyValue{
			attribute.String("faas.trigger", trigger), attribute.String("http.request.method", verb), attribute.String("http.route", path),
		}
		if id, ok := host.InvocationID(r); ok {
			attrs = append(attrs, attribute.String("faas.invocation_id", id))
		}
		ctx, span := t.sdk().tracer.Start(caller(r), verb+" "+path, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs...))
		seen := &status{ResponseWriter: w}
		returned := false
		defer func() {
			if seen.code == 0 {
				seen.code = http.StatusOK
			}
			if !returned { // a panic
				seen.code = http.StatusInternalServerError
			}
			span.SetAttributes(attribute.Int("http.response.status_code", seen.code))
			if seen.code >= 500 {
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}()
		h.ServeHTTP(seen, r.WithContext(ctx))
		returned = true
	})
}

// caller is r's context with the span that made the request. Of what the host passes
// on, traceparent alone is read, as it has room for two ids and nothing else; tracestate
// and baggage would put into our traces whatever a caller likes.
//
// Source: www.w3.org/TR/trace-context. For a timer the header is the only place too: the
// body of its invocation names no trace.
func caller(r *http.Request) context.Context {
	values := r.Header.Values("traceparent")
	if len(values) != 1 {
		return r.Context()
	}
	return propagation.TraceContext{}.Extract(r.Context(), propagation.MapCarrier{"traceparent": values[0]})
}

// Invocation begins the span of an invocation that comes without a request: name is the
// function's, id the host's of the invocation. What it returns ends the span.
func (t *Telemetry) Invocation(ctx context.Context, trigger, name, id string) (context.Context, func(err error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.sdk().tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("faas.trigger", trigger), attribute.String("faas.invocation_id", id)))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// status remembers the status of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 && code >= 200 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets [http.ResponseController] through.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
