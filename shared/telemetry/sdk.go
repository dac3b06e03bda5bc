package telemetry

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"

	"rekey/shared/secret"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	nometric "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	notrace "go.opentelemetry.io/otel/trace/noop"
)

// scope names the reporter within the program.
const scope = "rekey/shared/telemetry"

// sdk is what is made at the first use. Where a signal is off, its part does nothing.
type sdk struct {
	providers []provider
	tracer    trace.Tracer
	instruments
}

// make makes the exporters, which connect when they first export. What goes wrong here
// leaves a signal off; config has checked what can be checked.
func (t *Telemetry) make() *sdk {
	ctx, c := context.Background(), t.config
	who := t.resource()
	s := &sdk{tracer: notrace.NewTracerProvider().Tracer(scope)}
	if c.Traces.URL != "" {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.Traces.URL), otlptracehttp.WithHeaders(reveal(c.Traces.Headers)))
		if err == nil {
			p := sdktrace.NewTracerProvider(sdktrace.WithResource(who), sdktrace.WithSampler(sampler(c.Sampler, c.Ratio)),
				sdktrace.WithBatcher(spans{exporter, t}), sdktrace.WithoutPanicRecording()) // a panic may say anything
			s.tracer, s.providers = p.Tracer(scope), append(s.providers, p)
		}
		t.exported("traces", err)
	}
	var meter metric.Meter = nometric.Meter{}
	if c.Metrics.URL != "" {
		exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(c.Metrics.URL),
			otlpmetrichttp.WithHeaders(reveal(c.Metrics.Headers)))
		if err == nil {
			p := sdkmetric.NewMeterProvider(sdkmetric.WithResource(who),
				sdkmetric.WithReader(sdkmetric.NewPeriodicReader(measurements{exporter, t})))
			meter, s.providers = p.Meter(scope), append(s.providers, p)
		}
		t.exported("metrics", err)
	}
	s.instruments = t.instruments(meter)
	return s
}

// resource says who reports. The id tells the series of processes apart that run at
// the same time.
func (t *Telemetry) resource() *resource.Resource {
	all := map[string]string{
		"service.name":                "rekey",
		"service.version":             t.config.Version,
		"service.instance.id":         rand.Text(),
		"deployment.environment.name": t.config.Deployment,
	}
	maps.Copy(all, t.config.Attributes)
	var attrs []attribute.KeyValue
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if all[k] != "" {
			attrs = append(attrs, attribute.String(k, all[k]))
		}
	}
	return resource.NewSchemaless(attrs...)
}

// sampler chooses as OTEL_TRACES_SAMPLER does; see [Config].
func sampler(name string, ratio float64) sdktrace.Sampler {
	switch cmp.Or(name, "always_on") {
	case "always_off":
		return sdktrace.NeverSample()
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio)
	case "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample())
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))
	}
	return sdktrace.AlwaysSample()
}

// reveal gives the headers to the exporter, which sends them to the receiver and to
// nothing else: it has a client of its own.
func reveal(headers map[string]secret.Value) map[string]string {
	out := make(map[string]string, len(headers))
	for k, v := range headers {
		out[k] = v.Reveal()
	}
	return out
}
