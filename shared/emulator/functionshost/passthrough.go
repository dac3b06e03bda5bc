package functionshost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// How the proxying mode sends a request again (RetryProxyHandler).
const (
	maxAttempts = 10
	firstDelay  = 50 * time.Millisecond
	lastDelay   = 250 * time.Millisecond
	// keptBody is how long a body may be to be sent again.
	keptBody = 64 << 10
)

func newTransport() *http.Transport {
	return &http.Transport{
		DisableCompression: true, // answers pass unchanged
		// On a connection that was used before Go sends some requests again by
		// itself; here only the host may do that, by its own rules.
		DisableKeepAlives: true,
	}
}

// proxy passes r on as enableProxyingHttpRequest does: unchanged and streamed,
// but for the path, which is escaped anew (see [proxiedPath]), the Host, and
// X-Forwarded-* and the id of the invocation, which overwrite a client's: the handler
// learns of nothing before the host's own peer. A handler that cannot be reached gives
// an empty 500.
func (h *Host) proxy(w http.ResponseWriter, r *http.Request, f *function, path, id string) {
	err := h.bounded(r.Context(), func(ctx context.Context) error {
		var failed error
		proxy := httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host = "http", h.worker.addr()
				p.Out.URL.Path, p.Out.URL.RawPath = path, proxiedPath(path)
				p.Out.URL.RawQuery = p.In.URL.RawQuery
				p.Out.Host = ""
				p.SetXForwarded()
				p.Out.Header.Set(invocationHeader, id)
				p.Out.Header.Set("x-ms-invocation-id", id)
				p.Out.Header.Set(versionHeader, version)
			},
			Transport:     &resending{next: h.transport, log: h.log},
			FlushInterval: -1,
			ErrorLog:      slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
			ErrorHandler:  func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
		}
		proxy.ServeHTTP(w, r.WithContext(ctx))
		return failed
	})
	h.fail(w, f, id, err)
}

// fail answers an invocation that got no answer from the handler.
func (h *Host) fail(w http.ResponseWriter, f *function, id string, err error) {
	if err == nil {
		return
	}
	status := http.StatusInternalServerError
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status = http.StatusRequestEntityTooLarge
	}
	h.log.Error("invocation failed", "function", f.name, "invocation", id, "error", err)
	w.WriteHeader(status)
}

// resending sends a request again when there was no answer to it, up to ten
// times in all and without regard to its method. A body is sent again if it is
// short, or was not touched yet. The first is more than the real host does, whose
// bodies are streams that can be read once: it makes requests that change something,
// which have short bodies, arrive twice where the real one would answer 500.
type resending struct {
	next http.RoundTripper
	log  *slog.Logger
}

func (t *resending) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	body, err := keepBody(r)
	if err != nil {
		return nil, err
	}
	delay := firstDelay
	for attempt := 1; ; attempt++ {
		out := r.Clone(ctx)
		out.Body = body.open()
		resp, err := t.next.RoundTrip(out)
		if err == nil || attempt == maxAttempts || ctx.Err() != nil || !body.reusable() {
			return resp, err
		}
		t.log.Warn("the handler did not answer; the request is sent again", "attempt", attempt, "error", err)
		wait := time.NewTimer(delay)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, fmt.Errorf("sending the request again: %w", context.Cause(ctx))
		}
		delay = min(2*delay, lastDelay)
	}
}

// keptRequestBody is a body that can perhaps be sent again: none, a short one
// that was read ahead, or a stream until something has read from it.
type keptRequestBody struct {
	kept   []byte
	stream io.ReadCloser
	read   atomic.Bool
}

func keepBody(r *http.Request) (*keptRequestBody, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return &keptRequestBody{}, nil
	}
	if r.ContentLength < 0 || r.ContentLength > keptBody {
		return &keptRequestBody{stream: r.Body}, nil
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return &keptRequestBody{kept: data}, nil
}

func (b *keptRequestBody) reusable() bool { return !b.read.Load() }

func (b *keptRequestBody) open() io.ReadCloser {
	switch {
	case b.stream != nil:
		return io.NopCloser(b)
	case len(b.kept) > 0:
		return io.NopCloser(bytes.NewReader(b.kept))
	default:
		return http.NoBody
	}
}

