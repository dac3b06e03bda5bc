package functionshost_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"rekey/shared/emulator/functionshost"
)

const clientID = "11111111-2222-4333-8444-555555555555"

var guid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestRouting(t *testing.T) {
	r := start(t, app(files{
		"by-id/function.json":   httpFunction("items/{id:int}", ""),
		"by-guid/function.json": httpFunction("things/{id:guid}/parts", `"GET","post"`),
		"step/function.json":    httpFunction("oauth/{step}", ""),
		"plain/function.json":   httpFunction("", ""),
	}), "well", nil)
	for _, tc := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/api", http.StatusTeapot},
		{"GET", "/api/", http.StatusTeapot},
		{"DELETE", "/API/v1/connections", http.StatusTeapot},
		{"GET", "/apiary", http.StatusNotFound},
		{"GET", "/health", http.StatusTeapot},
		{"GET", "/health/", http.StatusTeapot},
		{"POST", "/health", http.StatusNotFound},
		{"GET", "/items/42", http.StatusTeapot},
		{"GET", "/items/x", http.StatusNotFound},
		{"GET", "/items", http.StatusNotFound},
		{"POST", "/things/" + clientID + "/parts", http.StatusTeapot},
		{"PUT", "/things/" + clientID + "/parts", http.StatusNotFound},
		{"POST", "/things/1/parts", http.StatusNotFound},
		{"GET", "/oauth/start", http.StatusTeapot},
		{"GET", "/oauth/start/2", http.StatusNotFound},
		{"GET", "/oauth//", http.StatusNotFound},
		{"GET", "/plain", http.StatusTeapot},
		{"POST", "/tick", http.StatusNotFound}, // a timer has no route
		{"GET", "/runtime/webhooks", http.StatusNotFound},
		{"GET", "/admin/unknown", http.StatusNotFound},
		{"GET", "/", http.StatusOK}, // the host's homepage
	} {
		resp, _ := r.do(t, tc.method, tc.path, nil, nil)
		if resp.StatusCode != tc.want {
			t.Errorf("%s %s = %d, want %d", tc.method, tc.path, resp.StatusCode, tc.want)
		}
	}
}

