package directory

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The lifetime of an authorization code, and how long the directory knows that one
// was redeemed. Ten minutes are documented; a day is more than any test waits.
const (
	codeLifetime = 10 * time.Minute
	codeMemory   = 24 * time.Hour
)

// authorizationCode is what a code stands for.
type authorizationCode struct {
	tenant    string // of the address, in lower case: it has to be redeemed there
	app       *application
	user      *user
	session   int
	redirect  string
	scopes    scopes
	nonce     string
	challenge string // S256; empty if the request had none
	issued    time.Time
	redeemed  bool
}

// newCode issues a code for what u approved. The caller holds d.mu.
func (d *Directory) newCode(q *request, u *user) string {
	now := d.config.now()
	maps.DeleteFunc(d.codes, func(_ [32]byte, c *authorizationCode) bool { return now.Sub(c.issued) > codeMemory })
	code := "1." + randomText(96)
	d.codes[sha256.Sum256([]byte(code))] = &authorizationCode{
		tenant: strings.ToLower(q.tenant), app: q.app, user: u, session: u.session, redirect: q.values.Get("redirect_uri"),
		scopes: q.scopes, nonce: q.values.Get("nonce"), challenge: q.values.Get("code_challenge"), issued: now,
	}
	d.config.issued(code)
	return code
}

// redeem carries out the authorization code grant. A code that was not accepted can
// still be redeemed; that a second use revokes the tokens of the first is not
// documented, and it does not.
func (d *Directory) redeem(r *http.Request, form url.Values) (map[string]any, *entraError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, kind, refused := d.client(r, form, "code", "redirect_uri")
	if refused != nil {
		return nil, refused
	}
	c := d.codes[sha256.Sum256([]byte(form.Get("code")))]
	if c == nil || c.app != app {
		return nil, refuse(70000, "code")
	}
	switch {
	case c.redeemed:
		return nil, refuse(54005)
	case !d.config.now().Before(c.issued.Add(codeLifetime)):
		return nil, refuse(70008)
	case c.tenant != strings.ToLower(r.PathValue("tenant")):
		return nil, refuse(700005)
	case c.redirect != form.Get("redirect_uri"):
		return nil, refuse(500112, form.Get("redirect_uri"), c.redirect)
	}
	if refused := c.verify(form.Get("code_verifier")); refused != nil {
		return nil, refused
	}
	g := userGrant{app: app, user: c.user, session: c.session, scopes: c.scopes, nonce: c.nonce, clientAuthentication: kind}
	if refused := d.narrow(&g, form.Get("scope")); refused != nil {
		return nil, refused
	}
	if refused := d.mayGrant(&g); refused != nil {
		return nil, refused
	}
	c.redeemed = true
	return d.answer(r, form, g), nil
}

// verify checks the code verifier. One that comes without a challenge is refused as
// well, so that a client notices when its challenge got lost; MSAL sends an empty one
// if it has none.
func (c *authorizationCode) verify(verifier string) *entraError {
	if verifier == "" && c.challenge != "" {
		return refuse(50148)
	}
	digest := sha256.Sum256([]byte(verifier))
	got := base64.RawURLEncoding.EncodeToString(digest[:])
	if verifier != "" && subtle.ConstantTimeCompare([]byte(got), []byte(c.challenge)) != 1 {
		return refuse(501481)
	}
	return nil
}

// client finds and authenticates the application of a grant for a user, in the
// order in which Entra finds things wrong. The caller holds d.mu.
func (d *Directory) client(r *http.Request, form url.Values, required ...string) (*application, string, *entraError) {
	for _, name := range required {
		if form.Get(name) == "" {
			return nil, "", refuse(900144, name)
		}
	}
	tenant := r.PathValue("tenant")
	if !anyTenant(tenant) && d.tenants[strings.ToLower(tenant)] == nil {
		return nil, "", refuse(90002, tenant)
	}
	app := d.byClientID(form.Get("client_id"))
	if app == nil {
		return nil, "", refuse(700016, form.Get("client_id"), tenant)
	}
	if refused := app.reachable(tenant); refused != nil {
		return nil, "", refused
	}
	kind, refused := d.authenticate(r, app, form)
	return app, kind, refused
}

// userGrant is what tokens for a user are issued from.
type userGrant struct {
	app                  *application
	user                 *user
	session              int
	scopes               scopes
	nonce                string
	clientAuthentication string // the claim appidacr
}

// narrow replaces the permissions that were approved by those that the token request
// asks for, if it names any: consent decides about them, not the sign-in. The OpenID
// scopes stay those of the sign-in. The caller holds d.mu.
func (d *Directory) narrow(g *userGrant, scope string) *entraError {
	if scope == "" {
		return nil
	}
	asked, refused := g.app.parseScope(scope)
	if refused != nil {
		return refused
	}
	if len(asked.wanted) > 0 {
		openID := g.scopes.openID
		g.scopes = asked
		g.scopes.openID = openID
	}
	return nil
}

// mayGrant refuses what ended since the user signed in. The caller holds d.mu.
func (d *Directory) mayGrant(g *userGrant) *entraError {
	switch {
	case d.users[g.user.objectID] == nil || g.user.Disabled:
		return refuse(50057)
	case g.session != g.user.session:
		return refuse(50173)
	case len(d.missing(g.app, g.user, g.scopes)) > 0 || g.scopes.byDefault && len(d.granted(g)) == 0:
		return refuse(65001, g.app.clientID, g.app.DisplayName)
	}
	return nil
}

// granted lists the permissions that an access token gets: those asked for, or for
// /.default all that there is consent to. The caller holds d.mu.
func (d *Directory) granted(g *userGrant) []string {
	if g.scopes.byDefault {
		return d.consented(consentKey{g.app.clientID, g.user.TenantID, g.user.objectID})
	}
	unique := slices.Clone(g.scopes.permissions)
	slices.Sort(unique)
	return slices.Compact(unique)
}

// answer issues the tokens: an access token, and as far as the sign-in asked for
// them a refresh token and an ID token. The caller holds d.mu.
func (d *Directory) answer(r *http.Request, form url.Values, g userGrant) map[string]any {
	granted := d.granted(&g)
	seconds := int(d.config.tokenLifetime().Seconds())
	a := map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
		"scope": g.scopes.echo(granted), "access_token": d.issueDelegated(g, granted),
	}
	if g.scopes.has("offline_access") {
		a["refresh_token"] = d.newRefreshToken(g)
	}
	if g.scopes.has("openid") {
		a["id_token"] = d.idToken(r, g)
	}
	if form.Get("client_info") == "1" {
		a["client_info"] = segment(map[string]any{"uid": g.user.objectID, "utid": g.user.TenantID})
	}
	return a
}
