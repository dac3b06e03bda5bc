package telemetry

import (
	"context"
	"errors"
	"maps"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// The keys of scans. The values of metrics name tenants, of which there are few, and nothing in
// them.
const (
	keyTenant  = attribute.Key("rekey.tenant.id")
	keyList    = attribute.Key("rekey.list")
	keyFinding = attribute.Key("rekey.finding")
	keyLeft    = attribute.Key("rekey.left")
)

// Scans sees what scans do; nil if t is nil, so that nothing is told.
func (t *Telemetry) Scans() scan.Observer {
	if t == nil {
		return nil
	}
	return scans{t}
}

type scans struct{ t *Telemetry }

// scanInstruments are the metrics of scans.
type scanInstruments struct {
	reads    metric.Int64Counter
	duration metric.Float64Histogram
}

func (t *Telemetry) scanInstruments(m metric.Meter) scanInstruments {
	var i scanInstruments
	var errs [5]error
	i.reads, errs[0] = m.Int64Counter("rekey.inventory.reads", metric.WithUnit("{request}"),
		metric.WithDescription("Pages of lists that scans have read, and what they have asked besides, by list and how that ended."))
	i.duration, errs[1] = m.Float64Histogram("rekey.inventory.scan.duration", metric.WithUnit("s"),
		metric.WithDescription("How long scans took from their beginning to their end, by how they ended."),
		metric.WithExplicitBucketBoundaries(10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 86400))
	findings, err := m.Int64ObservableGauge("rekey.inventory.findings", metric.WithUnit("{application}"),
		metric.WithDescription("Applications with a finding that no person has accepted, at the last scan of each tenant."))
	errs[2] = err
	credentials, err := m.Int64ObservableGauge("rekey.inventory.credentials", metric.WithUnit("{credential}"),
		metric.WithDescription("Credentials by the days that they had left, at the last scan of each tenant."))
	errs[3] = err
	_, errs[4] = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.eachScanned(func(tenantID string, r *inventory.Result) {
			tenant := keyTenant.String(tenantID)
			for _, kind := range inventory.Kinds {
				o.ObserveInt64(findings, int64(r.Findings[kind]), metric.WithAttributes(tenant, keyFinding.String(string(kind))))
			}
			for _, left := range inventory.Lefts {
				o.ObserveInt64(credentials, int64(r.Ends[left]), metric.WithAttributes(tenant, keyLeft.String(string(left))))
			}
		})
		return nil
	}, findings, credentials)
	t.exported("metrics", errors.Join(errs[:]...))
	return i
}

// scanned is the last complete scan of a tenant that this process has seen.
type scanned struct {
	at     time.Time
	result *inventory.Result
}

// lastScan is for how long the result of a scan is reported: until the next one, which may be
// another process's, should have ended.
const lastScan = 25*time.Hour + 30*time.Minute

// eachScanned calls visit with the results that are still of interest.
func (t *Telemetry) eachScanned(visit func(tenantID string, r *inventory.Result)) {
	t.scansMu.Lock()
	maps.DeleteFunc(t.scans, func(_ string, s scanned) bool { return t.now().Sub(s.at) >= lastScan })
	last := maps.Clone(t.scans)
	t.scansMu.Unlock()
	for tenantID, s := range last {
		visit(tenantID, s.result)
	}
}

// Pass begins the span of a pass over a tenant's scan.
func (s scans) Pass(ctx context.Context, tenantID string) (context.Context, func(error)) {
	ctx, span := s.t.sdk().tracer.Start(ctx, "scan", trace.WithAttributes(keyTenant.String(tenantID)))
	return ctx, func(err error) {
		outcome := ended(err)
		span.SetAttributes(keyOutcome.String(outcome))
		if outcome == "stopped" {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}

// Read counts a request for a list.
func (s scans) Read(ctx context.Context, list inventory.List, class serviceerror.Class) {
	attrs := []attribute.KeyValue{keyList.String(string(list)), keyOutcome.String("ok")}
	if class != "" {
		attrs = []attribute.KeyValue{keyList.String(string(list)), keyOutcome.String("failed"), keyClass.String(string(class))}
	}
	s.t.sdk().reads.Add(ctx, 1, metric.WithAttributes(attrs...))
}

// Ended measures a scan that has ended.
func (s scans) Ended(ctx context.Context, tenant inventory.Tenant) {
	sc := tenant.Scan
	s.t.sdk().duration.Record(ctx, sc.FinishedAt.Sub(sc.StartedAt).Seconds(), metric.WithAttributes(keyOutcome.String(string(sc.Phase))))
	if sc.Phase != inventory.Complete || sc.Result == nil {
		return
	}
	s.t.scansMu.Lock()
	defer s.t.scansMu.Unlock()
	if s.t.scans == nil {
		s.t.scans = map[string]scanned{}
	}
	s.t.scans[tenant.ID] = scanned{s.t.now(), sc.Result}
}
