package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"rekey/shared/audit"
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
	Trail    *audit.Trail // has refusals; nil: none is kept
	// Settings are what the page of settings shows: names and what is configured, never a value.
	Settings []Setting
	// OAuth: people can connect by signing in.
	OAuth bool
	// VaultURL is where secrets are published, for references to copy.
	VaultURL string
	// AuthorityURL is where sign-ins go, for commands to copy.
	AuthorityURL string
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
		v.fail(http.StatusMethodNotAllowed, "Wrong method", "This address does not take that method.")
		return "no method"
	case found == nil:
		v.fail(http.StatusNotFound, "Not here", "There is no such page.")
		return "no page"
	case !v.caller.Role.Allows(found.role):
		c.Trail.Add(r.Context(), audit.By(v.caller, audit.ConsoleRefused, host.Origin(r),
			"the page "+Base+"/"+found.pattern+" needs the role "+found.role.String()))
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

func (c *Handler) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Handler) log() *slog.Logger { return cmp.Or(c.Log, slog.Default()) }
