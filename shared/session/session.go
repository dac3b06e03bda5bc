package session

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"rekey/shared/auth"
)

// How long a session lasts.
const (
	// Lifetime is how long a session lasts from the sign-in on, and Idle how long from the last
	// request on.
	Lifetime = 8 * time.Hour
	Idle     = time.Hour
	// renewal is how old the cookie is at least that a request renews.
	renewal = time.Minute
)

// content is what the cookie of a session holds. There is no role in it, and no key.
type content struct {
	Kind  string `json:"kind"`            // how the person signed in, a Kind of package auth
	Name  string `json:"name"`            // of the caller, when they signed in
	Shown string `json:"shown,omitempty"` // what the directory calls them

	// Of a sign-in by Entra: who signed in to which application, and the app roles of theirs
	// that Rekey knows.
	ObjectID string   `json:"oid,omitempty"`
	TenantID string   `json:"tid,omitempty"`
	ClientID string   `json:"aud,omitempty"`
	Roles    []string `json:"roles,omitempty"`

	Key []byte `json:"key,omitempty"` // the hash of the API key with which the person signed in

	Begun time.Time `json:"begun"` // when the person signed in
	Seen  time.Time `json:"seen"`  // when the cookie was last renewed

	Secret []byte `json:"secret"` // what tokens of forms derive from
}

// begin completes the content of a session that begins now. It has to be kept yet.
func begin(c content, now time.Time) content {
	c.Begun = now.UTC().Truncate(time.Second)
	c.Secret = make([]byte, 32)
	rand.Read(c.Secret) // never fails
	return c
}

// ends is when the session ends if there is no request until then.
func (c content) ends() time.Time {
	end, idle := c.Begun.Add(Lifetime), c.Seen.Add(Idle)
	if idle.Before(end) {
		return idle
	}
	return end
}

// Visit is a request of a person who is signed in and may make it.
type Visit struct {
	Caller auth.Caller // with the role of now, which is at least [auth.Read]
	Shown  string      // what to call them on a page
	Begun  time.Time   // when they signed in
	Ends   time.Time   // when the session ends at the latest; zero where App Service decides that

	secret []byte
}

// The names of the cookies. The prefix makes browsers refuse one that was not set over https
// by this very host (RFC 6265bis, section 4.1.3.2).
const (
	prefix        = "__Host-"
	sessionCookie = "rekey-session"
	signInCookie  = "rekey-signin"
)

// secure is false only where the public URL is plain http, which the settings allow on
// loopback alone.
func (m *Manager) secure() bool { return !strings.HasPrefix(m.PublicURL, "http:") }

func (m *Manager) cookieName(name string) string {
	if m.secure() {
		return prefix + name
	}
	return name
}

// setCookie gives the browser a cookie for some time, or with 0 takes it away. It comes along
// when Entra leads back here, which is a top-level GET from another site: SameSite=Lax allows
// that and nothing else.
func (m *Manager) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life.Seconds())
	if age <= 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: m.cookieName(name), Value: value, Path: "/", MaxAge: age,
		Secure: m.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// cookie returns the value of the browser's cookie, empty if it has none.
func (m *Manager) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(m.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// keep writes the cookie of a session that is seen now.
func (m *Manager) keep(ctx context.Context, w http.ResponseWriter, c content) error {
	c.Seen = m.now().UTC().Truncate(time.Second)
	sealed, err := m.seal(ctx, forSession, c)
	if err != nil {
		return err
	}
	m.setCookie(w, sessionCookie, sealed, c.ends().Sub(m.now()))
	return nil
}
