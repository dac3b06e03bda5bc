// Package oauth serves the pages on which a person connects a tenant: the HTTP
// function under /organization/app-connections/azure/oauth/{step}. What happens there
// is package shared/oauth's; this package is what browsers see of it.
//
// The pages are open to everybody (promise P7): a visitor with the state of a flow
// that a caller of the API has begun may take part in it, and no other visitor gets
// anything. They are plain HTML without scripts, under a policy that would allow none,
// never in a frame and never in a cache. A client that asks for JSON gets the same as JSON.
//
// The address that Entra leads back to has a code in it. It is answered by a redirect,
// so that it does not stay in the history, and no part of its query is ever logged. The
// one exception is a refusal because of too many requests, which asks again at the same
// address until it leads away.
package oauth

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/host"
	"rekey/shared/oauth"
)

// Flow is what happens; see [oauth.Flow].
type Flow interface {
	Open(ctx context.Context, state string) (oauth.Invitation, oauth.Problem)
	Approve(ctx context.Context, state string, jar oauth.Jar) (oauth.Departure, oauth.Problem)
	Callback(ctx context.Context, query string, jar oauth.Jar) oauth.Landing
	Result(ctx context.Context, flow string, jar oauth.Jar) (oauth.Result, oauth.Problem)
}

// Handler serves the pages. Its fields are set once; all but Limit, Now and Log are required.
type Handler struct {
	Flow Flow // nil: connecting by OAuth is off, and the pages say so
	// PublicURL is under which browsers reach the pages, without a slash at its end;
	// AuthorityURL is Entra's address, to which the start page's form may lead.
	PublicURL, AuthorityURL string
	// Limit bounds how many requests are looked at. Nil: all are.
	Limit *auth.Limiter

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: slog.Default()

	refused auth.Refusals
}

// steps are the pages and the methods that they take. HEAD is a GET that changes
// nothing.
var steps = map[string][]string{
	"start":    {http.MethodGet, http.MethodHead, http.MethodPost},
	"callback": {http.MethodGet, http.MethodHead},
	"result":   {http.MethodGet, http.MethodHead},
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	id, ok := host.InvocationID(r)
	if !ok {
		id = rand.Text()
	}
	r = r.WithContext(connection.WithOrigin(r.Context(), host.Origin(r)))
	// The path is compared as it was written, but for one slash at its end: what is encoded
	// is no path of ours.
	step, below := strings.CutPrefix(r.URL.EscapedPath(), oauth.Base)
	step = strings.TrimSuffix(step, "/")
	methods := steps[step]
	a := &answer{w: w, r: r, id: id, policy: policy("'none'")}
	if !h.admit(a) {
		return
	}
	switch {
	case !below || methods == nil:
		step = "" // whatever it was
		a.problem(http.StatusNotFound, "There is nothing at this address.")
	case !slices.Contains(methods, r.Method):
		w.Header().Set("Allow", strings.Join(methods, ", "))
		a.problem(http.StatusMethodNotAllowed, "This page does not take that method.")
	case h.Flow == nil:
		a.problem(http.StatusNotFound, "Connecting by OAuth is off on this deployment. Its log says at startup what to set.")
	default:
		h.serve(a, step)
	}
	h.log().InfoContext(r.Context(), "request", "request", id, "function", "oauth", "method", host.Verb(r.Method), "route", step,
		"status", a.status, "duration", h.now().Sub(start))
}

// admit refuses a request beyond the limit, before anything is read for it. Most of them
// come without any flow that exists, from callers whom this package cannot tell apart, so
// that they get one line in the log a minute together. The page asks again by itself: a
// person whom Entra has led back at a bad time is let in by that.
func (h *Handler) admit(a *answer) bool {
	if h.Limit == nil {
		return true
	}
	after, ok := h.Limit.AllowPage(oauth.FlowOf(a.r.URL.Query()), h.now())
	if ok {
		return true
	}
	a.busy(after)
	if n := h.refused.Add(h.now()); n > 0 {
		h.log().WarnContext(a.r.Context(), "refused requests of unknown callers", "function", "oauth", "count", n)
	}
	return false
}

// exists remembers that the flow of a request was found, so that no flood keeps its
// visitor out from now on.
func (h *Handler) exists(a *answer) {
	if id := oauth.FlowOf(a.r.URL.Query()); h.Limit != nil && id != "" {
		h.Limit.KnowFlow(id, h.now())
	}
}

func (h *Handler) serve(a *answer, step string) {
	switch {
	case step == "start" && a.r.Method == http.MethodPost:
		h.approve(a)
	case step == "start":
		h.start(a)
	case step == "callback":
		h.callback(a)
	default:
		h.result(a)
	}
}

