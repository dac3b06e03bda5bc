package session

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/host"
)

// Manager lets people into the console. Its fields are set once; it is safe for concurrent
// use.
type Manager struct {
	Callers    *auth.Authenticator // the API keys, and whether App Service stands in front
	Entra      *Entra              // nil: people can't sign in by Entra
	Keys       *Keys
	Deployment string // what is sealed here opens in no other
	// PublicURL is under which browsers reach the console, without a path. It is required for
	// Entra, and may be empty without.
	PublicURL string
	Trail     *audit.Trail // has sign-ins, sign-outs and refusals; nil: none is kept
	// Limit slows down callers who ask too often, the same as of the API. Nil: none.
	Limit *auth.Limiter
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: slog.Default()

	begun   once // sign-ins that were brought to their end
	refused auth.Refusals
}

// Methods returns the ways of signing in that are configured, kinds of package auth, in the
// order in which the page should offer them. If there is none, no person can get in.
func (m *Manager) Methods() []string {
	var all []string
	if m.Callers != nil && m.Callers.AppService && m.Callers.TenantID != "" {
		all = append(all, auth.KindAppService)
	}
	if m.Entra != nil {
		all = append(all, auth.KindEntra)
	}
	if m.Callers != nil && len(m.Callers.Keys) > 0 {
		all = append(all, auth.KindKey)
	}
	return all
}

// Authenticate returns who sent a request, or how to answer it instead; one of the two. It
// may set the session's cookie. For every method but GET and HEAD the request must have come
// from a page of the console and carry the session's token; its form is then parsed, from at
// most 256 KiB.
func (m *Manager) Authenticate(w http.ResponseWriter, r *http.Request) (*Visit, *Answer) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reads && !host.OwnPage(r, m.PublicURL) {
		return nil, m.otherPage(r)
	}
	c, caller, answer := m.visitor(w, r)
	if answer != nil {
		return nil, answer
	}
	caller.Shown = c.Shown
	if m.Limit != nil {
		if after, ok := m.Limit.Allow(caller.Name, !reads, m.now()); !ok {
			return nil, busy(after)
		}
	}
	if !caller.Role.Allows(auth.Read) {
		m.note(r, caller, string(NoRole))
		return nil, &Answer{Status: http.StatusForbidden, Problem: NoRole}
	}
	if !reads {
		if problem := checkForm(w, r, c.Secret); problem != "" {
			m.note(r, caller, string(problem))
			status := http.StatusForbidden
			if problem == TooLarge {
				status = http.StatusRequestEntityTooLarge
			}
			return nil, &Answer{Status: status, Problem: problem}
		}
	}
	if m.now().Sub(c.Seen) >= renewal {
		if err := m.keep(r.Context(), w, c); err != nil {
			return nil, unavailable()
		}
		if c.Seen.IsZero() {
			m.signedIn(r, caller)
		}
	}
	v := &Visit{Caller: caller, Shown: cmp.Or(c.Shown, caller.Name), Begun: c.Begun, secret: c.Secret}
	if caller.Kind != auth.KindAppService {
		v.Ends = c.Begun.Add(Lifetime)
	}
	return v, nil
}

// visitor finds out who sent a request, and their session: by App Service if it says, else by
// the cookie.
func (m *Manager) visitor(w http.ResponseWriter, r *http.Request) (content, auth.Caller, *Answer) {
	caller, err := m.Callers.ByAppService(r)
	switch {
	case err == auth.NoHeader:
		return m.known(w, r)
	case err != nil:
		return content{}, auth.Caller{}, m.unknown(r, err.Error(), redirect(signInAt(asked(r), Identity, ""), Identity))
	}
	// The session is for the forms alone: who it is, and for how long, App Service decides.
	var c content
	err = m.unseal(r.Context(), forSession, m.cookie(r, sessionCookie), &c)
	if err != nil && err != errSealed {
		return content{}, auth.Caller{}, unavailable()
	}
	if err != nil || c.Name != caller.Name || !m.now().Before(c.ends()) {
		c = begin(content{Kind: caller.Kind, Name: caller.Name}, m.now())
	}
	return c, caller, nil
}

// known finds out by the cookie who sent a request. A cookie that is dead is taken away; one that
// does not open may yet do so, when its key is known here.
func (m *Manager) known(w http.ResponseWriter, r *http.Request) (c content, caller auth.Caller, answer *Answer) {
	text := m.cookie(r, sessionCookie)
	if text == "" {
		return c, caller, again(r, "")
	}
	err := m.unseal(r.Context(), forSession, text, &c)
	switch {
	case err == errSealed:
	case err != nil:
		return c, caller, unavailable()
	default:
		if caller, err = m.who(c); err == nil {
			return c, caller, nil
		}
		m.setCookie(w, sessionCookie, "", 0)
	}
	return content{}, auth.Caller{}, m.unknown(r, err.Error(), again(r, Ended))
}

