// Package connections serves the API of app connections: the HTTP function under
// /api/v1/app-connections, and what Infisical's clients expect at other addresses: secret
// rotations, and a sign-in.
//
// It speaks the wire format of Infisical's Azure Client Secrets connection, so that
// clients written for that work unchanged, and adds to it. Every request is
// authenticated here, before anything about it is looked at, by the same code on
// every host. Errors are JSON and say what to do; nothing that a caller sent is
// ever quoted back, since it may be a secret in the wrong place.
//
// openapi.json describes it, and the tests hold every request and answer against
// that.
package connections

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"rekey/shared/secret"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/host"
	"rekey/shared/index"
	"rekey/shared/oauth"
	"rekey/shared/rotation"
)

// Base is where the API is.
const Base = "/api/v1/app-connections"

// app is the name of the kind of connections that there is.
const app = "azure-client-secrets"

// Service is what the API does with connections.
type Service interface {
	Reader
	Overview
	Writer
	Targets
	Rotations
	Checks
}

// Reader looks connections up. What Get and ByName return may also be a target.
type Reader interface {
	Get(ctx context.Context, id string) (rotation.Record, error)
	ByName(ctx context.Context, project, name string) (rotation.Record, error)
	List(ctx context.Context, project *string) ([]rotation.Record, error)
	// Page returns what q asks for, in the order of names, and what to ask for next; nil at the end. See
	// [connection.Service.Page].
	Page(ctx context.Context, q index.Query) (page []rotation.Record, next *index.Query, err error)
}

// Overview looks at connections and targets together, at a cost that does not follow from how many
// there are.
type Overview interface {
	Upcoming(ctx context.Context, limit int) (connection.Upcoming, error)
	Activity(ctx context.Context, weeks int) ([]rotation.Week, error)
	Ahead(ctx context.Context, within time.Duration) (index.Ahead, error)
}

// Writer makes, changes and deletes connections; the latter two also targets.
type Writer interface {
	Create(ctx context.Context, in connection.Input) (rotation.Record, error)
	Update(ctx context.Context, id string, c connection.Change) (rotation.Record, error)
	Delete(ctx context.Context, id string, opts connection.DeleteOptions) (rotation.Record, error)
	// Once carries out once what may come again; see [connection.Service.Once].
	Once(ctx context.Context, k connection.Keyed, do func(id string) (rotation.Record, error)) (rotation.Record, error)
}

// Targets are the applications that are rotated through a connection.
type Targets interface {
	CreateTarget(ctx context.Context, via string, in connection.TargetInput) (rotation.Record, error)
	Targets(ctx context.Context, via string) ([]rotation.Record, error)
	AllTargets(ctx context.Context, project *string) ([]rotation.Record, error)
	GetTarget(ctx context.Context, via, id string) (rotation.Record, error)
}

// Rotations are what is done with a connection's or a target's credentials.
type Rotations interface {
	Rotate(ctx context.Context, id string, opts connection.RotateOptions) (rotation.Record, error)
	DryRun(ctx context.Context, id string, opts connection.RotateOptions) (connection.Plan, error)
	Abandon(ctx context.Context, id, by string) (rotation.Record, error)
	History(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error)
	Audit(ctx context.Context, id, cursor string, limit int) ([]rotation.Event, string, error)
}

// Checks ask Entra and change nothing there.
type Checks interface {
	Check(ctx context.Context, id string) (connection.Check, error)
	Inspect(ctx context.Context, in connection.Input) (connection.Inspection, error)
	Clients(ctx context.Context, id string, q connection.ClientQuery) (connection.ClientList, error)
}

// OAuth connects people. The errors of both are of type [*connection.Error].
type OAuth interface {
	// Begin makes a link for a person to sign in with.
	Begin(ctx context.Context, r oauth.Request) (oauth.Begun, error)
	// Redeem exchanges the authorization code of Infisical's flow for credentials.
	Redeem(ctx context.Context, code secret.Value, tenantID string) (connection.Credentials, error)
}

// Handler is the API. Its fields are set once; those that may be left out say so.
type Handler struct {
	Service   Service
	Inventory Inventory
	// Authenticate says who sent a request; see [auth.Authenticator].
	Authenticate func(*http.Request) (auth.Caller, error)
	// Login says who has that API key, if it is of that name. Nil: no caller signs in so.
	Login      func(name string, key secret.Value) (auth.Caller, error)
	Deployment string // of which the API shows a UUID as orgId

	// OAuthClientID is the application that people connect with. Empty, and OAuth
	// nil: that is not configured.
	OAuthClientID string
	OAuth         OAuth
	// Trail is the audit of the deployment, which has refusals. Nil: none is kept.
	Trail *audit.Trail
	// Limit slows down callers who ask too often. Nil: none.
	Limit *auth.Limiter
	// Once answers requests that the host sends twice. Nil where the host does not
	// do that, such as on Lambda.
	Once *host.Once
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: slog.Default()

	refused auth.Refusals // of unknown callers, beyond the limit
}