// Read reads the stream, which makes it unfit for being sent again.
func (b *keptRequestBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.stream.Read(p)
}

// contentHeaders are lost in the forwarding mode: .NET takes them for the
// body's, which is made anew.
var contentHeaders = []string{
	"Allow", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length",
	"Content-Location", "Content-Md5", "Content-Range", "Content-Type", "Expires", "Last-Modified",
}

// hopHeaders concern one connection only.
var hopHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// forward passes r on as enableForwardingHttpRequest does, with its quirks: the
// query is rebuilt with repeated names joined by comma, the path is written anew (see
// [forwardedPath]), the id is joined to one that the client sent, and the answer is sent
// when it is complete. A client that leaves ends nothing. A chunked body is a 500: the
// host copies the Transfer-Encoding and has no content for it, which .NET's client refuses.
func (h *Host) forward(w http.ResponseWriter, r *http.Request, f *function, path, id string) {
	err := h.bounded(h.lifetime, func(ctx context.Context) error {
		out, err := h.rebuild(ctx, r, path, id)
		if err != nil {
			return err
		}
		resp, err := h.sendForwarded(out)
		if err != nil {
			return fmt.Errorf("forwarding the request: %w", err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("reading the handler's answer: %w", err)
		}
		for name, values := range resp.Header {
			if !slices.Contains(hopHeaders, name) {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(body) // the client has gone
		return nil
	})
	h.fail(w, f, id, err)
}

// sendForwarded sends a request as .NET's client does (HttpConnectionPool): if it has no
// body and the connection is closed without an answer, up to three times more, also a
// POST.
func (h *Host) sendForwarded(out *http.Request) (*http.Response, error) {
	const more = 3
	for again := 0; ; again++ {
		resp, err := h.transport.RoundTrip(out)
		network, _ := errors.AsType[*net.OpError](err)
		if err == nil || again == more || out.ContentLength != 0 || out.Context().Err() != nil || network != nil && network.Op == "dial" {
			return resp, err
		}
		h.log.Warn("the handler closed the connection; the request is sent again", "again", again+1, "error", err)
	}
}

func (h *Host) rebuild(ctx context.Context, r *http.Request, path, id string) (*http.Request, error) {
	if r.ContentLength < 0 {
		return nil, errors.New("rebuilding the request: in the forwarding mode the host passes on no body without a Content-Length")
	}
	target := "http://" + h.worker.addr() + forwardedPath(path)
	if query := joinQuery(r.URL.RawQuery); query != "" {
		target += "?" + query
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, target, nil)
	if err != nil {
		return nil, fmt.Errorf("rebuilding the request: %w", err)
	}
	for name, values := range r.Header {
		if !slices.Contains(contentHeaders, name) && !slices.Contains(hopHeaders, name) {
			out.Header[name] = slices.Clone(values)
		}
	}
	out.Host = r.Host
	// .NET writes several values of a header into one line.
	for name, value := range map[string]string{invocationHeader: id, versionHeader: version} {
		out.Header.Set(name, strings.Join(append(r.Header.Values(name), value), ", "))
	}
	out.Header.Set("User-Agent", strings.TrimSpace(r.UserAgent()+" "+userAgent))
	if r.ContentLength > 0 {
		out.Body, out.ContentLength = r.Body, r.ContentLength
		if t := r.Header.Get("Content-Type"); t != "" {
			out.Header.Set("Content-Type", t)
		}
	}
	return out, nil
}

// joinQuery rebuilds a query as the host does from its dictionary: names in
// their first order, each once, with its values joined by comma.
func joinQuery(query string) string {
	var names []string
	values := make(map[string][]string)
	for pair := range strings.SplitSeq(query, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(rawName)
		value, valueErr := url.QueryUnescape(rawValue)
		if pair == "" || nameErr != nil || valueErr != nil {
			continue
		}
		if _, ok := values[name]; !ok {
			names = append(names, name)
		}
		values[name] = append(values[name], value)
	}
	for i, name := range names {
		for j, value := range values[name] {
			values[name][j] = url.QueryEscape(value)
		}
		names[i] = url.QueryEscape(name) + "=" + strings.Join(values[name], ",")
	}
	return strings.Join(names, "&")
}