func TestRoutePrefix(t *testing.T) {
	r := start(t, app(files{"host.json": strings.Replace(hostJSON, `"routePrefix":""`, `"routePrefix":"/v2/"`, 1)}), "well", nil)
	for path, want := range map[string]int{"/v2/health": http.StatusTeapot, "/health": http.StatusNotFound} {
		if resp, _ := r.do(t, http.MethodGet, path, nil, nil); resp.StatusCode != want {
			t.Errorf("GET %s = %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestProxying(t *testing.T) {
	r := start(t, app(nil), "well", nil)
	header := http.Header{
		"X-Azure-Functions-Invocationid": {clientID}, "X-Forwarded-For": {"203.0.113.9"},
		"Content-Language": {"de"}, "User-Agent": {"test"},
	}
	chunked := struct{ io.Reader }{strings.NewReader("text")}
	_, got := r.do(t, http.MethodPost, "/api/a%2Fb/c?a=1&a=2&b;c", chunked, header)

	if got.Method != "POST" || got.URI != "/api/a%252Fb/c?a=1&a=2&b;c" || got.Body != "text" || !got.Chunked {
		t.Errorf("the handler got %+v", got)
	}
	if !strings.HasPrefix(got.Host, "127.0.0.1:") || "http://"+got.Host == r.url {
		t.Errorf("Host = %q, want the handler's own address", got.Host)
	}
	ids := got.Header["X-Azure-Functions-Invocationid"]
	if len(ids) != 1 || !guid.MatchString(ids[0]) || ids[0] == clientID {
		t.Errorf("invocation id = %q, want one of the host's own", ids)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": strings.TrimPrefix(r.url, "http://"), "X-Forwarded-Proto": "http",
		"Content-Language": "de", "User-Agent": "test", "X-Azure-Functions-Hostversion": "4.1037.0.0", "X-Ms-Invocation-Id": ids[0],
	} {
		if v := got.Header[name]; len(v) != 1 || v[0] != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
}

func TestProxyingSendsAgain(t *testing.T) {
	t.Parallel()
	r := start(t, app(nil), "well", nil)
	for _, tc := range []struct {
		name, path string
		body       io.Reader
		want       int // status
		attempt    int
	}{
		{"no body", "/api/x?drop=3", nil, http.StatusTeapot, 4},
		{"short body", "/api/x?drop=1", strings.NewReader("once more"), http.StatusTeapot, 2},
		{"stream that was read", "/api/x?drop=1", struct{ io.Reader }{strings.NewReader("gone")}, http.StatusInternalServerError, 0},
		{"never answered", "/api/x?drop=10", nil, http.StatusInternalServerError, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // most of the time is spent waiting
			resp, got := r.do(t, http.MethodPost, tc.path, tc.body, nil)
			if resp.StatusCode != tc.want || got.Attempt != tc.attempt {
				t.Errorf("answer = %d at attempt %d, want %d at %d", resp.StatusCode, got.Attempt, tc.want, tc.attempt)
			}
			if tc.name == "short body" && got.Body != "once more" {
				t.Errorf("body = %q", got.Body)
			}
		})
	}
}

func TestForwarding(t *testing.T) {
	r := start(t, app(nil), "well", func(c *functionshost.Config) { c.Mode = functionshost.Forwarding })
	header := http.Header{
		"X-Azure-Functions-Invocationid": {clientID}, "Content-Language": {"de"},
		"Content-Type": {"text/plain"}, "User-Agent": {"test"},
	}
	resp, got := r.do(t, http.MethodPost, "/api/a%20b?a=1&b=&a=2%26", strings.NewReader("text"), header)
	if resp.StatusCode != http.StatusTeapot || got.Body != "text" || got.Chunked {
		t.Errorf("answer = %d, the handler got %+v", resp.StatusCode, got)
	}
	if got.URI != "/api/a%20b?a=1,2%26&b=" {
		t.Errorf("URI = %s, want repeated names joined", got.URI)
	}
	if "http://"+got.Host != r.url {
		t.Errorf("Host = %q, want the client's %q", got.Host, r.url)
	}
	ids := got.Header["X-Azure-Functions-Invocationid"]
	if own, ok := strings.CutPrefix(strings.Join(ids, "|"), clientID+", "); !ok || !guid.MatchString(own) {
		t.Errorf("invocation ids = %q, want the client's and the host's in one line", ids)
	}
	if got.Header.Get("User-Agent") != "test Azure-Functions-Host/4.1037.0.0" || got.Header.Get("Content-Type") != "text/plain" ||
		got.Header.Get("Content-Language") != "" || got.Header.Get("X-Forwarded-For") != "" {
		t.Errorf("headers = %v", got.Header)
	}

	resp, _ = r.do(t, http.MethodPost, "/api/x", struct{ io.Reader }{strings.NewReader("dropped")}, header)
	if resp.StatusCode != http.StatusInternalServerError || resp.Header.Get("X-Handler") != "" {
		t.Errorf("a chunked body: status %d, want a 500 of the host's", resp.StatusCode)
	}
}

// .NET's client sends again what has no body, whatever the method.
func TestForwardingSendsAgain(t *testing.T) {
	r := start(t, app(nil), "well", func(c *functionshost.Config) { c.Mode = functionshost.Forwarding })
	for _, tc := range []struct {
		name, method, path string
		body               io.Reader
		want, attempt      int
	}{
		{"read", http.MethodGet, "/api/x?drop=1", nil, http.StatusTeapot, 2},
		{"write", http.MethodPost, "/api/x?drop=3", nil, http.StatusTeapot, 4},
		{"four times", http.MethodPost, "/api/x?drop=4", nil, http.StatusInternalServerError, 0},
		{"with a body", http.MethodPost, "/api/x?drop=1", strings.NewReader("text"), http.StatusInternalServerError, 0},
	} {
		resp, got := r.do(t, tc.method, tc.path, tc.body, nil)
		if resp.StatusCode != tc.want || got.Attempt != tc.attempt {
			t.Errorf("%s: answer %d at attempt %d, want %d at %d", tc.name, resp.StatusCode, got.Attempt, tc.want, tc.attempt)
		}
	}
}

// The proxying mode ends a request whose client has left, the forwarding mode does not.
func TestClientThatLeaves(t *testing.T) {
	for name, mode := range map[string]functionshost.Mode{"forwarding": functionshost.Forwarding, "proxying": functionshost.Proxying} {
		t.Run(name, func(t *testing.T) {
			r := start(t, app(nil), "well", func(c *functionshost.Config) { c.Mode = mode })
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/x?left", nil)
			if err != nil {
				t.Fatal(err)
			}
			left := make(chan error, 1)
			go func() {
				_, err := http.DefaultClient.Do(req)
				left <- err
			}()
			r.line(t, "waiting")
			leave()
			if err := next(t, left); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if mode == functionshost.Proxying {
				r.line(t, "left")
				return
			}
			// It is still there, and answers when it is told to.
			r.do(t, http.MethodGet, "/api/x?go", nil, nil)
			r.line(t, "stayed")
		})
	}
}

// What becomes of a path on its way, in both modes.
func TestPaths(t *testing.T) {
	paths := []struct{ sent, forwarded, proxied string }{
		{"/api/x", "/api/x", "/api/x"},
		{"/api/%61%2Db", "/api/a-b", "/api/a-b"},
		{"/api/a%2Fb", "/api/a%2Fb", "/api/a%252Fb"},
		{"/api/a%2fb", "/api/a%2fb", "/api/a%252fb"},
		{"/api/a%252Fb", "/api/a%2Fb", "/api/a%252Fb"},
		{"/api/a%2541", "/api/aA", "/api/a%2541"},
		{"/api/50%25", "/api/50%25", "/api/50%25"},
		{"/api/a%3Fb", "/api/a", "/api/a%3Fb"},
		{"/api/a%23b", "/api/a", "/api/a%23b"},
		{"/api/a%5Cb", "/api/a/b", "/api/a%5Cb"},
		{"/api/%C3%A9%20%22", "/api/%C3%A9%20%22", "/api/%C3%A9%20%22"},
		{"/api/%c0%af", "/api/%c0%af", "/api/%25c0%25af"},
		{"/api/%e2%82", "/api/%e2%82", "/api/%25e2%2582"},
		{"/api/x/%2e%2E/./y/z/..", "/api/y/", "/api/y/"},
		{"/up/../api/x/.", "/api/x/", "/api/x/"},
		{"/api/a%2F..%2Fb", "/api/a%2F..%2Fb", "/api/a%252F..%252Fb"},
	}
	for name, mode := range map[string]functionshost.Mode{"forwarding": functionshost.Forwarding, "proxying": functionshost.Proxying} {
		t.Run(name, func(t *testing.T) {
			r := start(t, app(nil), "well", func(c *functionshost.Config) { c.Mode = mode })
			for _, p := range paths {
				want := p.proxied
				if mode == functionshost.Forwarding {
					want = p.forwarded
				}
				if _, got := r.do(t, http.MethodGet, p.sent, nil, nil); got.URI != want {
					t.Errorf("%s arrives as %s, want %s", p.sent, got.URI, want)
				}
			}
			if resp, _ := r.do(t, http.MethodGet, "/api/a%00b", nil, nil); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("a zero byte: %d, want 400", resp.StatusCode)
			}
			if resp, _ := r.do(t, http.MethodGet, "/health%2Fx", nil, nil); resp.StatusCode != http.StatusNotFound {
				t.Errorf("an encoded slash is one to the routes: %d, want 404", resp.StatusCode)
			}
		})
	}
}

func TestModeOfHostJSON(t *testing.T) {
	forwarding := strings.Replace(hostJSON, `,"enableProxyingHttpRequest":true`, "", 1)
	r := start(t, app(files{"host.json": forwarding}), "well", nil)
	if _, got := r.do(t, http.MethodGet, "/health", nil, nil); "http://"+got.Host != r.url {
		t.Errorf("Host = %q: not forwarded", got.Host)
	}
}

func TestBodyLimit(t *testing.T) {
	r := start(t, app(nil), "well", nil)
	req, err := http.NewRequest(http.MethodPost, r.url+"/api/x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("")), 104857601
	req.Header.Set("Expect", "100-continue") // the answer comes before the body
	resp, err := (&http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 1 << 40}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status = %d, want 413", resp.StatusCode)
	}
}

// A catch-all under an empty prefix lets an outsider reach the path of a timer,
// as on the real host; the handler has to refuse it, in both modes.
func TestOutsiderAtTheTimersPath(t *testing.T) {
	for name, mode := range map[string]functionshost.Mode{"forwarding": functionshost.Forwarding, "proxying": functionshost.Proxying} {
		t.Run(name, func(t *testing.T) {
			r := start(t, app(files{
				"good/function.json": timerFunction(never, ""),
				"zzz/function.json":  httpFunction("{*any}", ""),
			}), "well", func(c *functionshost.Config) { c.Mode = mode })
			header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Azure-Functions-Host/4.1037.0.0"}}
			resp, _ := r.do(t, http.MethodPost, "/good", strings.NewReader(`{"Data":{"timer":{}}}`), header)
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("status = %d, want 404", resp.StatusCode)
			}
			resp, _ = r.do(t, http.MethodPost, "/other", nil, nil)
			if resp.StatusCode != http.StatusTeapot {
				t.Errorf("status = %d: the catch-all does not reach the handler", resp.StatusCode)
			}
		})
	}
}
