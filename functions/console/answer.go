package console

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
	"rekey/shared/session"
)

// answer remembers what was answered, for the log.
type answer struct {
	http.ResponseWriter
	status int
	caller string
}

func (a *answer) WriteHeader(status int) {
	a.status = cmp.Or(a.status, status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) headers() {
	head := a.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "same-origin")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Vary", "Cookie")
	head.Set("Cache-Control", "no-store")
}

func write(w http.ResponseWriter, r *http.Request, data []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // a reader who has gone is no trouble of ours
	}
}

// show answers with a page.
func (v *visit) show(d page.Document) error {
	write(v.w, v.Request, d.Render())
	return nil
}

// showAs answers with a page that is no success.
func (v *visit) showAs(status int, d page.Document) error {
	data := d.Render()
	v.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	v.w.WriteHeader(status)
	_, _ = v.w.Write(data)
	return nil
}

// fail answers with a page that says what is wrong.
func (v *visit) fail(status int, title, message string, more ...g.Node) {
	_ = v.showAs(status, v.document("problem", title, append([]g.Node{
		h.Div(h.Role("alert"), page.Notice(page.Bad, h.P(h.ID("message"), g.Text(v.dated(message))))),
	}, more...)...))
}

// error answers with what the API has refused.
func (v *visit) error(err error) {
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		v.console.log().ErrorContext(v.Context(), "page failed", "reason", err.Error())
		v.fail(http.StatusInternalServerError, "Something went wrong", "Something went wrong inside Rekey. The log has more.")
		return
	}
	titles := map[int]string{
		http.StatusNotFound: "Not here", http.StatusForbidden: "Not allowed", http.StatusConflict: "Not now",
		http.StatusTooManyRequests:    "Not so fast",
		http.StatusServiceUnavailable: "Not now",
	}
	v.retryAfter(refused)
	v.fail(refused.status, cmp.Or(titles[refused.status], "Refused"), refused.message, h.P(v.onwardAfter(refused)))
}

// onwardAfter leads on from a page that is not there to what there is: another try finds nothing either.
func (v *visit) onwardAfter(refused *refusal) g.Node {
	switch {
	case v.Method == http.MethodPost || refused.status != http.StatusNotFound:
		return v.onward()
	case v.params["id"] != "" && v.connection() != "":
		return page.Link(to("targets"), "Targets")
	case v.params["id"] != "":
		return page.Link(to("connections"), "Connections")
	}
	return page.Link(to(), "Overview")
}

// onward leads on from a refusal: to the same page again, or to the one that has the button.
func (v *visit) onward() g.Node {
	switch {
	case v.Method != http.MethodPost:
		return page.Link(page.Here(session.Back(v.here())), "Try again")
	case v.params["id"] != "":
		return page.Link(v.own(), "Back")
	case v.params["clientId"] != "":
		return page.Link(to("inventory", v.params["tenantId"], v.params["clientId"]), "Back")
	case v.PostFormValue("back") != "":
		return page.Link(page.Here(session.Back(v.PostFormValue("back"))), "Back")
	}
	return page.Link(to(), "Overview")
}

// showRefused answers with a page and the status of what the API has refused.
func (v *visit) showRefused(r *refusal, d page.Document) error {
	v.retryAfter(r)
	return v.showAs(r.status, d)
}

func (v *visit) retryAfter(r *refusal) {
	if r.after != "" {
		v.w.Header().Set("Retry-After", r.after)
	}
}

// answerWith carries out what package session says.
func (c *Handler) answerWith(w *answer, r *http.Request, a *session.Answer) {
	if a.Status == http.StatusSeeOther {
		w.Header().Set("Location", a.Location)
		w.WriteHeader(a.Status)
		return
	}
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(a.RetryAfter.Seconds()))))
	}
	d := page.Document{ID: "problem", Title: "Not let in", Narrow: true, StyleAt: asset("style.css"), Header: plainHeader(), Main: []g.Node{
		h.Div(h.Role("alert"), page.Notice(page.Bad, h.P(h.ID("message"), g.Text(a.Problem.Message())))),
		h.P(onwardFrom(a.Problem)),
	}}
	data := d.Render()
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(data)
}

// onwardFrom leads to the console, or to the sign-in where only another one helps.
func onwardFrom(p session.Problem) g.Node {
	if p == session.NoRole {
		return page.Link(to("sign-in"), "Sign in")
	}
	return page.Link(to(), "Overview")
}
