package telemetry_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/shared/secret"

	"rekey/shared/telemetry"
	"rekey/shared/telemetry/telemetrytest"
)

// output is a log that may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// clock is a time that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return begun.Add(time.Duration(c.ahead.Load())) }

var begun = time.Now()

// exporting is telemetry to r, with a log and a clock.
func exporting(t *testing.T, r *telemetrytest.Receiver) (*telemetry.Telemetry, *output, *clock) {
	t.Helper()
	out, c := &output{}, &clock{}
	key := map[string]secret.Value{"api-key": secret.New("key~of~the~receiver")}
	tel := telemetry.New(telemetry.Config{
		Traces: telemetry.Export{URL: r.URL + "/v1/traces", Headers: key}, Metrics: telemetry.Export{URL: r.URL + "/v1/metrics", Headers: key},
		Version: "v1", Deployment: "test", Attributes: map[string]string{"team": "a"},
		Services: map[string]string{"graph.example": "graph"}, Log: slog.New(slog.NewTextHandler(out, nil)), Now: c.now,
	})
	t.Cleanup(func() { tel.Shutdown(t.Context()) })
	return tel, out, c
}

// roundTrip is a transport that a test writes.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering answers with a status and a body that can be read.
func answering(status int, header http.Header) *http.Transport {
	t := &http.Transport{}
	t.RegisterProtocol("https", roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("the answer")), Request: r}, nil
	}))
	return t
}

func get(t *testing.T, client http.RoundTripper, url string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer canary")
	resp, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// What is not configured is not there: what was handed in comes back.
func TestOff(t *testing.T) {
	tel := telemetry.New(telemetry.Config{Version: "v1"})
	if tel != nil {
		t.Fatal("telemetry that exports nothing")
	}
	base := &http.Transport{}
	if tel.Transport(base) != http.RoundTripper(base) {
		t.Error("the transport was wrapped")
	}
	mux := http.NewServeMux()
	if tel.Handler(telemetry.HTTP, mux) != http.Handler(mux) {
		t.Error("the handler was wrapped")
	}
	if tel.Observer() != nil {
		t.Error("there is an observer")
	}
	ctx, end := tel.Invocation(t.Context(), telemetry.Timer, "tick", "id")
	end(nil)
	if ctx != t.Context() {
		t.Error("the context was changed")
	}
	tel.Flush(t.Context())
	tel.Shutdown(t.Context())
}

// Nothing is made or sent before there is something to report.
func TestLazy(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	tel.Transport(&http.Transport{})
	tel.Handler(telemetry.HTTP, http.NewServeMux())
	tel.Observer()
	tel.Flush(t.Context())
	tel.Shutdown(t.Context())
	if n := r.Requests(); n != 0 {
		t.Errorf("%d exports of nothing", n)
	}
}

func TestRequestsToServices(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	get(t, tel.Transport(answering(200, nil)), "https://Graph.example/v1.0/applications(appId='canary')?$filter=canary")
	get(t, tel.Transport(answering(429, nil)), "https://graph.example/v1.0/applications/canary/addPassword")
	get(t, tel.Transport(answering(503, http.Header{"Retry-After": {"9"}})), "https://graph.example/v1.0/me")
	get(t, tel.Transport(answering(503, nil)), "https://elsewhere.example/canary")
	tel.Flush(t.Context())

	var names []string
	for _, s := range r.Spans() {
		names = append(names, s.Attrs["rekey.service"]+" "+s.Name+" "+s.Attrs["http.response.status_code"])
		if !s.Client || s.End.Before(s.Start) || s.Failed != (s.Attrs["http.response.status_code"] != "200") {
			t.Errorf("span %+v", s)
		}
	}
	want := "graph GET /v1.0/applications({id}) 200, graph GET /v1.0/applications/{id}/addPassword 429, graph GET /v1.0/me 503, " +
		"other GET /{id} 503"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("spans %s, want %s", got, want)
	}
	for _, want := range []struct {
		metric, service, status string
		value                   float64
	}{
		{"rekey.http.requests", "graph", "2xx", 1}, {"rekey.http.requests", "graph", "4xx", 1}, {"rekey.http.requests", "graph", "5xx", 1},
		{"rekey.http.requests", "other", "5xx", 1}, {"rekey.throttled", "graph", "", 2}, {"rekey.throttled", "other", "", 0},
	} {
		if got := r.Point(want.metric, "rekey.service", want.service, "rekey.status", want.status).Value; got != want.value {
			t.Errorf("%+v: %v", want, got)
		}
	}
	if strings.Contains(r.Text(), "canary") || strings.Contains(r.Text(), "the answer") {
		t.Error("something of a request was exported")
	}
	if got := r.Header("Api-Key"); got != "key~of~the~receiver" {
		t.Errorf("the receiver got the key %q", got)
	}
	if who := r.Resource(); who["service.name"] != "rekey" || who["service.version"] != "v1" || who["deployment.environment.name"] != "test" ||
		who["team"] != "a" || len(who["service.instance.id"]) < 20 {
		t.Errorf("resource %v", who)
	}
}

