// Package connections serves the API of app connections: the HTTP function under
// /api/v1/app-connections.
//
// It speaks the wire format of Infisical's Azure Client Secrets connection, so that
// clients written for that work unchanged, and adds to it. Every request is
// authenticated here, before anything about it is looked at, by the same code on
// every host. Errors are JSON and say what to do; nothing that a caller sent is
// ever quoted back, since it may be a secret in the wrong place.
package connections

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/host"
	"rekey/shared/rotation"
)

// Base is where the API is.
const Base = "/api/v1/app-connections"

// app is the name of the kind of connections that there is.
const app = "azure-client-secrets"

// maxBody is the most that a request may hold. A certificate with its chain is a
// few kilobytes.
const maxBody = 256 << 10

// Service is what the API does with connections.
type Service interface {
	Create(ctx context.Context, in connection.Input) (rotation.Record, error)
	Get(ctx context.Context, id string) (rotation.Record, error)
	ByName(ctx context.Context, project, name string) (rotation.Record, error)
	List(ctx context.Context, project *string) ([]rotation.Record, error)
	Rotate(ctx context.Context, id string, opts connection.RotateOptions) (rotation.Record, error)
	History(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error)
}

// Handler is the API. Its fields are set once; all but Once and Log are required.
type Handler struct {
	Service Service
	// Authenticate says who sent a request; see [auth.Authenticator].
	Authenticate func(*http.Request) (auth.Caller, error)
	Deployment   string           // what the API calls orgId
	Now          func() time.Time // nil: time.Now
	// Once answers requests that the host sends twice. Nil where the host does not
	// do that, such as on Lambda.
	Once *host.Once
	Log  *slog.Logger
}

// request is one authenticated request.
type request struct {
	*http.Request
	caller auth.Caller
	params map[string]string
	body   []byte
}

// route is a line of the API.
type route struct {
	method  string
	pattern string // below Base; "{x}" matches one segment
	role    auth.Role
	serve   func(h *Handler, r *request) (any, error)
}

// routes are tried in order, so fixed words come before {id}.
var routes = []route{
	{"GET", "", auth.Read, (*Handler).list},
	{"GET", "options", auth.Read, (*Handler).options},
	{"GET", app, auth.Read, (*Handler).list},
	{"POST", app, auth.Write, (*Handler).create},
	{"GET", app + "/available", auth.Read, (*Handler).available},
	{"GET", app + "/connection-name/{name}", auth.Read, (*Handler).byName},
	{"GET", app + "/{id}", auth.Read, (*Handler).get},
	{"POST", app + "/{id}/rotate-credentials", auth.Rotate, (*Handler).rotate},
	{"GET", app + "/{id}/rotations", auth.Read, (*Handler).rotations},
}

// problem is an error of the API itself.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

func badRequest(format string, args ...any) *problem {
	return &problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// ServeHTTP answers one request: who is it, what do they want, may they.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	id, ok := host.InvocationID(r)
	if !ok {
		id = newID()
	}
	out := &answer{ResponseWriter: w, status: http.StatusOK}
	caller, pattern, err := h.serve(out, r, id)
	if err != nil {
		h.fail(r.Context(), out, id, err)
	}
	h.log().InfoContext(r.Context(), "request", "request", id, "caller", caller.Name, "kind", caller.Kind,
		"method", r.Method, "route", pattern, "status", out.status, "duration", h.now().Sub(start))
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, id string) (caller auth.Caller, pattern string, err error) {
	caller, err = h.Authenticate(r)
	if err != nil {
		return auth.Caller{}, "", err
	}
	found, params, err := match(r)
	if err != nil {
		return caller, "", err
	}
	if !caller.Role.Allows(found.role) {
		return caller, found.pattern, &problem{http.StatusForbidden, fmt.Sprintf("This needs the role %q; %q has the role %q.", found.role, caller.Name, caller.Role)}
	}
	req := &request{Request: r, caller: caller, params: params}
	if req.body, err = body(w, r); err != nil {
		return caller, found.pattern, err
	}
	answerTo := func(w http.ResponseWriter) {
		var v any
		if v, err = found.serve(h, req); err == nil {
			h.write(w, http.StatusOK, v)
			return
		}
		h.fail(r.Context(), w, id, err)
	}
	if h.Once != nil {
		h.Once.Do(w, r, caller.Name, req.body, answerTo)
	} else {
		answerTo(w)
	}
	return caller, found.pattern, nil
}

