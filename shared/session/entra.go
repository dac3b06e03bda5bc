package session

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"rekey/shared/auth"
	"rekey/shared/entra"
	"rekey/shared/host"
	"rekey/shared/openid"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// Authority is where people sign in; see [entra.Identification].
type Authority interface {
	SignInURL(r entra.SignInRequest) string
	Issuer(tenantID string) string
	Redeem(ctx context.Context, tenantID string, code, verifier secret.Value, redirectURI string) (idToken secret.Value, err error)
}

// IDTokens verifies what Entra says about a person; see package openid.
type IDTokens interface {
	IDToken(ctx context.Context, raw secret.Value, want openid.Expect) (openid.Identity, error)
}

// Entra is signing in by Entra: people of one tenant, to one application, whose app roles
// are theirs.
type Entra struct {
	Authority Authority
	IDTokens  IDTokens
	ClientID  string
	TenantID  string // a GUID
}

func (e *Entra) is(tenantID, clientID string) bool {
	return strings.EqualFold(e.TenantID, tenantID) && strings.EqualFold(e.ClientID, clientID)
}

// SignInLifetime is how long a person may take at Entra.
const SignInLifetime = 10 * time.Minute

// redeeming is how long redeeming a code and verifying the ID token may take.
const redeeming = 30 * time.Second

// flow is a sign-in that is under way: a sealed cookie, so that the browser that began it is
// the one that ends it, and can't read what has to stay unknown to others. Each of the first
// three has 260 random bits.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Back     string    `json:"back"`
	Begun    time.Time `json:"begun"`
}

func random() string { return rand.Text() + rand.Text() }

// SignInByEntra sends the browser to Entra. The request has to come from the sign-in page.
func (m *Manager) SignInByEntra(w http.ResponseWriter, r *http.Request, back string) *Answer {
	switch {
	case !host.OwnPage(r, m.PublicURL):
		return m.otherPage(r)
	case m.Entra == nil:
		return redirect(signInAt(back, NotOffered, ""), NotOffered)
	}
	if m.Limit != nil {
		if after, ok := m.Limit.AllowPage("", m.now()); !ok {
			return busy(after)
		}
	}
	f := flow{State: random(), Nonce: random(), Verifier: random(), Back: Back(back), Begun: m.now().UTC()}
	sealed, err := m.seal(r.Context(), forSignIn, f)
	if err != nil {
		return unavailable()
	}
	m.setCookie(w, signInCookie, sealed, SignInLifetime)
	return redirect(m.Entra.Authority.SignInURL(entra.SignInRequest{
		TenantID: m.Entra.TenantID, RedirectURI: m.redirectURI(), State: f.State, Nonce: f.Nonce,
		Challenge: entra.Challenge(secret.New(f.Verifier)),
	}), "")
}

func (m *Manager) redirectURI() string { return m.PublicURL + CallbackPath }

// parameters are those of Entra's answer that are looked at.
// Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow; RFC 9207 for
// iss.
var parameters = []string{"state", "code", "error", "error_description", "iss"}

// maxAnswer is longer than any answer of Entra, whose codes have about a kilobyte.
const maxAnswer = 16 << 10

// Callback takes the browser that Entra has sent back, signs the person in, and leads away
// from the address in any case, since that has the code in it. All of the address may be
// forged: nothing follows from it unless this browser began the sign-in that it is of, and
// then once.
func (m *Manager) Callback(w http.ResponseWriter, r *http.Request) *Answer {
	if m.Entra == nil {
		return redirect(signInAt("", NotOffered, ""), NotOffered)
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxAnswer || slices.ContainsFunc(parameters, func(name string) bool { return len(q[name]) > 1 }) {
		return m.unknown(r, "Entra's answer can't be read", redirect(signInAt("", Malformed, ""), Malformed))
	}
	var f flow
	err = m.unseal(r.Context(), forSignIn, m.cookie(r, signInCookie), &f)
	switch now := m.now(); {
	case err != nil && err != errSealed:
		return unavailable()
	case err != nil, now.Sub(f.Begun) >= SignInLifetime, subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.State)) == 0,
		!m.begun.take(f.State, f.Begun.Add(SignInLifetime), now):
		return m.unknown(r, "the sign-in was not begun in this browser, was used, or has expired",
			redirect(signInAt(f.Back, Stale, ""), Stale))
	}
	m.setCookie(w, signInCookie, "", 0)
	who, refusal := m.conclude(r, &f, q)
	if refusal.Problem != "" {
		m.note(r, auth.Caller{Kind: auth.KindEntra}, refusal.reason)
		return redirect(signInAt(f.Back, refusal.Problem, Code(refusal.code)), refusal.Problem)
	}
	return m.welcome(w, r, who, f.Back)
}

