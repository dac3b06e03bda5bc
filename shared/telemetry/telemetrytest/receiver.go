// Package telemetrytest is a receiver of OpenTelemetry's protocol for tests: what Rekey
// exports arrives as it would at a real one, by HTTP and protobuf, and can be asked for,
// or searched for what must not be in it.
package telemetrytest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Receiver takes exports in. It is safe for concurrent use.
type Receiver struct {
	URL string // the value of OTEL_EXPORTER_OTLP_ENDPOINT

	mu       sync.Mutex
	requests int
	refuse   func(http.ResponseWriter, *http.Request) bool
	headers  http.Header
	raw      strings.Builder
	resource map[string]string
	spans    []Span
	points   map[string]Point // by metric and attributes: the last one is the state
}

// Span is one that arrived. Ids are in hex; Parent is empty for a root.
type Span struct {
	Trace, ID, Parent, Name string
	Server, Client, Failed  bool
	Start, End              time.Time
	Attrs                   map[string]string
}

// Point is the state of one series of a metric: Value of a counter or gauge, Count and
// Sum of a histogram.
type Point struct {
	Metric string
	Attrs  map[string]string
	Value  float64
	Count  uint64
	Sum    float64
}

// New starts a receiver, which ends with the test.
func New(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{points: map[string]Point{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Refuse makes the receiver ask f first from now on; where f reports true, it has
// answered. nil accepts everything again.
func (r *Receiver) Refuse(f func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = f
}

// ServeHTTP takes one export in. What is no export fails loudly at the sender.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests++
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil && refuse(w, req) {
		return
	}
	body, err := read(req)
	if err == nil {
		err = r.take(req, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a success
}

func read(req *http.Request) ([]byte, error) {
	if req.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(req.Body)
	}
	plain, err := gzip.NewReader(req.Body)
	if err != nil {
		return nil, fmt.Errorf("reading an export: %w", err)
	}
	return io.ReadAll(plain)
}

func (r *Receiver) take(req *http.Request, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("%s of %q is no export", req.Method, req.Header.Get("Content-Type"))
	}
	switch req.URL.Path {
	case "/v1/traces":
		var m collecttraces.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &m); err != nil {
			return fmt.Errorf("decoding traces: %w", err)
		}
		for _, rs := range m.ResourceSpans {
			r.resource = attributes(rs.Resource.GetAttributes())
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					r.spans = append(r.spans, span(s))
				}
			}
		}
	case "/v1/metrics":
		var m collectmetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &m); err != nil {
			return fmt.Errorf("decoding metrics: %w", err)
		}
		for _, rm := range m.ResourceMetrics {
			r.resource = attributes(rm.Resource.GetAttributes())
			for _, sm := range rm.ScopeMetrics {
				for _, metric := range sm.Metrics {
					r.measured(metric)
				}
			}
		}
	default:
		return fmt.Errorf("nothing is exported to %s", req.URL.Path)
	}
	r.headers = req.Header.Clone()
	r.raw.Write(body) // strings are themselves in protobuf
	return nil
}

func span(s *traces.Span) Span {
	return Span{
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId), Name: s.Name,
		Server: s.Kind == traces.Span_SPAN_KIND_SERVER, Client: s.Kind == traces.Span_SPAN_KIND_CLIENT,
		Failed: s.Status.GetCode() == traces.Status_STATUS_CODE_ERROR,
		Start:  time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)), Attrs: attributes(s.Attributes),
	}
}

// measured takes the state of one metric in.
func (r *Receiver) measured(m *metrics.Metric) {
	add := func(list []*common.KeyValue, p Point) {
		p.Metric, p.Attrs = m.Name, attributes(list)
		r.points[p.Metric+fmt.Sprint(p.Attrs)] = p // maps print in the order of their keys
	}
	for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
		add(p.Attributes, Point{Value: p.GetAsDouble() + float64(p.GetAsInt())})
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		add(p.Attributes, Point{Count: p.Count, Sum: p.GetSum()})
	}
}

func attributes(list []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		switch v := kv.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.Key] = fmt.Sprint(v.IntValue)
		default:
			out[kv.Key] = kv.Value.String()
		}
	}
	return out
}

// Requests is how many exports were sent, accepted or not.
func (r *Receiver) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Spans returns what arrived, in the order in which the spans began.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(r.spans), func(a, b Span) int { return a.Start.Compare(b.Start) })
}

// Points returns the series of a metric.
func (r *Receiver) Points(metric string) []Point {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Point
	for _, k := range slices.Sorted(maps.Keys(r.points)) {
		if p := r.points[k]; p.Metric == metric {
			out = append(out, p)
		}
	}
	return out
}

// Point returns the one series of a metric whose attributes include those of the pairs;
// the zero Point if there is none.
func (r *Receiver) Point(metric string, pairs ...string) Point {
	for _, p := range r.Points(metric) {
		fits := true
		for i := 0; i < len(pairs); i += 2 {
			fits = fits && p.Attrs[pairs[i]] == pairs[i+1]
		}
		if fits {
			return p
		}
	}
	return Point{}
}

// Forget forgets the series that have arrived.
func (r *Receiver) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.points)
}

// Resource is who reported last.
func (r *Receiver) Resource() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.resource)
}

// Header is a header of the last export.
func (r *Receiver) Header(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.headers.Get(name)
}

// Text is everything that arrived, to be searched.
func (r *Receiver) Text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.String()
}
