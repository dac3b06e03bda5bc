package config

import (
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"rekey/shared/secret"
)

// Telemetry says where metrics and traces go: the standard variables of OpenTelemetry,
// as its SDK for Go reads them. The zero Telemetry is off, and that is the default.
//
// Named here is what decides whether, where and as whom Rekey exports, so that a
// mistake in it is reported with the others. The rest, which only tunes an export that
// happens anyway (OTEL_EXPORTER_OTLP_TIMEOUT, _COMPRESSION, _CERTIFICATE, OTEL_BSP_*,
// OTEL_METRIC_EXPORT_*), the SDK reads by itself.
//
// Sources: opentelemetry.io/docs/specs/otel/protocol/exporter and
// opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
type Telemetry struct {
	Traces, Metrics Export

	// Attributes is OTEL_RESOURCE_ATTRIBUTES, key=value with percent-encoded values,
	// comma-separated; OTEL_SERVICE_NAME is its service.name.
	Attributes map[string]string
	// Sampler is OTEL_TRACES_SAMPLER, one of the SDK's own six; empty if it is not
	// set. SamplerRatio is OTEL_TRACES_SAMPLER_ARG, from 0 to 1. Default 1.
	Sampler      string
	SamplerRatio float64
}

// Export is where one signal goes; the zero Export is off.
type Export struct {
	// URL is OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or _METRICS_ENDPOINT as it is, or
	// OTEL_EXPORTER_OTLP_ENDPOINT with v1/traces or v1/metrics below it.
	URL string
	// Headers is OTEL_EXPORTER_OTLP_TRACES_HEADERS or _METRICS_HEADERS, or
	// OTEL_EXPORTER_OTLP_HEADERS: name=value with percent-encoded values,
	// comma-separated. They usually hold the key of the receiver.
	Headers map[string]secret.Value
}

// On reports whether anything is exported.
func (t Telemetry) On() bool { return t.Traces.URL != "" || t.Metrics.URL != "" }

var headerNameForm = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]+$")

// telemetry reads where metrics and traces go. Where nothing is exported nothing is
// checked either: the variables may be meant for another program.
func (r *reader) telemetry() Telemetry {
	if strings.EqualFold(r.text("OTEL_SDK_DISABLED"), "true") {
		return Telemetry{}
	}
	t := Telemetry{Traces: r.export("TRACES"), Metrics: r.export("METRICS")}
	if !t.On() {
		return Telemetry{}
	}
	t.Attributes = map[string]string{}
	for k, v := range r.pairs("OTEL_RESOURCE_ATTRIBUTES") {
		t.Attributes[k] = v
	}
	if name := r.text("OTEL_SERVICE_NAME"); name != "" {
		t.Attributes["service.name"] = name
	}
	t.Sampler, t.SamplerRatio = r.sampler()
	return t
}

// export reads one signal's part. Its name is that in the variables.
func (r *reader) export(signal string) Export {
	own := func(suffix string) string { // of the signal, else of both
		if name := "OTEL_EXPORTER_OTLP_" + signal + "_" + suffix; r.text(name) != "" {
			return name
		}
		return "OTEL_EXPORTER_OTLP_" + suffix
	}
	endpoint, exporter := own("ENDPOINT"), "OTEL_"+signal+"_EXPORTER"
	if r.text(endpoint) == "" || r.text(exporter) == "none" {
		return Export{}
	}
	if e := r.text(exporter); e != "" && e != "otlp" {
		r.wrong(exporter, "must be otlp or none")
	}
	if p := r.text(own("PROTOCOL")); p != "" && p != "http/protobuf" {
		r.wrong(own("PROTOCOL"), "must be http/protobuf, which receivers take on port 4318 as a rule; Rekey has no other")
	}
	u, ok := parseURL(r.text(endpoint))
	if !ok || u.Scheme != "https" && u.Scheme != "http" {
		r.wrong(endpoint, "must be an http or https URL without user and query, like https://collector:4318")
		return Export{}
	}
	if endpoint == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u.Path = path.Join("/", u.Path, "v1", strings.ToLower(signal))
	}
	e := Export{URL: u.String(), Headers: map[string]secret.Value{}}
	headers := own("HEADERS")
	for k, v := range r.pairs(headers) {
		if !headerNameForm.MatchString(k) || strings.ContainsAny(v, "\r\n\x00") {
			r.wrong(headers, "must be name=value, comma-separated, with names and values that HTTP allows")
			break
		}
		e.Headers[k] = secret.New(v)
	}
	return e
}

// pairs reads key=value, comma-separated, with percent-encoded values. An entry that
// is wrong is named by its place only, as it may hold a key.
func (r *reader) pairs(name string) map[string]string {
	pairs, n := map[string]string{}, 0
	for entry := range strings.SplitSeq(r.text(name), ",") {
		n++
		if strings.TrimSpace(entry) == "" {
			continue
		}
		k, v, ok := strings.Cut(entry, "=")
		value, err := url.PathUnescape(v)
		if k = strings.TrimSpace(k); !ok || k == "" || err != nil {
			r.wrong(name, "entry %d must be key=value, with commas and percent signs of the value percent-encoded", n)
			continue
		}
		pairs[k] = strings.TrimSpace(value)
	}
	return pairs
}

// sampler reads which traces are kept.
func (r *reader) sampler() (name string, ratio float64) {
	name, ratio = strings.ToLower(r.text("OTEL_TRACES_SAMPLER")), 1
	switch name {
	case "", "always_on", "always_off", "parentbased_always_on", "parentbased_always_off":
		return name, ratio
	case "traceidratio", "parentbased_traceidratio":
	default:
		r.wrong("OTEL_TRACES_SAMPLER", "must be always_on, always_off or traceidratio, or one of these after parentbased_")
		return "", ratio
	}
	if arg := r.text("OTEL_TRACES_SAMPLER_ARG"); arg != "" {
		f, err := strconv.ParseFloat(arg, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			r.wrong("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1")
			return name, ratio
		}
		ratio = f
	}
	return name, ratio
}
