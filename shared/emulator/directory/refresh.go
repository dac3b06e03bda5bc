package directory

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// refreshLifetime is how long a refresh token lives without being used. Documented at
// learn.microsoft.com/entra/identity-platform/refresh-tokens. Using one does not
// prolong it but returns another: who keeps the first is idle, by the strictest
// reading.
const refreshLifetime = 90 * 24 * time.Hour

// refreshToken is what a refresh token stands for. It is bound to the client and the
// user, not to a secret of the client.
type refreshToken struct {
	app     *application
	user    *user
	session int
	scopes  scopes // of the sign-in
	issued  time.Time
}

// newRefreshToken issues one. The caller holds d.mu.
func (d *Directory) newRefreshToken(g userGrant) string {
	token := "1." + randomText(256)
	d.refreshTokens[sha256.Sum256([]byte(token))] = &refreshToken{g.app, g.user, g.session, g.scopes, d.config.now()}
	d.config.issued(token)
	return token
}

// refresh carries out the refresh token grant. The token that was used keeps working:
// "refresh tokens aren't revoked when used to acquire new access tokens"
// (learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
func (d *Directory) refresh(r *http.Request, form url.Values) (map[string]any, *entraError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, kind, refused := d.client(r, form, "refresh_token")
	if refused != nil {
		return nil, refused
	}
	t := d.refreshTokens[sha256.Sum256([]byte(form.Get("refresh_token")))]
	tenant := strings.ToLower(r.PathValue("tenant"))
	if t == nil || t.app != app || !anyTenant(tenant) && t.user.TenantID != tenant {
		return nil, refuse(70000, "refresh_token")
	}
	if refused := d.expired(t); refused != nil {
		return nil, refused
	}
	g := userGrant{app: app, user: t.user, session: t.session, scopes: t.scopes, clientAuthentication: kind}
	if refused := d.narrow(&g, form.Get("scope")); refused != nil {
		return nil, refused
	}
	if refused := d.mayGrant(&g); refused != nil {
		return nil, refused
	}
	return d.answer(r, form, g), nil
}

func (d *Directory) expired(t *refreshToken) *entraError {
	if d.config.now().Before(t.issued.Add(refreshLifetime)) {
		return nil
	}
	return refuse(700082, t.issued.Format(dateTime))
}

// alive reports whether t would be accepted now, for the permissions of the sign-in.
// The caller holds d.mu.
func (d *Directory) alive(t *refreshToken) bool {
	g := userGrant{app: t.app, user: t.user, session: t.session, scopes: t.scopes}
	return d.applications[t.app.objectID] != nil && d.expired(t) == nil && d.mayGrant(&g) == nil
}

// RefreshTokens counts a user's refresh tokens that would be accepted now, for the
// permissions that were signed in for; an empty id counts those of all users.
func (d *Directory) RefreshTokens(userID string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, t := range d.refreshTokens {
		if (userID == "" || t.user.objectID == userID) && d.alive(t) {
			n++
		}
	}
	return n
}

// RefreshTokenOf returns whose refresh token value is, and of which application; not
// ok is what would not be accepted now.
func (d *Directory) RefreshTokenOf(value string) (userID, clientID string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.refreshTokens[sha256.Sum256([]byte(value))]
	if t == nil || !d.alive(t) {
		return "", "", false
	}
	return t.user.objectID, t.app.clientID, true
}