// request is one authenticated request.
type request struct {
	*http.Request
	caller auth.Caller
	params map[string]string
	body   []byte
}

// ServeHTTP answers one request: who is it, what do they want, may they.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	id, ok := host.InvocationID(r)
	if !ok {
		id = newID()
	}
	out := &answer{ResponseWriter: w, status: http.StatusOK}
	from := host.Origin(r)
	r = r.WithContext(connection.WithOrigin(r.Context(), from))
	caller, pattern, err := h.serve(out, r, id)
	if err != nil {
		h.fail(r.Context(), out, id, err)
	}
	if errors.Is(err, errFlood) {
		h.Trail.Add(r.Context(), audit.By(auth.Caller{}, audit.APIRefused, from, errFlood.Error()))
		// One line a minute: a line for each would let a caller who guesses fill the log.
		if n := h.refused.Add(h.now()); n > 0 {
			h.log().WarnContext(r.Context(), "refused requests of unknown callers", "function", "connections", "count", n)
		}
		return
	}
	line := []any{"request", id, "caller", caller.Name, "kind", caller.Kind,
		"method", host.Verb(r.Method), "route", pattern, "status", out.status, "from", from, "duration", h.now().Sub(start)}
	if out.status == http.StatusUnauthorized || out.status == http.StatusForbidden {
		line = append(line, "reason", refusal(err))
		h.Trail.Add(r.Context(), audit.By(caller, audit.APIRefused, from, refusal(err)))
	}
	h.log().InfoContext(r.Context(), "request", line...)
}

// refusal is why a caller was refused, for the operator. It has nothing of what was sent.
func refusal(err error) string {
	if err == nil { // by the operation itself, which has told the caller
		return "the caller's role is not enough for what was asked"
	}
	if p, ok := errors.AsType[*problem](err); ok && p.cause != nil {
		return p.cause.Error()
	}
	return err.Error()
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, id string) (caller auth.Caller, pattern string, err error) {
	found, params, unmatched := match(r)
	if unmatched == nil && found.role == open {
		caller, err = h.login(w, r)
		return caller, found.pattern, err
	}
	if caller, err = h.admit(r); err != nil {
		return caller, "", err
	}
	sent, err := read(r)
	if err != nil {
		return caller, "", err
	}
	if unmatched != nil {
		return caller, "", unmatched
	}
	if !caller.Role.Allows(found.role) {
		return caller, found.pattern, forbidden("This needs the role %q; %q has the role %q.", found.role, caller.Name, caller.Role)
	}
	if !caller.Role.Allows(auth.Rotate) {
		r = r.WithContext(connection.WithoutRemovals(r.Context()))
	}
	req := &request{Request: r, caller: caller, params: params}
	if req.body, err = body(r, sent); err != nil {
		return caller, found.pattern, err
	}
	answerTo := func(w http.ResponseWriter) {
		var v any
		if v, err = found.serve(h, req); err == nil {
			h.answer(w, v)
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

// errFlood says that too many requests came from unknown callers.
var errFlood = errors.New("too many requests of unknown callers")

// admit finds out who sent a request, and whether they may send one more now.
func (h *Handler) admit(r *http.Request) (auth.Caller, error) {
	caller, err := h.Authenticate(r)
	if err != nil {
		return auth.Caller{}, h.refuse(unsure(err))
	}
	return caller, h.count(caller, r.Method)
}

// refuse counts a request of an unknown caller, and returns what it is answered with: err,
// unless there were too many.
func (h *Handler) refuse(err error) error {
	if h.Limit == nil {
		return err
	}
	if after, ok := h.Limit.AllowUnknown(h.now()); !ok {
		return &problem{status: http.StatusTooManyRequests,
			message: "Too many requests come without a valid credential.", after: after, cause: errFlood}
	}
	return err
}

// count counts a request of a known caller, and refuses it if there were too many.
func (h *Handler) count(caller auth.Caller, method string) error {
	if h.Limit == nil {
		return nil
	}
	reads := method == http.MethodGet || method == http.MethodHead
	if after, ok := h.Limit.Allow(caller.Name, !reads, h.now()); !ok {
		return &problem{status: http.StatusTooManyRequests,
			message: "You send requests faster than this deployment takes them. Wait as long as Retry-After says.", after: after}
	}
	return nil
}

// unsure tells a credential that is not good from one that could not be checked.
func unsure(err error) error {
	if errors.Is(err, auth.ErrUnauthenticated) || errors.Is(err, auth.ErrUnconfigured) {
		return err
	}
	return &problem{
		status:  http.StatusServiceUnavailable,
		message: "Your access token could not be checked, because Entra's signing keys could not be read. Try again.",
		after:   10 * time.Second, cause: err,
	}
}

func (h *Handler) log() *slog.Logger { return cmp.Or(h.Log, slog.Default()) }

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}
