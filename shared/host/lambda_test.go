package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"rekey/shared/host"
)

// lambda invokes a handler with an event, given as JSON or as what encodes to it.
func lambda(t *testing.T, h http.Handler, tick func(context.Context) (any, error), event any) (any, error) {
	t.Helper()
	data, ok := event.(string)
	if !ok {
		encoded, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		data = string(encoded)
	}
	return host.LambdaHandler(h, tick, slog.New(slog.DiscardHandler))(t.Context(), json.RawMessage(data))
}

// received returns the request that the handler gets for an event, and its body.
func received(t *testing.T, event any) (*http.Request, string) {
	t.Helper()
	var got *http.Request
	var body []byte
	_, err := lambda(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}), noTick(t), event)
	if err != nil || got == nil {
		t.Fatalf("the handler was not asked: %v", err)
	}
	return got, string(body)
}

// answered returns the response to a request in the library's own type.
func answered(t *testing.T, method string, serve http.HandlerFunc) events.LambdaFunctionURLResponse {
	t.Helper()
	e := functionURL(method, "/", "")
	result, err := lambda(t, serve, noTick(t), e)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var response events.LambdaFunctionURLResponse
	if err := decoder.Decode(&response); err != nil {
		t.Fatalf("the response %s is not one of the format: %v", data, err)
	}
	return response
}

func noTick(t *testing.T) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		t.Error("the timer function ran")
		return nil, nil
	}
}

func noRequest(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
}

// functionURL is an event of a Function URL, in the library's own type.
func functionURL(method, path, query string) events.LambdaFunctionURLRequest {
	return events.LambdaFunctionURLRequest{
		Version: "2.0", RawPath: path, RawQueryString: query,
		Headers: map[string]string{"host": "abc.lambda-url.eu-central-1.on.aws"},
		RequestContext: events.LambdaFunctionURLRequestContext{
			DomainName: "abc.lambda-url.eu-central-1.on.aws",
			HTTP: events.LambdaFunctionURLRequestContextHTTPDescription{Method: method, Path: path, Protocol: "HTTP/1.1",
				SourceIP: "203.0.113.9", UserAgent: "test"},
		},
	}
}

// The events that AWS documents, in the form in which it documents them.
const (
	urlSample = `{"version":"2.0","rawPath":"/my/path","rawQueryString":"parameter1=value1&parameter1=value2&parameter2=value",
		"cookies":["cookie1=a","cookie2=b"],"headers":{"header1":"value1","header2":"value1,value2"},
		"queryStringParameters":{"parameter1":"value1,value2","parameter2":"value"},
		"requestContext":{"accountId":"123456789012","apiId":"id","authorizer":{"iam":{"accessKey":"AKIA","userId":"AIDA"}},
		"domainName":"id.lambda-url.us-west-2.on.aws","domainPrefix":"id",
		"http":{"method":"POST","path":"/my/path","protocol":"HTTP/1.1","sourceIp":"123.123.123.123","userAgent":"agent"},
		"requestId":"id","time":"12/Mar/2020:19:03:58 +0000","timeEpoch":1583348638390},
		"body":"Hello from client!","isBase64Encoded":false}`
	apiSample = `{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"",
		"headers":{"accept":"*/*","content-length":"0","host":"a.execute-api.us-west-2.amazonaws.com","x-forwarded-for":"1.2.3.4"},
		"requestContext":{"accountId":"123456789012","apiId":"a","authorizer":{"lambda":{"key":"value"}},
		"domainName":"a.execute-api.us-west-2.amazonaws.com","domainPrefix":"a",
		"http":{"method":"GET","path":"/","protocol":"HTTP/1.1","sourceIp":"1.2.3.4","userAgent":"curl/7.58.0"},
		"requestId":"LV7fzho-PHcEJPw=","routeKey":"$default","stage":"$default","time":"21/Apr/2020:15:08:21 +0000","timeEpoch":1587481701067},
		"isBase64Encoded":false}`
	ruleSample = `{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events",
		"account":"123456789012","time":"2015-10-08T16:53:06Z","region":"us-east-1",` +
		`"resources":["arn:aws:events:us-east-1:123456789012:rule/r"],"detail":{}}`
	schedulerSample = `{"rekey":"rotate-due"}`
)