// refusal is why a sign-in at Entra did not succeed; the reason is for the log.
type refusal struct {
	Problem
	reason, code string
}

// problems are what is told of what Entra refuses.
var problems = map[entra.RefusalKind]Problem{
	entra.Declined: Declined, entra.NeedsAdmin: NeedsAdmin, entra.CodeSpent: Stale, entra.Setup: Setup, entra.Refused: Refused,
	entra.Unavailable: Unavailable,
}

func refusedByEntra(r entra.Refusal, detail string) refusal {
	return refusal{problems[r.Kind], strings.TrimSpace("Entra refuses: " + string(r.Kind) + " " + r.Code + " " + detail), r.Code}
}

// conclude redeems the code and verifies who signed in. An error wins over a code.
func (m *Manager) conclude(r *http.Request, f *flow, q url.Values) (openid.Identity, refusal) {
	switch {
	case q.Has("error"):
		return openid.Identity{}, refusedByEntra(entra.ReadRefusal(q.Get("error"), q.Get("error_description")), "")
	case q.Get("code") == "":
		return openid.Identity{}, refusal{Malformed, "Entra's answer has no code", ""}
	// Entra sends no iss as far as is documented. Where there is one, it says who answers, and
	// a code of any other issuer must not be sent to Entra.
	case q.Has("iss") && q.Get("iss") != m.Entra.Authority.Issuer(m.Entra.TenantID):
		return openid.Identity{}, refusal{Identity, "the answer is of another issuer", ""}
	}
	// The code is spent, even if the browser goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), redeeming)
	defer cancel()
	raw, err := m.Entra.Authority.Redeem(ctx, m.Entra.TenantID, secret.New(q.Get("code")), secret.New(f.Verifier), m.redirectURI())
	if err != nil {
		return openid.Identity{}, refusedByEntra(entra.RefusalOf(err), safe(err))
	}
	who, err := m.Entra.IDTokens.IDToken(ctx, raw, openid.Expect{ClientID: m.Entra.ClientID, TenantID: m.Entra.TenantID, Nonce: f.Nonce})
	if no, ok := errors.AsType[openid.Refusal](err); ok {
		return who, refusal{Identity, no.Error(), ""}
	}
	if err != nil {
		return who, refusal{Unavailable, "the ID token could not be verified: " + safe(err), ""}
	}
	return who, refusal{}
}

// safe is what may be logged of an error: what an adapter made.
func safe(err error) string {
	if e, ok := errors.AsType[*serviceerror.Error](err); ok {
		return e.Error()
	}
	return string(serviceerror.ClassOf(err))
}

// welcome begins the session of a person whom Entra knows, if they have a role.
func (m *Manager) welcome(w http.ResponseWriter, r *http.Request, who openid.Identity, back string) *Answer {
	// What is not a role of Rekey's is not kept: there may be many.
	roles := slices.DeleteFunc(slices.Clone(who.Roles), func(name string) bool {
		one, err := auth.Person(who.ObjectID, []string{name})
		return err != nil || one.Role == 0
	})
	caller, err := auth.Person(who.ObjectID, roles)
	if err != nil || !caller.Role.Allows(auth.Read) {
		caller.Kind = auth.KindEntra
		m.note(r, caller, string(NoRole))
		return redirect(signInAt(back, NoRole, ""), NoRole)
	}
	slices.Sort(roles)
	return m.signIn(w, r, caller, content{
		Kind: caller.Kind, Name: caller.Name, Shown: shown(who.Name), ObjectID: who.ObjectID, TenantID: who.TenantID,
		ClientID: m.Entra.ClientID, Roles: slices.Compact(roles),
	}, back)
}

// maxShown is how much of a person's name is kept, in characters.
const maxShown = 100

// shown is a name as a page can show it: one line, without what can't be seen.
func shown(name string) string {
	name = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, name)
	if all := []rune(name); len(all) > maxShown {
		return string(all[:maxShown]) + "…"
	}
	return name
}

// once remembers which sign-ins were brought to their end in this process, until they would
// have expired. Without it one that was begun, which costs a visitor a place under the limit,
// could make Rekey ask Entra any number of times with made-up codes. Its memory is bounded by
// that limit.
type once struct {
	mu   sync.Mutex
	used map[string]time.Time // by state: when it expires
}

// take reports whether the state was not taken before.
func (o *once) take(state string, expires, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s, end := range o.used {
		if !now.Before(end) {
			delete(o.used, s)
		}
	}
	if _, ok := o.used[state]; ok {
		return false
	}
	if o.used == nil {
		o.used = map[string]time.Time{}
	}
	o.used[state] = expires
	return true
}