// Why a session is none any more; package auth has more reasons.
var (
	errOver       = errors.New("eight hours have passed since the sign-in")
	errIdle       = errors.New("an hour has passed since the last request")
	errSettings   = errors.New("the tenant or the application that people sign in to is another one now")
	errNotVouched = errors.New("the session is of App Service, which does not say any more who it is")
)

// who returns the caller of a session, as they are known now, or why they are not.
func (m *Manager) who(c content) (auth.Caller, error) {
	switch now := m.now(); {
	case !now.Before(c.Begun.Add(Lifetime)):
		return auth.Caller{}, errOver
	case !now.Before(c.Seen.Add(Idle)):
		return auth.Caller{}, errIdle
	}
	switch c.Kind {
	case auth.KindKey:
		var hash [sha256.Size]byte
		copy(hash[:], c.Key)
		return m.Callers.ByHash(hash)
	case auth.KindEntra:
		if m.Entra == nil || !m.Entra.is(c.TenantID, c.ClientID) {
			return auth.Caller{}, errSettings
		}
		return auth.Person(c.ObjectID, c.Roles)
	}
	return auth.Caller{}, errNotVouched
}

// SignOut ends a session in this browser.
func (m *Manager) SignOut(w http.ResponseWriter, r *http.Request, v *Visit) *Answer {
	m.setCookie(w, sessionCookie, "", 0)
	m.log().InfoContext(r.Context(), "signed out of the console", "caller", v.Caller.Name, "kind", v.Caller.Kind, "from", host.Origin(r))
	m.audit(r, audit.SignedOut, v.Caller, "")
	if v.Caller.Kind == auth.KindAppService {
		return redirect("/.auth/logout?post_logout_redirect_uri="+url.QueryEscape(SignInPath), SignedOut)
	}
	return redirect(signInAt("", SignedOut, ""), SignedOut)
}

// AppServiceURL is where App Service signs people in, if it lets them as far as our page.
// Source: learn.microsoft.com/azure/app-service/configure-authentication-customize-sign-in-out.
func (m *Manager) AppServiceURL(back string) string {
	return "/.auth/login/aad?post_login_redirect_uri=" + url.QueryEscape(Back(back))
}

// again leads to the sign-in, and from there back. A form is not sent again: the person is led back to the page
// that it is on, and told so.
func again(r *http.Request, p Problem) *Answer {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return redirect(signInAt(asked(r), p, ""), p)
	}
	from := ""
	if u, err := url.Parse(r.Referer()); err == nil {
		q := u.Query()
		q.Del("done") // what the button before has done was told
		u.RawQuery = q.Encode()
		from = u.RequestURI()
	}
	return redirect(signInAt(from, Unsent, ""), Unsent)
}

// asked is what a browser asked for and may be led back to: a request that changes something
// is not repeated.
func asked(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Base
	}
	if r.URL.RawQuery == "" {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + r.URL.RawQuery
}

func (m *Manager) otherPage(r *http.Request) *Answer {
	return m.unknown(r, "it was sent by another site's page", &Answer{Status: http.StatusForbidden, Problem: OtherPage})
}

// unknown counts and logs a refusal of a visitor who is not known, and returns the answer,
// or another one beyond the limit.
func (m *Manager) unknown(r *http.Request, reason string, answer *Answer) *Answer {
	if m.Limit != nil {
		if after, ok := m.Limit.AllowUnknown(m.now()); !ok {
			if n := m.refused.Add(m.now()); n > 0 {
				m.log().WarnContext(r.Context(), "refused requests of unknown callers", "function", "console", "count", n)
			}
			m.audit(r, audit.ConsoleRefused, auth.Caller{}, reason)
			return busy(after)
		}
	}
	m.note(r, auth.Caller{}, reason)
	return answer
}

// note logs and audits a refusal. The reason is a text of ours.
func (m *Manager) note(r *http.Request, caller auth.Caller, reason string) {
	m.audit(r, audit.ConsoleRefused, caller, reason)
	m.log().InfoContext(r.Context(), "refused by the console", "caller", caller.Name, "kind", caller.Kind, "reason", reason,
		"from", host.Origin(r))
}

func (m *Manager) signedIn(r *http.Request, caller auth.Caller) {
	m.log().InfoContext(r.Context(), "signed in to the console", "caller", caller.Name, "kind", caller.Kind,
		"role", caller.Role.String(), "from", host.Origin(r))
	m.audit(r, audit.SignedIn, caller, "")
}

func (m *Manager) audit(r *http.Request, kind string, caller auth.Caller, reason string) {
	m.Trail.Add(r.Context(), audit.By(caller, kind, host.Origin(r), reason))
}

func (m *Manager) log() *slog.Logger { return cmp.Or(m.Log, slog.Default()) }

func (m *Manager) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}
