package host_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"rekey/shared/host"
	"rekey/shared/rotationtest/canary"
)

// Whatever the host's port receives as an invocation is answered by a JSON object, with
// 200 if the function ran and with 500 if that was no invocation; nothing of the body
// is in the answer or in the log.
func FuzzTimer(f *testing.F) {
	quoted, err := json.Marshal(`{"IsPastDue":true,"ScheduleStatus":{"Last":"2026-11-22T17:00:00"}}`)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		tick, "", "null", "{}", "tick", canary.Mark, `"` + canary.Mark + `"`, `{"Data":null}`, `{"Data":{}}`, `{"Data":7}`,
		`{"Data":{"` + canary.Mark + `":"` + canary.Mark + `"}}`,
		`{"Data":{"t":` + string(quoted) + `}}`, `{"data":{"t":{"isPastDue":1,"ScheduleStatus":[{}]}}}`,
		`{"Data":{"t":"{\"IsPastDue\":\"` + canary.Mark + `\"}"}}`,
		`{"Data":{"t":{"ScheduleStatus":{"Last":"9999-12-31T23:59:59.9999999+14:00"}}}}`, `{"Data":{"a":[[[[]]]],"b":{"IsPastDue":true}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range canary.Planted(body) {
			checkTimer(t, b)
		}
	})
}

func checkTimer(t *testing.T, body []byte) {
	t.Helper()
	var got *host.Timer
	h := host.TimerHandler("rotatedue", func(_ context.Context, tm host.Timer) (any, error) {
		got = &tm
		return map[string]int{"passes": 1}, nil
	})
	var logged bytes.Buffer
	server := &http.Server{ErrorLog: log.New(&logged, "", 0)}
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.ServerContextKey, server), http.MethodPost,
		"http://127.0.0.1:80/rotatedue", bytes.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Azure-Functions-InvocationId", invocationID)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)

	var outer map[string]json.RawMessage
	valid := json.Unmarshal(body, &outer) == nil
	var answer struct {
		Outputs     map[string]any
		Logs        []string
		ReturnValue any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Outputs == nil || len(answer.Logs) != 1 ||
		w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("the answer is %q, %v", w.Body, err)
	}
	switch {
	case got == nil && (w.Code != http.StatusInternalServerError || logged.Len() == 0):
		t.Errorf("it did not run: status %d, log %q", w.Code, &logged)
	case got != nil && (!valid || w.Code != http.StatusOK || logged.Len() > 0 || got.InvocationID != invocationID):
		t.Errorf("it ran as %+v: status %d, log %q", got, w.Code, &logged)
	}
	if got != nil && (got.Last.Location() != time.UTC || got.Next.Location() != time.UTC || got.LastUpdated.Location() != time.UTC) {
		t.Errorf("times that are not in UTC: %+v", got)
	}
	if canary.Quoted(w.Body.String() + logged.String()) {
		t.Errorf("the invocation is quoted: %s %s", w.Body, &logged)
	}
}

// echoes answers with the body that it got, and sets more than one cookie.
func echoes(t *testing.T, got **http.Request) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*got = r
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("a body of %d bytes, %v; said to be %d", len(body), err, r.ContentLength)
		}
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(http.StatusTeapot)
		w.Write(body)
	})
}

// Whatever event comes, it is a request, a tick or an error, and the error quotes
// nothing of it. A request reaches the handler as a server would pass it on, without
// what only another host may say, and its answer is one that the front end takes.
func FuzzLambda(f *testing.F) {
	for _, e := range []any{
		functionURL(http.MethodPost, "/api/v1/app-connections", `{"name":"billing"}`), functionURL(http.MethodGet, "/a%2Fb/%zz", ""),
		events.APIGatewayV2HTTPRequest{
			Version: "2.0", RouteKey: "$default", RawPath: "/ä b", RawQueryString: "a=1&a=2", Cookies: []string{"a=1", "b=2"},
			IsBase64Encoded: true, Body: "AAEC/w==",
			Headers: map[string]string{"content-type": "application/octet-stream", "x-ms-client-principal": "boss", "Content-Length": "7",
				"transfer-encoding": "chunked"},
			RequestContext: events.APIGatewayV2HTTPRequestContext{HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "PATCH",
				SourceIP: "2001:db8::1"}},
		},
		events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/"},
		events.CloudWatchEvent{Version: "0", Source: "aws.events", DetailType: "Scheduled Event", Detail: json.RawMessage(`{}`)},
	} {
		data, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{
		"", "null", "[]", `"rotate-due"`, `{"rekey":"rotate-due"}`, `{"rekey":"rotate-due","source":"aws.s3"}`, `{"rekey":7}`, canary.Mark,
		`{"version":"2.0","requestContext":{"http":{"method":""}}}`,
		`{"version":"2.0","isBase64Encoded":true,"body":"` + canary.Mark + `","requestContext":{"http":{"method":"GET"}}}`,
		`{"version":"2.0","rawPath":"//evil.example/%2e%2e","rawQueryString":"#?",` +
			`"headers":{"HOST":"a","host":"b","X-Azure-Functions-InvocationId":"c","":""},"requestContext":{"http":{"method":"\n"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		for _, e := range canary.Planted(event) {
			checkLambda(t, e)
		}
	})
}

func checkLambda(t *testing.T, event []byte) {
	t.Helper()
	var got *http.Request
	ticks := 0
	var logged bytes.Buffer
	handle := host.LambdaHandler(echoes(t, &got), func(context.Context) (any, error) {
		ticks++
		return nil, errors.New("tick")
	}, slog.New(slog.NewTextHandler(&logged, nil)))
	result, err := handle(t.Context(), json.RawMessage(event))
	if logged.Len() > 0 {
		t.Errorf("logged: %s", &logged)
	}
	switch {
	case ticks == 1 && got == nil:
		if err == nil || err.Error() != "tick" || result != nil {
			t.Errorf("the tick's error became %v, %v", result, err)
		}
	case ticks == 0 && got != nil && err == nil:
		checkRequest(t, event, got)
		checkResponse(t, event, result)
	case ticks > 0 || got != nil || err == nil || result != nil:
		t.Errorf("%d ticks, request %v, result %v, %v", ticks, got, result, err)
	case canary.Quoted(err.Error()):
		t.Errorf("the event is quoted: %v", err)
	}
}

// asked is what an event says, in the library's own type.
func asked(t *testing.T, event []byte) (e events.LambdaFunctionURLRequest) {
	t.Helper()
	if err := json.Unmarshal(event, &e); err != nil {
		t.Skip("the library's type is stricter, about members that are of no use here")
	}
	return e
}

func checkRequest(t *testing.T, event []byte, r *http.Request) {
	t.Helper()
	e := asked(t, event)
	if r.Method == "" || r.URL == nil || r.RequestURI != r.URL.RequestURI() || r.URL.RawQuery != e.RawQueryString {
		t.Errorf("request %+v", r)
	}
	if path, err := url.PathUnescape(e.RawPath); err == nil && e.RawPath != "" &&
		(r.URL.Path != path || r.URL.EscapedPath() != e.RawPath && r.URL.EscapedPath() != (&url.URL{Path: path}).EscapedPath()) {
		t.Errorf("the path %q became %q, %q", e.RawPath, r.URL.Path, r.URL.EscapedPath())
	}
	for name := range r.Header {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("the header %q is not found by its name", name)
		}
		for _, others := range []string{"Host", "Transfer-Encoding", "X-Azure-Functions-", "X-Ms-Invocation-Id", "X-Ms-Client-Principal",
			"X-Ms-Token-"} {
			if name == others || strings.HasPrefix(name, others) && strings.HasPrefix(others, "X-") {
				t.Errorf("the header %s came through", name)
			}
		}
	}
	if _, ok := host.InvocationID(r); ok {
		t.Error("a client made up an invocation id")
	}
}

func checkResponse(t *testing.T, event []byte, result any) {
	t.Helper()
	data, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	var out events.LambdaFunctionURLResponse
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil || out.StatusCode != http.StatusTeapot || len(out.Cookies) != 2 {
		t.Fatalf("answer %s, %v", data, err)
	}
	e := asked(t, event)
	want, body := []byte(e.Body), []byte(out.Body)
	if e.IsBase64Encoded {
		want, _ = base64.StdEncoding.DecodeString(e.Body)
	}
	if out.IsBase64Encoded {
		if body, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
			t.Errorf("the answer's body: %v", err)
		}
	}
	if e.RequestContext.HTTP.Method == http.MethodHead {
		want = nil
	}
	if !bytes.Equal(body, want) {
		t.Errorf("the body %q came back as %q", want, body)
	}
}
