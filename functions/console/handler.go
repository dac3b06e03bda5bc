package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/auth"
	"rekey/shared/host"
	"rekey/shared/page"
	"rekey/shared/secret"
	"rekey/shared/session"
)

// Sessions lets people in; see [session.Manager].
type Sessions interface {
	Authenticate(w http.ResponseWriter, r *http.Request) (*session.Visit, *session.Answer)
	Methods() []string
	SignInByKey(w http.ResponseWriter, r *http.Request, key secret.Value, back string) *session.Answer
	SignInByEntra(w http.ResponseWriter, r *http.Request, back string) *session.Answer
	Callback(w http.ResponseWriter, r *http.Request) *session.Answer
	SignOut(w http.ResponseWriter, r *http.Request, v *session.Visit) *session.Answer
	AppServiceURL(back string) string
}

// Handler is the console. Its fields are set once.
type Handler struct {
	// API is a handler of the API whose callers are found by [Authenticate].
	API      http.Handler
	Sessions Sessions
	// Settings are what the page of settings shows: names and what is configured, never a value.
	Settings []Setting
	// OAuth: people can connect by signing in.
	OAuth bool
	// VaultURL is where secrets are published, for references to copy.
	VaultURL string
	// PlainHTTP: browsers reach the console without TLS, which is for this machine alone.
	PlainHTTP bool
	// Limit slows down who looks at the sign-in page; nil: no limit.
	Limit *auth.Limiter
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: slog.Default()
}

// Setting is a line of the page of settings.
type Setting struct{ Name, Says string }

// policy lets a page load the stylesheet and the script, ask its own address, and send forms to
// this site. Nothing else.
const policy = policyStart + "'self'" + policyEnd

// elsewhere is that of pages whose form leads to Entra, which may send people on to their organisation's
// own sign-in: browsers hold a form's redirects against the policy of its page. It is that of the sign-in,
// and of all pages where signing out leads there.
const elsewhere = policyStart + "'self' https:" + policyEnd

const (
	policyStart = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action "
	policyEnd   = "; base-uri 'none'; frame-ancestors 'none'"
)

// assets are what pages load. Their address changes with them, so that browsers may keep them.
var assets = map[string]struct{ kind, text string }{
	"style.css": {"text/css; charset=utf-8", page.Style}, "script.js": {"text/javascript; charset=utf-8", page.Script},
}

var assetVersion = func() string {
	sum := sha256.Sum256([]byte(page.Style + page.Script))
	return hex.EncodeToString(sum[:6])
}()

// ServeHTTP answers one request.
func (c *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := c.now()
	out := &answer{ResponseWriter: w}
	out.headers()
	name := c.serve(out, r)
	c.log().InfoContext(r.Context(), "page", "function", "console", "page", name, "method", host.Verb(r.Method), "caller", out.caller,
		"status", cmp.Or(out.status, http.StatusOK), "duration", c.now().Sub(begin))
}

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

// serve finds the page. It returns its name, for the log.
func (c *Handler) serve(w *answer, r *http.Request) (name string) {
	path := strings.Trim(strings.TrimPrefix(r.URL.EscapedPath(), Base), "/")
	if rest, ok := strings.CutPrefix(path, "assets/"); ok {
		serveAsset(w, r, rest)
		return "asset"
	}
	if r.Method == http.MethodPost && strings.HasPrefix(path, "sign-in") {
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10) // before any field is read: a stranger's file would be written to the disk
	}
	switch path {
	case "sign-in":
		c.signIn(w, r)
		return path
	case "sign-in/entra":
		c.answerWith(w, r, c.Sessions.SignInByEntra(w, r, r.PostFormValue("back")))
		return path
	case "sign-in/callback":
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return path
		}
		c.answerWith(w, r, c.Sessions.Callback(w, r))
		return path
	}
	found, params, allowed := match(r.Method, path)
	visitor, refused := c.Sessions.Authenticate(w, r)
	if refused != nil {
		c.answerWith(w, r, refused)
		return "refused"
	}
	w.caller = visitor.Caller.Name
	if visitor.Caller.Kind == auth.KindAppService {
		w.Header().Set("Content-Security-Policy", elsewhere)
	}
	v := &visit{
		w: w, Request: r, Visit: visitor, caller: visitor.Caller, params: params, reader: readerOf(r, c.now()),
		console: c, api: &api{handler: c.API, request: r, caller: visitor.Caller},
	}
	switch {
	case found == nil && len(allowed) > 0:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		v.fail(http.StatusMethodNotAllowed, "Not so", "This address does not take that method.")
		return "no method"
	case found == nil:
		v.fail(http.StatusNotFound, "Not here", "There is no such page.")
		return "no page"
	case !v.caller.Role.Allows(found.role):
		v.fail(http.StatusForbidden, "Not allowed", "This needs the role "+found.role.String()+". You have the role "+v.caller.Role.String()+".")
		return found.pattern
	}
	if err := found.serve(v); err != nil {
		v.error(err)
	}
	return found.pattern
}

func serveAsset(w *answer, r *http.Request, rest string) {
	version, name, _ := strings.Cut(rest, "/")
	a, ok := assets[name]
	if !ok || version != assetVersion || r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	write(w, r, []byte(a.text))
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
		h.Div(h.Role("alert"), page.Notice(page.Bad, h.P(h.ID("message"), g.Text(message)))),
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
		http.StatusNotFound: "Not here", http.StatusForbidden: "Not allowed", http.StatusConflict: "Not now", http.StatusTooManyRequests: "Not so fast",
		http.StatusServiceUnavailable: "Not now",
	}
	v.retryAfter(refused)
	v.fail(refused.status, cmp.Or(titles[refused.status], "Refused"), refused.message, h.P(v.onward()))
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
	d := page.Document{ID: "problem", Title: "Not let in", Narrow: true, StyleAt: asset("style.css"), Main: []g.Node{
		h.Div(h.Role("alert"), page.Notice(page.Bad, h.P(h.ID("message"), g.Text(a.Problem.Message())))),
		h.P(page.Link(to("sign-in"), "Sign in")),
	}}
	data := d.Render()
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(data)
}

func (c *Handler) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Handler) log() *slog.Logger { return cmp.Or(c.Log, slog.Default()) }

// route is a page, or a button.
type route struct {
	method, pattern string
	role            auth.Role // the least that may see it
	serve           func(v *visit) error
}

// match finds the route; or else the methods that the address takes.
func match(method, path string) (found *route, params map[string]string, allowed []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	have := strings.Split(path, "/")
	for i := range routes {
		rt := &routes[i]
		params, ok := fits(strings.Split(rt.pattern, "/"), have)
		switch {
		case ok && rt.method == method:
			return rt, params, nil
		case ok:
			allowed = append(allowed, rt.method)
		}
	}
	return nil, nil, allowed
}

// fits compares a path with a pattern; "{x}" is one segment, of characters that need no encoding.
func fits(want, have []string) (params map[string]string, ok bool) {
	if len(want) != len(have) {
		return nil, false
	}
	params = map[string]string{}
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
