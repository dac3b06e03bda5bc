package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// instruments are the metrics; docs/telemetry.md says what each is good for.
type instruments struct {
	rotations, throttled, requests metric.Int64Counter
	step, expiry                   metric.Float64Histogram
	scanInstruments
}

// instruments makes them. The SDK refuses only names and bounds that are wrong, and
// hands out one that does nothing then.
func (t *Telemetry) instruments(m metric.Meter) instruments {
	var i instruments
	var errs [8]error
	i.rotations, errs[0] = m.Int64Counter("rekey.rotations", metric.WithUnit("{run}"),
		metric.WithDescription("Runs that ended, by what started them and how they ended."))
	i.step, errs[1] = m.Float64Histogram("rekey.step.duration", metric.WithUnit("s"),
		metric.WithDescription("How long the steps of passes took."),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60))
	i.expiry, errs[2] = m.Float64Histogram("rekey.credential.days_to_expiry", metric.WithUnit("d"),
		metric.WithDescription("Days that a connection's credentials have left, at the end of each of its passes."),
		metric.WithExplicitBucketBoundaries(0, 1, 3, 7, 14, 30, 60, 90, 180, 365, 730))
	i.throttled, errs[3] = m.Int64Counter("rekey.throttled", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to other services that were answered 429, or 503 with Retry-After."))
	i.requests, errs[4] = m.Int64Counter("rekey.http.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Requests to other services, by service and class of the status."))
	due, err := m.Int64ObservableGauge("rekey.due", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections that were due at the last look."))
	errs[5] = err
	oldest, err := m.Float64ObservableGauge("rekey.due.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("For how long the oldest of them had been due; 0 if nothing was."))
	errs[6] = err
	_, errs[7] = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if b := t.due.Load(); b != nil && t.now().Sub(b.seen) < stale {
			o.ObserveInt64(due, b.connections)
			o.ObserveFloat64(oldest, b.oldest.Seconds())
		}
		return nil
	}, due, oldest)
	t.exported("metrics", errors.Join(errs[:]...))
	i.scanInstruments = t.scanInstruments(m)
	return i
}
