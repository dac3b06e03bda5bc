package telemetry

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns base with a span around each request, or base itself if t is nil.
// The span ends when the answer has been read. Nothing is added to the request: what
// Rekey's own ids are is no business of the other services.
func (t *Telemetry) Transport(base http.RoundTripper) http.RoundTripper {
	if t == nil {
		return base
	}
	return &transport{base, t}
}

type transport struct {
	base http.RoundTripper
	t    *Telemetry
}

// RoundTrip implements [http.RoundTripper].
func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	s := tr.t.sdk()
	service, verb, path := cmp.Or(tr.t.config.Services[strings.ToLower(r.URL.Host)], "other"), method(r.Method), route(r.URL)
	ctx, span := s.tracer.Start(r.Context(), verb+" "+path, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		keyService.String(service), attribute.String("http.request.method", verb), attribute.String("url.template", path)))
	resp, err := tr.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		s.requests.Add(ctx, 1, metric.WithAttributes(keyService.String(service), attribute.String("rekey.status", "none")))
		fail(span, err)
		span.End()
		return resp, err
	}
	s.requests.Add(ctx, 1, metric.WithAttributes(keyService.String(service),
		attribute.String("rekey.status", strconv.Itoa(resp.StatusCode/100)+"xx")))
	if resp.StatusCode == http.StatusTooManyRequests ||
		resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "" {
		s.throttled.Add(ctx, 1, metric.WithAttributes(keyService.String(service)))
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= 400 {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(resp.StatusCode)))
		span.SetStatus(codes.Error, "")
	}
	resp.Body = &answer{ReadCloser: resp.Body, span: span}
	return resp, nil
}

// CloseIdleConnections passes on what [http.Client.CloseIdleConnections] asks for.
func (tr *transport) CloseIdleConnections() {
	if c, ok := tr.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// answer is a body that ends the span once it was read or closed.
type answer struct {
	io.ReadCloser
	span trace.Span
	once sync.Once
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil {
		a.end(err)
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.end(nil)
	return err
}

func (a *answer) end(err error) {
	a.once.Do(func() {
		if err != nil && err != io.EOF {
			fail(a.span, err)
		}
		a.span.End()
	})
}

// fail says why there is no answer, or no whole one.
func fail(span trace.Span, err error) {
	span.SetAttributes(attribute.String("error.type", noAnswer(err)))
	span.SetStatus(codes.Error, "")
}

// method is the method of a request; one that HTTP does not know may be anything.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	case "":
		return http.MethodGet
	}
	return "_OTHER" // by OpenTelemetry's semantic conventions
}
