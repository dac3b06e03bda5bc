package telemetry

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// spans and measurements keep what exporters complain of from the SDK, which would
// print it to stderr, each time, with addresses and what the receiver answered.
type spans struct {
	sdktrace.SpanExporter
	t *Telemetry
}

func (e spans) ExportSpans(ctx context.Context, list []sdktrace.ReadOnlySpan) error {
	e.t.exported("traces", e.SpanExporter.ExportSpans(ctx, list))
	return nil
}

type measurements struct {
	sdkmetric.Exporter
	t *Telemetry
}

func (e measurements) Export(ctx context.Context, list *metricdata.ResourceMetrics) error {
	e.t.exported("metrics", e.Exporter.Export(ctx, list))
	return nil
}

// exported takes note of how an export went.
func (t *Telemetry) exported(signal string, err error) {
	if err == nil {
		return
	}
	if t.quiet.failed(t.now()) {
		t.log().Warn("telemetry not exported", "signal", signal, "reason", reason(err))
	}
}

// reason says in a word why an export failed. What the receiver answered is not
// repeated; its log has it.
func reason(err error) string {
	if _, ok := errors.AsType[*url.Error](err); ok || timing(err) != "" {
		return noAnswer(err)
	}
	return "refused by the receiver"
}

// noAnswer says in a word why a request was not answered. The error's own text has the
// address in it.
func noAnswer(err error) string { return cmp.Or(timing(err), "unreachable") }

func timing(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	}
	return ""
}

// quiet knows when an export last failed and when that was last told.
type quiet struct {
	mu           sync.Mutex
	failedAt, at time.Time
}

// failed takes a failure in and reports whether it has to be told.
func (q *quiet) failed(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failedAt = now
	if !q.at.IsZero() && now.Sub(q.at) < pause {
		return false
	}
	q.at = now
	return true
}

// broken reports whether an export failed a short time ago.
func (q *quiet) broken(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.failedAt.IsZero() && now.Sub(q.failedAt) < pause
}