func TestLambdaSamples(t *testing.T) {
	r, body := received(t, urlSample)
	if r.Method != "POST" || r.URL.Path != "/my/path" || r.RequestURI != "/my/path?parameter1=value1&parameter1=value2&parameter2=value" ||
		r.Host != "id.lambda-url.us-west-2.on.aws" || r.RemoteAddr != "123.123.123.123:0" || body != "Hello from client!" ||
		r.ContentLength != 18 {
		t.Errorf("Function URL: %s %s %s from %s, body %q", r.Method, r.Host, r.RequestURI, r.RemoteAddr, body)
	}
	if got := r.URL.Query()["parameter1"]; len(got) != 2 || got[0] != "value1" || got[1] != "value2" {
		t.Errorf("repeated query key: %q", got)
	}
	if r.Header.Get("Cookie") != "cookie1=a; cookie2=b" {
		t.Errorf("Cookie: %q", r.Header.Values("Cookie"))
	}
	if c, err := r.Cookie("cookie2"); err != nil || c.Value != "b" {
		t.Errorf("cookie2: %v, %v", c, err)
	}
	if got := r.Header["Header2"]; len(got) != 1 || got[0] != "value1,value2" {
		t.Errorf("repeated header: %q, want it joined as it came", got)
	}

	r, body = received(t, apiSample)
	if r.Method != "GET" || r.URL.Path != "/" || r.RequestURI != "/" || r.Host != "a.execute-api.us-west-2.amazonaws.com" || body != "" ||
		r.ContentLength != 0 {
		t.Errorf("HTTP API: %s %s %s, body %q", r.Method, r.Host, r.RequestURI, body)
	}
	if r.Header.Get("Host") != "" || r.Header.Get("Content-Length") != "" || r.Header.Get("Accept") != "*/*" {
		t.Errorf("HTTP API: header %v", r.Header)
	}
}

func TestLambdaRequest(t *testing.T) {
	e := functionURL("POST", "/a%2Fb/%C3%A9", "x=1&x=&y=%20&x=1")
	e.Body, e.IsBase64Encoded = "AAEC/w==", true
	e.Headers["content-length"], e.Headers["transfer-encoding"] = "8", "chunked"
	r, body := received(t, e)
	if r.URL.EscapedPath() != "/a%2Fb/%C3%A9" || r.URL.Path != "/a/b/é" || r.URL.RawQuery != "x=1&x=&y=%20&x=1" {
		t.Errorf("URL = %v, path %q", r.URL, r.URL.Path)
	}
	if body != "\x00\x01\x02\xff" || r.ContentLength != 4 || r.Header.Get("Content-Length") != "4" ||
		len(r.Header.Values("Transfer-Encoding")) != 0 {
		t.Errorf("body %q, %d bytes, header %v", body, r.ContentLength, r.Header)
	}

	// An HTTP API may have decoded the path.
	if r, _ = received(t, functionURL("GET", "/50% é", "")); r.URL.Path != "/50% é" || r.URL.EscapedPath() != "/50%25%20%C3%A9" {
		t.Errorf("decoded path: %q, %q", r.URL.Path, r.URL.EscapedPath())
	}
	if r, _ = received(t, functionURL("GET", "", "")); r.RequestURI != "/" {
		t.Errorf("no path: %q", r.RequestURI)
	}

	v6 := functionURL("GET", "/", "")
	v6.RequestContext.HTTP.SourceIP = "2001:db8::1"
	if r, _ = received(t, v6); r.RemoteAddr != "[2001:db8::1]:0" {
		t.Errorf("RemoteAddr = %q", r.RemoteAddr)
	}

	bad := functionURL("POST", "/", "")
	bad.Body, bad.IsBase64Encoded = "hidden!", true
	if _, err := lambda(t, noRequest(t), noTick(t), bad); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("a body that is not base64: %v", err)
	}
}