// A request without an answer says why in a word, not in the error's own.
func TestRequestsWithoutAnswer(t *testing.T) {
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	words := map[string]bool{}
	for _, err := range []error{io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled} {
		err = &url.Error{Op: "Get", URL: "https://graph.example/canary", Err: err}
		req, _ := http.NewRequestWithContext(t.Context(), "canary", "https://graph.example/canary", nil)
		if _, got := tel.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })).RoundTrip(req); got != err {
			t.Errorf("error %v, want %v", got, err)
		}
	}
	tel.Flush(t.Context())
	for _, s := range r.Spans() {
		words[s.Attrs["error.type"]] = s.Name == "_OTHER /{id}" && s.Failed
	}
	if !maps.Equal(words, map[string]bool{"unreachable": true, "timeout": true, "canceled": true}) {
		t.Errorf("spans %+v", r.Spans())
	}
	if got := r.Point("rekey.http.requests", "rekey.service", "graph", "rekey.status", "none").Value; got != 3 {
		t.Errorf("%v requests without an answer", got)
	}
	if strings.Contains(r.Text(), "canary") {
		t.Error("something of a request was exported")
	}
}

// The span of an invocation is a child of the one that the host names, and of no other.
func TestTraceparent(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	r := telemetrytest.New(t)
	tel, _, _ := exporting(t, r)
	handler := tel.Handler(telemetry.HTTP, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/panic" {
			panic("canary")
		}
		resp, err := tel.Transport(answering(200, nil)).RoundTrip(httptest.NewRequestWithContext(q.Context(), "GET",
			"https://graph.example/v1.0/me", nil))
		if err != nil {
			t.Error(err)
		}
		resp.Body.Close()
		w.WriteHeader(http.StatusTeapot)
	}))
	for name, values := range map[string][]string{
		"joined": {"00-" + trace + "-" + parent + "-01"}, "not sampled by Azure": {"00-" + trace + "-" + parent + "-00"},
		"none": nil, "two": {"00-" + trace + "-" + parent + "-01", "00-" + trace + "-" + parent + "-01"}, "wrong": {"canary"},
	} {
		before := len(r.Spans())
		q := httptest.NewRequest("PATCH", "/api/v1/app-connections/azure-client-secrets/canary?canary=1", nil)
		q.Header["Traceparent"], q.Header["Tracestate"], q.Header["Baggage"] = values, []string{"k=canary"}, []string{"k=canary"}
		q.Header.Set("X-Azure-Functions-InvocationId", "0B1E7E57-0000-4000-8000-00000000000A")
		handler.ServeHTTP(httptest.NewRecorder(), q)
		tel.Flush(t.Context())
		spans := r.Spans()[before:]
		if len(spans) != 2 {
			t.Fatalf("%s: %d spans", name, len(spans))
		}
		server, client := spans[0], spans[1]
		joined := len(values) == 1 && strings.HasPrefix(values[0], "00-")
		if (server.Trace == trace) != joined || (server.Parent == parent) != joined || !joined && server.Parent != "" {
			t.Errorf("%s: trace %s, parent %q", name, server.Trace, server.Parent)
		}
		if !server.Server || server.Name != "PATCH /api/v1/app-connections/azure-client-secrets/{id}" ||
			server.Attrs["http.response.status_code"] != "418" ||
			server.Attrs["faas.invocation_id"] != "0b1e7e57-0000-4000-8000-00000000000a" || server.Attrs["faas.trigger"] != "http" || server.Failed {
			t.Errorf("%s: %+v", name, server)
		}
		if client.Parent != server.ID || client.Trace != server.Trace {
			t.Errorf("%s: the request is a child of %s in %s, not of its own server span", name, client.Parent, client.Trace)
		}
	}
	func() {
		defer func() { recover() }()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/panic", nil))
	}()
	tel.Flush(t.Context())
	if s := r.Spans(); s[len(s)-1].Attrs["http.response.status_code"] != "500" || !s[len(s)-1].Failed {
		t.Errorf("a panic left %+v", s[len(s)-1])
	}
	if strings.Contains(r.Text(), "canary") {
		t.Error("something of a request was exported")
	}
}
