package oauth

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rekey/shared/host"
	"rekey/shared/oauth"
	"rekey/shared/page"
)

// elsewhere is where the start page's form may lead: to ourselves, and from there to
// Entra, which may send people on to their organisation's own sign-in. Browsers hold
// all these redirects against the policy.
const elsewhere = "'self' https:"

// policy is the Content-Security-Policy of a page whose form, if it has one, may lead
// to these places.
func policy(forms string) string {
	return "default-src 'none'; style-src " + page.StyleHash + "; form-action " + forms + "; base-uri 'none'; frame-ancestors 'none'"
}

// view is what is shown.
type view struct {
	ID, Title  string
	Text       string
	Problem    oauth.Problem
	Invitation *oauth.Invitation
	Until      string
	Result     *oauth.Result
	Again      bool // ask again by itself
}

// titles are the headings of outcomes and problems.
var titles = map[oauth.Kind]string{
	oauth.Connected: "Connected", oauth.Reconnected: "Connected again", oauth.Declined: "Not connected: the permissions were declined",
	oauth.NeedsAdmin: "Not connected: an administrator has to consent", oauth.CodeSpent: "Not connected: too late, or twice",
	oauth.Setup: "Not connected: the OAuth application is not set up", oauth.Identity: "Not connected: not the expected sign-in",
	oauth.Refused: "Not connected", oauth.Interrupted: "Interrupted", oauth.Failed: "Not connected: no answer", oauth.Working: "One moment",
}

var problemTitles = map[oauth.Problem]string{
	oauth.Unknown: "Unknown link", oauth.Expired: "Expired link", oauth.Used: "Used link", oauth.OtherBrowser: "Another browser",
	oauth.Malformed: "Not connected", oauth.Unavailable: "Not now", oauth.ConsentGiven: "Consent was given",
	oauth.ConsentRefused: "Consent was not given",
}

// answer writes one response.
type answer struct {
	w      http.ResponseWriter
	r      *http.Request
	id     string
	policy string
	status int // what was answered
}

// json reports whether the client wants JSON. A browser that lists it beside HTML
// wants a page.
func (a *answer) json() bool {
	accept := strings.Join(a.r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// write answers with a page, or with body for who wants JSON.
func (a *answer) write(status int, p view, body any) {
	var data []byte
	kind := "text/html; charset=utf-8"
	if a.json() {
		kind, data = "application/json; charset=utf-8", encode(body)
	} else if p.ID != "" {
		data = p.html()
	}
	a.head(status, kind)
	a.w.Write(data)
}

// head writes what every answer has. The referrer is withheld because addresses have
// states in them.
func (a *answer) head(status int, kind string) {
	h := a.w.Header()
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	h.Set("Content-Security-Policy", a.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept, Cookie")
	a.status = status
	a.w.WriteHeader(status)
}

// redirect leads on by GET. Where it leads is never taken from the request.
func (a *answer) redirect(to string) {
	a.w.Header().Set("Location", to)
	a.head(http.StatusSeeOther, "")
}

// problem answers with a text of ours.
func (a *answer) problem(status int, message string) { a.refuse(status, "Not here", "", message) }

func (a *answer) refuse(status int, title string, problem oauth.Problem, message string) {
	body := map[string]any{"reqId": a.id, "statusCode": status, "message": message}
	if status >= http.StatusBadRequest {
		body["error"] = host.StatusName(status)
	}
	if problem != "" {
		body["problem"] = problem
	}
	a.write(status, view{ID: "problem", Title: title, Text: message, Problem: problem}, body)
}

// busy tells a visitor to come back.
func (a *answer) busy(after time.Duration) {
	seconds := int(math.Ceil(after.Seconds()))
	a.w.Header().Set("Retry-After", strconv.Itoa(seconds))
	again := a.r.Method != http.MethodPost // a button is for the person to press
	message := "Too many requests come to this page right now, so that this one was not looked at. Nothing was stored. "
	if again {
		message += "This page asks again by itself. "
	} else {
		message += "Go back in some seconds and press the button again. "
	}
	message += "If that does not help within ten minutes, ask for a new link."
	a.write(http.StatusTooManyRequests, view{ID: "problem", Title: "One moment", Text: message, Again: again}, map[string]any{
		"reqId": a.id, "statusCode": http.StatusTooManyRequests, "error": host.StatusName(http.StatusTooManyRequests),
		"message": "Rate limit exceeded. Retry after the time in Retry-After.",
	})
}

// about tells of a problem.
func (a *answer) about(p oauth.Problem) {
	statuses := map[oauth.Problem]int{
		oauth.Unknown: http.StatusNotFound, oauth.Expired: http.StatusGone, oauth.Used: http.StatusGone, oauth.OtherBrowser: http.StatusForbidden,
		oauth.Malformed: http.StatusBadRequest, oauth.Unavailable: http.StatusServiceUnavailable,
		oauth.ConsentGiven: http.StatusOK, oauth.ConsentRefused: http.StatusForbidden,
	}
	a.refuse(statuses[p], problemTitles[p], p, p.Message())
}