// A caller from outside must not be taken for the Functions host, or for
// App Service's authentication.
func TestLambdaDropsHostHeaders(t *testing.T) {
	e := functionURL("GET", "/", "")
	for _, name := range []string{"x-azure-functions-invocationid", "X-Azure-Functions-Anything", "x-ms-invocation-id",
		"x-ms-client-principal",
		"X-MS-CLIENT-PRINCIPAL-NAME", "x-ms-token-aad-access-token"} {
		e.Headers[name] = "0f8fad5b-d9cb-469f-a165-70867728950e"
	}
	e.Headers["x-ms-client-request-id"] = "stays"
	r, _ := received(t, e)
	if len(r.Header) != 1 || r.Header.Get("X-Ms-Client-Request-Id") != "stays" {
		t.Errorf("header = %v", r.Header)
	}
	if id, ok := host.InvocationID(r); ok {
		t.Errorf("invocation id %q from outside", id)
	}
}

func TestLambdaResponse(t *testing.T) {
	got := answered(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Add("Vary", "a")
		w.Header().Add("Vary", "b")
		http.SetCookie(w, &http.Cookie{Name: "one", Value: "1", Secure: true})
		http.SetCookie(w, &http.Cookie{Name: "two", Value: "2"})
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusConflict)
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Late", "x")
		io.WriteString(w, `{"é":1}`)
	})
	if got.StatusCode != 409 || got.Body != `{"é":1}` || got.IsBase64Encoded || got.Headers["Vary"] != "a, b" || got.Headers["Late"] != "" ||
		got.Headers["Set-Cookie"] != "" {
		t.Errorf("response %+v", got)
	}
	if len(got.Cookies) != 2 || got.Cookies[0] != "one=1; Secure" || got.Cookies[1] != "two=2" {
		t.Errorf("cookies %q", got.Cookies)
	}
	for name, tt := range map[string]struct {
		kind, body string
		want       string
		encoded    bool
	}{
		"HTML":                {"text/html; charset=utf-8", "<p>", "<p>", false},
		"problem":             {"application/problem+json", "{}", "{}", false},
		"sniffed":             {"", "plain", "plain", false},
		"binary":              {"application/octet-stream", "plain", "cGxhaW4=", true},
		"no UTF-8":            {"text/plain", "\xff", "/w==", true},
		"binary, sniffed":     {"", "\x00\x01", "AAE=", true},
		"not a type":          {"application/json; =", "{}", "e30=", true},
		"empty has no coding": {"image/png", "", "", false},
	} {
		got := answered(t, "GET", func(w http.ResponseWriter, r *http.Request) {
			if tt.kind != "" {
				w.Header().Set("Content-Type", tt.kind)
			}
			io.WriteString(w, tt.body)
		})
		if got.StatusCode != 200 || got.Body != tt.want || got.IsBase64Encoded != tt.encoded {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := answered(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "x")
	}); !got.IsBase64Encoded {
		t.Errorf("compressed: %+v", got)
	}
	if got := answered(t, "HEAD", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }); got.Body != "" ||
		got.StatusCode != 200 {
		t.Errorf("HEAD: %+v", got)
	}
	if got := answered(t, "GET", func(http.ResponseWriter, *http.Request) {}); got.StatusCode != 200 {
		t.Errorf("nothing written: %+v", got)
	}
	if got := answered(t, "GET", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Errorf("writing a body with 204: %v", err)
		}
	}); got.StatusCode != 204 || got.Body != "" {
		t.Errorf("204: %+v", got)
	}
}

