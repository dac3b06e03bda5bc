package config_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"rekey/shared/config"
)

// exporting is a receiver and a key for it.
var exporting = settings{
	"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318/base/",
	"OTEL_EXPORTER_OTLP_HEADERS":  "api-key=receiver%2Ckey, x-tenant = one",
}

func TestTelemetryIsOff(t *testing.T) {
	for name, s := range map[string]settings{
		"unset":            {},
		"meant for others": {"OTEL_SERVICE_NAME": "other", "OTEL_TRACES_SAMPLER": "jaeger_remote", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"disabled":         maps.Clone(exporting.with(settings{"OTEL_SDK_DISABLED": "TRUE"})),
		"no exporter":      exporting.with(settings{"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}),
	} {
		if c := load(t, least.with(s)); c.Telemetry.On() || c.Telemetry.Attributes != nil {
			t.Errorf("%s: Telemetry = %+v, want it off", name, c.Telemetry)
		}
	}
}

func TestTelemetry(t *testing.T) {
	c := load(t, least.with(exporting)).Telemetry
	if !c.On() || c.Traces.URL != "https://collector:4318/base/v1/traces" || c.Metrics.URL != "https://collector:4318/base/v1/metrics" ||
		c.Traces.Headers["api-key"].Reveal() != "receiver,key" || c.Metrics.Headers["x-tenant"].Reveal() != "one" || c.Sampler != "" ||
		c.SamplerRatio != 1 {
		t.Errorf("Telemetry = %+v", c)
	}
	if text := fmt.Sprintf("%+v %#v", c, c); strings.Contains(text, "receiver,key") {
		t.Errorf("it prints as %s", text)
	}
	c = load(t, least.with(exporting).with(settings{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "own=1",
		"OTEL_METRICS_EXPORTER":       "none",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
		"OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,service.name=lost", "OTEL_SERVICE_NAME": "keys",
		"OTEL_TRACES_SAMPLER": "parentbased_TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
	})).Telemetry
	if c.Traces.URL != "http://localhost:4318" || len(c.Traces.Headers) != 1 || c.Traces.Headers["own"].Reveal() != "1" ||
		c.Metrics.URL != "" ||
		c.Attributes["service.name"] != "keys" || c.Attributes["team"] != "a b" || c.Sampler != "parentbased_traceidratio" ||
		c.SamplerRatio != 0.25 {
		t.Errorf("Telemetry = %+v", c)
	}
}

func TestTelemetryMistakes(t *testing.T) {
	for name, s := range map[string]settings{
		"OTEL_EXPORTER_OTLP_ENDPOINT":          {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":  {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://me:hunter2@collector"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":          {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"OTEL_TRACES_EXPORTER":                 {"OTEL_TRACES_EXPORTER": "console"},
		"OTEL_EXPORTER_OTLP_HEADERS: entry 2":  {"OTEL_EXPORTER_OTLP_HEADERS": "a=b,hunter2"},
		"OTEL_EXPORTER_OTLP_HEADERS: entry 1":  {"OTEL_EXPORTER_OTLP_HEADERS": "a=hunter2%zz"},
		"OTEL_EXPORTER_OTLP_HEADERS: must":     {"OTEL_EXPORTER_OTLP_HEADERS": "hunter2 key=a"},
		"OTEL_RESOURCE_ATTRIBUTES: entry 1":    {"OTEL_RESOURCE_ATTRIBUTES": "hunter2"},
		"OTEL_TRACES_SAMPLER: ":                {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
		"OTEL_TRACES_SAMPLER_ARG":              {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"},
		"OTEL_TRACES_SAMPLER_ARG: must be a n": {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"},
	} {
		_, err := config.Load(least.with(exporting).with(s).lookup)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v, want one of %s", err, name)
		}
	}
}
