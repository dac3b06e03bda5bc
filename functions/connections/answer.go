package connections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/host"
)

// problem is an error of the API itself.
type problem struct {
	status  int
	message string
	code    string        // of a connection.Error
	after   time.Duration // how long to wait; 0: no use to
	allow   []string      // of 405: the methods that the address takes
	cause   error         // for the log; nil: there is nothing more to say
}

func (p *problem) Error() string { return p.message }

func (p *problem) Unwrap() error { return p.cause }

func badRequest(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *problem {
	return &problem{status: http.StatusForbidden, message: fmt.Sprintf(format, args...)}
}

func notFound(message string) *problem {
	return &problem{status: http.StatusNotFound, message: message}
}

// describe says what a caller can do about err, and nothing else.
func describe(err error) problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return *p
	}
	if e, ok := errors.AsType[*connection.Error](err); ok {
		return problem{status: statusOf(e.Kind), message: e.Message, code: e.Code, after: e.RetryAfter}
	}
	switch {
	case errors.Is(err, auth.ErrUnconfigured):
		const message = "No callers are configured, so Rekey refuses every caller. The log says what to set."
		return problem{status: http.StatusUnauthorized, message: message}
	case errors.Is(err, auth.ErrUnauthenticated):
		return problem{status: http.StatusUnauthorized,
			message: "Send an API key that this deployment knows, or an Entra access token for it, as Authorization: Bearer <key or token>."}
	}
	return problem{
		status: http.StatusInternalServerError, message: "Something went wrong inside Rekey. The log has more under this request id.", cause: err,
	}
}

// fail answers with an error.
func (h *Handler) fail(ctx context.Context, w http.ResponseWriter, id string, err error) {
	p := describe(err)
	switch {
	case errors.Is(err, auth.ErrUnconfigured):
		h.log().WarnContext(ctx, "refused: no callers are configured", "advice",
			"set REKEY_API_KEYS (make apikey prints an entry), or REKEY_AUTH_TENANT_ID and REKEY_AUTH_AUDIENCE")
	case p.status >= http.StatusInternalServerError && p.cause != nil:
		h.log().ErrorContext(ctx, "request failed", "request", id, "reason", serviceerror.ClassOf(p.cause), "type", fmt.Sprintf("%T", p.cause))
	}
	header := w.Header()
	if p.status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="rekey"`)
	}
	if p.after > 0 {
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.after.Seconds()))))
	}
	if len(p.allow) > 0 {
		header.Set("Allow", strings.Join(p.allow, ", "))
	}
	said := map[string]any{"reqId": id, "statusCode": p.status, "error": host.StatusName(p.status), "message": p.message}
	if p.code != "" {
		said["code"] = p.code
	}
	h.write(w, p.status, said)
}

func statusOf(k connection.Kind) int {
	switch k {
	case connection.Invalid, connection.Taken:
		return http.StatusBadRequest
	case connection.Conflict:
		return http.StatusConflict
	case connection.Forbidden:
		return http.StatusForbidden
	case connection.NotFound:
		return http.StatusNotFound
	case connection.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// The headers of every answer. It is JSON for programs: a browser that is shown one
// must neither keep it nor run, frame or refer anything.
var headers = map[string]string{
	"Content-Type":            "application/json; charset=utf-8",
	"Cache-Control":           "no-store",
	"X-Content-Type-Options":  "nosniff",
	"X-Frame-Options":         "DENY",
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":         "no-referrer",
}

// answer writes what an operation returned.
func (h *Handler) answer(w http.ResponseWriter, v any) {
	if f, ok := v.(*csvFile); ok {
		h.writeCSV(w, f)
		return
	}
	h.write(w, http.StatusOK, v)
}

func (h *Handler) write(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // our own types: a mistake in this package
		status, data = http.StatusInternalServerError, []byte(`{"statusCode":500,"error":"InternalServerError"}`)
	}
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}

// answer remembers the status for the log.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