// match finds the route. A path that is not written in its plain form, with double
// or encoded slashes or dot segments, is no path of ours.
func match(r *http.Request) (route, map[string]string, error) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), Base)
	if !ok || path != "" && path[0] != '/' {
		return route{}, nil, &problem{http.StatusNotFound, "There is nothing at this address."}
	}
	path = strings.TrimPrefix(path, "/")
	other := false
	for _, rt := range routes {
		params, ok := rt.match(path)
		switch {
		case ok && rt.method == r.Method:
			return rt, params, nil
		case ok:
			other = true
		}
	}
	if other {
		return route{}, nil, &problem{http.StatusMethodNotAllowed, "This address does not take the method " + strconv.Quote(r.Method) + "."}
	}
	return route{}, nil, &problem{http.StatusNotFound, "There is nothing at this address. See " + Base + "/options for what there is."}
}

func (rt route) match(path string) (map[string]string, bool) {
	have, want := strings.Split(path, "/"), strings.Split(rt.pattern, "/")
	if len(have) != len(want) {
		return nil, false
	}
	params := make(map[string]string)
	for i, w := range want {
		switch {
		case strings.HasPrefix(w, "{"):
			if have[i] == "" || strings.Contains(have[i], "%") || have[i] == "." || have[i] == ".." {
				return nil, false
			}
			params[strings.Trim(w, "{}")] = have[i]
		case w != have[i]:
			return nil, false
		}
	}
	return params, true
}

// body reads what was sent, if it is JSON and not too large.
func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Method == http.MethodGet {
		return nil, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("The request is larger than %d KiB.", maxBody>>10)}
	}
	if err != nil {
		return nil, badRequest("The request did not arrive completely; send it again.")
	}
	if kind := r.Header.Get("Content-Type"); len(data) > 0 && kind != "" {
		if t, _, err := mime.ParseMediaType(kind); err != nil || t != "application/json" {
			return nil, &problem{http.StatusUnsupportedMediaType, "The body must be JSON, with Content-Type: application/json."}
		}
	}
	return data, nil
}

// decode reads the body into v. Members that v does not have are ignored, since
// existing clients send some. Errors name the member, never its value.
func (r *request) decode(v any) error {
	err := json.Unmarshal(r.body, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badRequest("%s has the wrong type: it must be %s.", cmp.Or(e.Field, "The body"), typeName(e))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return badRequest("The body is not JSON: there is a mistake near byte %d.", e.Offset)
	}
	return badRequest("The body is not JSON.")
}

func typeName(e *json.UnmarshalTypeError) string {
	switch name := e.Type.Kind().String(); name {
	case "struct", "map":
		return "an object"
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	default:
		return "a whole number"
	}
}

// fail answers with what the caller can do about err, and nothing else.
func (h *Handler) fail(ctx context.Context, w http.ResponseWriter, id string, err error) {
	status, message := http.StatusInternalServerError, "Something went wrong inside Rekey. The log has more under this request id."
	var after time.Duration
	if p, ok := errors.AsType[*problem](err); ok {
		status, message = p.status, p.message
	} else if e, ok := errors.AsType[*connection.Error](err); ok {
		status, message, after = statusOf(e.Kind), e.Message, e.RetryAfter
	} else if errors.Is(err, auth.ErrUnconfigured) {
		status, message = http.StatusUnauthorized, "No callers are configured, so everybody is refused. The log says what to set."
		h.log().WarnContext(ctx, "refused: nobody may call", "advice", "set REKEY_API_KEYS (make apikey prints an entry)")
	} else if errors.Is(err, auth.ErrUnauthenticated) {
		status, message = http.StatusUnauthorized, "Send an API key that this deployment knows as Authorization: Bearer <key>."
	} else {
		h.log().ErrorContext(ctx, "request failed", "request", id, "reason", rotation.ClassOf(err), "type", fmt.Sprintf("%T", err))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rekey"`)
	}
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	}
	h.write(w, status, map[string]any{
		"reqId": id, "statusCode": status, "error": strings.ReplaceAll(http.StatusText(status), " ", ""), "message": message,
	})
}

func statusOf(k connection.Kind) int {
	switch k {
	case connection.Invalid:
		return http.StatusBadRequest
	case connection.Conflict:
		return http.StatusConflict
	case connection.NotFound:
		return http.StatusNotFound
	case connection.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (h *Handler) write(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // our own types: a mistake in this package
		status, data = http.StatusInternalServerError, []byte(`{"statusCode":500,"error":"InternalServerError"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}

func (h *Handler) log() *slog.Logger { return cmp.Or(h.Log, slog.Default()) }

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
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
