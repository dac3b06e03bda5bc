package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hostHeaders are what only another host may say: the Functions host the first,
// App Service's authentication the others. Nothing in front of Lambda takes them out
// of what a client sends, so that is done here.
var hostHeaders = []string{"X-Azure-Functions-", "X-Ms-Invocation-Id", "X-Ms-Client-Principal", "X-Ms-Token-"}

// request turns the event into the request that a server would have received.
func (e *lambdaEvent) request(ctx context.Context) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, errors.New("decoding the request: its body is not base64, although it is said to be")
		}
	}
	header := e.header()
	// Like a server: these two are fields of the request. What was sent in chunks
	// has arrived in one piece.
	host := cmp.Or(header.Get("Host"), e.RequestContext.DomainName)
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding"} {
		header.Del(name)
	}
	if len(body) > 0 {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	u := e.url()
	r := &http.Request{
		Method: e.RequestContext.HTTP.Method, URL: u, RequestURI: u.RequestURI(), Host: host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		// The port is not told; 0 keeps the form that RemoteAddr has everywhere.
		RemoteAddr: net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0"),
	}
	return r.WithContext(ctx), nil
}

// header leaves the values of repeated headers joined as they came: code that splits
// them could take one for two.
func (e *lambdaEvent) header() http.Header {
	header := make(http.Header, len(e.Headers))
next:
	for name, value := range e.Headers {
		name = http.CanonicalHeaderKey(name)
		for _, prefix := range hostHeaders {
			if strings.HasPrefix(name, prefix) {
				continue next
			}
		}
		header[name] = append(header[name], value)
	}
	return header
}

// url takes path and query as they are. Function URLs send the path encoded; HTTP
// APIs have been seen to decode it, and what is then no longer a valid encoding is
// taken literally.
func (e *lambdaEvent) url() *url.URL {
	raw := cmp.Or(e.RawPath, "/")
	u := &url.URL{Path: raw, RawQuery: e.RawQueryString}
	if path, err := url.PathUnescape(raw); err == nil {
		u.Path, u.RawPath = path, raw
	}
	return u
}

// lambdaResponse is the response in payload format 2.0. Several cookies have no
// other place than Cookies.
type lambdaResponse struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// serveLambda lets h answer r. A panic becomes a 500, with nothing of what h had
// written by then.
func serveLambda(h http.Handler, r *http.Request, log *slog.Logger) (out *lambdaResponse) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(r.Context(), "panic in a handler", "panic", panicText(p), "stack", string(debug.Stack()))
			w := &lambdaWriter{header: http.Header{"Cache-Control": {"no-store"}}}
			http.Error(w, "Something went wrong inside Rekey.", http.StatusInternalServerError)
			out = w.response(r.Method)
		}
	}()
	w := &lambdaWriter{header: make(http.Header)}
	h.ServeHTTP(w, r)
	return w.response(r.Method)
}

// lambdaWriter keeps a response. Like a server, it sends the header as it is when
// the status is written.
type lambdaWriter struct {
	header http.Header
	status int // 0: not yet written
	sent   http.Header
	body   bytes.Buffer
}

func (w *lambdaWriter) Header() http.Header { return w.header }

// WriteHeader ignores informational statuses, which the format has no place for.
func (w *lambdaWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *lambdaWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !mayHaveBody(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	return w.body.Write(p)
}

func mayHaveBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

func (w *lambdaWriter) response(method string) *lambdaResponse {
	w.WriteHeader(http.StatusOK)
	body := w.body.Bytes()
	if _, set := w.sent["Content-Type"]; !set && len(body) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(body))
	}
	out := &lambdaResponse{StatusCode: w.status, Headers: make(map[string]string, len(w.sent))}
	for name, values := range w.sent {
		switch name {
		case "Set-Cookie":
			out.Cookies = values
		case "Content-Length", "Transfer-Encoding", "Connection": // the front end's to say
		default:
			out.Headers[name] = strings.Join(values, ", ")
		}
	}
	switch {
	case method == http.MethodHead:
	case isText(w.sent, body):
		out.Body = string(body)
	default:
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return out
}

// isText reports whether body may be put into JSON as it is.
func isText(header http.Header, body []byte) bool {
	if len(body) == 0 {
		return true
	}
	if header.Get("Content-Encoding") != "" || !utf8.Valid(body) {
		return false
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && (strings.HasPrefix(media, "text/") || media == "application/json" || strings.HasSuffix(media, "+json"))
}