// start shows who asks for what.
func (h *Handler) start(a *answer) {
	a.policy = policy(elsewhere)
	in, problem := h.Flow.Open(a.r.Context(), one(a.r, "state"))
	if problem != "" {
		a.about(problem)
		return
	}
	h.exists(a)
	a.write(http.StatusOK, view{
		ID: "start", Title: "Connect a Microsoft Entra tenant", Invitation: &in, Until: in.ExpiresAt.Format("15:04 MST"),
	}, map[string]any{
		"requestedBy": in.RequestedBy, "name": in.Name, "description": in.Description, "tenantId": in.TenantID, "rotates": in.Rotates,
		"reconnect": in.Again, "expiresAt": in.ExpiresAt,
	})
}

// approve is the button. A request that another site has made the browser send is
// refused: the visitor has not seen the page then, and one who is signed in to Entra
// already might connect their tenant without seeing any.
func (h *Handler) approve(a *answer) {
	if !host.OwnPage(a.r, h.PublicURL) {
		a.problem(http.StatusForbidden, "This did not come from the page itself. Open the link that you were given, and use the button there.")
		return
	}
	to, problem := h.Flow.Approve(a.r.Context(), one(a.r, "state"), jar(a.r))
	if problem != "" {
		a.about(problem)
		return
	}
	h.exists(a)
	http.SetCookie(a.w, to.Cookie)
	a.policy = policy(elsewhere)
	if a.json() {
		a.write(http.StatusOK, view{}, map[string]any{"authorizationUrl": to.URL})
		return
	}
	a.redirect(to.URL)
}

// callback takes Entra's answer and leads away from its address. A HEAD of a link
// checker is no answer of Entra's.
func (h *Handler) callback(a *answer) {
	if a.r.Method == http.MethodHead {
		a.write(http.StatusOK, view{}, map[string]any{})
		return
	}
	to := h.Flow.Callback(a.r.Context(), a.r.URL.RawQuery, jar(a.r))
	if to.Flow != "" {
		h.exists(a)
	}
	a.redirect(h.PublicURL + to.Path())
}

// result shows what came of it.
func (h *Handler) result(a *answer) {
	if a.r.URL.Query().Has("problem") {
		problem := oauth.Problem(one(a.r, "problem"))
		if problem.Message() == "" {
			problem = oauth.Unknown
		}
		a.about(problem)
		return
	}
	got, problem := h.Flow.Result(a.r.Context(), one(a.r, "flow"), jar(a.r))
	if problem != "" {
		a.about(problem)
		return
	}
	h.exists(a)
	body := resultBody{
		Outcome: got.Kind, Message: got.Text(), Name: got.Name, TenantID: got.TenantID, ConnectionID: got.ConnectionID,
		OtherAccount: got.OtherAccount, Entra: got.Entra, AdminConsentURL: got.AdminConsentURL,
	}
	if s := status(got.Kind); s >= http.StatusBadRequest {
		body.ReqID, body.StatusCode, body.Error = a.id, s, host.StatusName(s)
	}
	a.write(status(got.Kind), view{ID: "result", Title: titles[got.Kind], Result: &got, Again: got.Kind == oauth.Working}, body)
}

// resultBody is a result as JSON: what the API's errors have, and more.
type resultBody struct {
	ReqID           string     `json:"reqId,omitempty"`
	StatusCode      int        `json:"statusCode,omitempty"`
	Error           string     `json:"error,omitempty"`
	Outcome         oauth.Kind `json:"outcome"`
	Message         string     `json:"message"`
	Name            string     `json:"name"`
	TenantID        string     `json:"tenantId"`
	ConnectionID    string     `json:"connectionId,omitempty"`
	OtherAccount    bool       `json:"otherAccount,omitempty"`
	Entra           string     `json:"entra,omitempty"`
	AdminConsentURL string     `json:"adminConsentUrl,omitempty"`
}

// status is the HTTP status of an outcome.
func status(k oauth.Kind) int {
	switch k {
	case oauth.Connected, oauth.Reconnected:
		return http.StatusOK
	case oauth.Working:
		return http.StatusAccepted
	case oauth.Failed:
		return http.StatusServiceUnavailable
	case oauth.Interrupted:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// one returns a parameter that occurs once.
func one(r *http.Request, name string) string {
	if values := r.URL.Query()[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

func jar(r *http.Request) oauth.Jar {
	return func(name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}
}

func (h *Handler) log() *slog.Logger { return cmp.Or(h.Log, slog.Default()) }

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// encode is JSON of our own strings, numbers and times, which always encode.
func encode(body any) []byte {
	data, _ := json.Marshal(body)
	return append(data, '\n')
}