func TestLambdaTick(t *testing.T) {
	for name, event := range map[string]string{"rule": ruleSample, "scheduler": schedulerSample} {
		ran := 0
		result, err := lambda(t, noRequest(t), func(context.Context) (any, error) { ran++; return map[string]int{"due": 2}, nil }, event)
		if data, _ := json.Marshal(result); err != nil || ran != 1 || string(data) != `{"due":2}` {
			t.Errorf("%s: ran %d times, %s, %v", name, ran, data, err)
		}
		failed := errors.New("no table")
		if _, err := lambda(t, noRequest(t), func(context.Context) (any, error) { return nil, failed }, event); !errors.Is(err, failed) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The pass ends while there is time to say so.
func TestLambdaDeadline(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	h := host.LambdaHandler(noRequest(t), func(ctx context.Context) (any, error) {
		if d, ok := ctx.Deadline(); !ok || deadline.Sub(d) != 3*time.Second {
			t.Errorf("the tick's deadline is %s before Lambda's", deadline.Sub(d))
		}
		return nil, nil
	}, slog.New(slog.DiscardHandler))
	if _, err := h(ctx, json.RawMessage(schedulerSample)); err != nil {
		t.Error(err)
	}
}

func TestLambdaPanics(t *testing.T) {
	var logged bytes.Buffer
	h := host.LambdaHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "half=done")
		io.WriteString(w, "half")
		panic("hidden")
	}), func(context.Context) (any, error) { panic("hidden") }, slog.New(slog.NewTextHandler(&logged, nil)))
	event, err := json.Marshal(functionURL("GET", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	result, err := h(t.Context(), event)
	data, _ := json.Marshal(result)
	if err != nil || !bytes.Contains(data, []byte(`"statusCode":500`)) || bytes.Contains(data, []byte("half")) ||
		bytes.Contains(data, []byte("hidden")) {
		t.Errorf("panic in a handler: %s, %v", data, err)
	}
	if _, err := h(t.Context(), json.RawMessage(schedulerSample)); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("panic in the tick: %v", err)
	}
	if n := strings.Count(logged.String(), "lambda_test.go"); n < 2 || strings.Contains(logged.String(), "hidden") {
		t.Errorf("log: %s", logged.String())
	}
}

func TestLambdaUnknownEvents(t *testing.T) {
	for name, event := range map[string]string{
		"nothing":                    `{}`,
		"null":                       `null`,
		"text":                       `"hidden"`,
		"list":                       `[{"rekey":"rotate-due"}]`,
		"SQS":                        `{"Records":[{"messageId":"1","body":"{\"rekey\":\"rotate-due\"}","eventSource":"aws:sqs"}]}`,
		"payload format 1.0":         `{"version":"1.0","path":"/hidden","httpMethod":"GET","requestContext":{"http":null}}`,
		"REST API":                   `{"resource":"/","path":"/hidden","httpMethod":"GET","requestContext":{"stage":"prod"}}`,
		"load balancer":              `{"requestContext":{"elb":{"targetGroupArn":"arn"}},"httpMethod":"GET","path":"/hidden"}`,
		"WebSocket":                  `{"requestContext":{"routeKey":"$connect","eventType":"CONNECT"}}`,
		"2.0 without http":           `{"version":"2.0","rawPath":"/hidden","requestContext":{}}`,
		"another rule":               `{"version":"0","detail-type":"hidden","source":"aws.events","detail":{}}`,
		"another source's event":     `{"version":"0","detail-type":"Scheduled Event","source":"hidden","detail":{"rekey":"rotate-due"}}`,
		"own event, as the input":    `{"version":"0","detail-type":"x","source":"hidden","rekey":"rotate-due"}`,
		"another input":              `{"rekey":"hidden"}`,
		"scheduler without input":    `{"version":"0","id":"1","detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}`,
		"members of other types":     `{"version":2,"source":{"hidden":1}}`,
		"AppSync, with its source":   `{"source":{"hidden":1},"rekey":"rotate-due"}`,
		"number that an error shows": `{"version":123456789}`,
	} {
		_, err := lambda(t, noRequest(t), noTick(t), event)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, word := range []string{"Function URL", "HTTP API", "Scheduled Event", `{"rekey":"rotate-due"}`} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
		if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "123456789") {
			t.Errorf("%s: %q quotes the event", name, err)
		}
	}
}
