package directory

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// grant is what the directory remembers of an access token that it issued.
type grant struct {
	app      *application
	audience string
	roles    []string // application permissions, as they were when it was issued
	user     *user    // who it acts for; nil: the application itself
	scopes   []string // delegated permissions, likewise
	expires  time.Time
}

// issue makes an access token for an application. The caller holds d.mu.
func (d *Directory) issue(app *application, audience, clientAuthentication string) string {
	g := grant{app: app, audience: audience}
	claims := map[string]any{
		"appidacr": clientAuthentication, "idtyp": "app", "tid": app.tenantID,
		"oid": app.principalID(), "sub": app.principalID(),
	}
	if audience == ResourceGraph {
		g.roles = slices.Clone(app.Roles)
	}
	if len(g.roles) > 0 {
		claims["roles"] = g.roles
	}
	return d.remember(g, claims)
}

// issueDelegated makes an access token for Graph on behalf of a user. The caller
// holds d.mu.
func (d *Directory) issueDelegated(g userGrant, permissions []string) string {
	claims := map[string]any{
		"appidacr": g.clientAuthentication, "idtyp": "user", "tid": g.user.TenantID,
		"oid": g.user.objectID, "sub": pairwise(g.app, g.user), "name": g.user.Name, "upn": g.user.principal,
		"scp": strings.Join(permissions, " "), "wids": g.user.wids(),
	}
	return d.remember(grant{app: g.app, audience: ResourceGraph, user: g.user, scopes: permissions}, claims)
}

// remember makes a token with these claims and those that all have.
//
// It looks like Graph's, which are of version 1.0 and are not for clients to
// verify: the signature is random. Only the token itself, remembered by its hash,
// opens anything.
func (d *Directory) remember(g grant, claims map[string]any) string {
	now := d.config.now()
	g.expires = now.Add(d.config.tokenLifetime())
	token := randomText(64)
	if !d.config.OpaqueTokens {
		tenant, _ := claims["tid"].(string)
		maps.Copy(claims, map[string]any{
			"aud": g.audience, "iss": "https://sts.windows.net/" + tenant + "/", "appid": g.app.clientID,
			"iat": now.Unix(), "nbf": now.Unix(), "exp": g.expires.Unix(), "uti": randomText(16), "ver": "1.0",
		})
		token = segment(map[string]any{"typ": "JWT", "alg": "RS256", "kid": "emulated"}) +
			"." + segment(claims) + "." + randomText(256)
	}
	maps.DeleteFunc(d.tokens, func(_ [32]byte, g grant) bool { return !g.expires.After(now) })
	d.tokens[sha256.Sum256([]byte(token))] = g
	d.config.issued(token)
	return token
}

// Holder returns the client id of the application that token was issued to for
// audience, one of the Resource constants, so that an emulator of that resource can
// tell whether to accept it. Not ok are expired tokens, those of applications that
// are gone and those for users. That a client secret was removed revokes no token.
func (d *Directory) Holder(token, audience string) (clientID string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.grant(token, audience)
	if !ok || d.applications[g.app.objectID] == nil || g.user != nil {
		return "", false
	}
	return g.app.clientID, true
}

// grant finds a token that is alive. The caller holds d.mu.
func (d *Directory) grant(token, audience string) (grant, bool) {
	g, ok := d.tokens[sha256.Sum256([]byte(token))]
	if !ok || g.audience != audience || !g.expires.After(d.config.now()) {
		return grant{}, false
	}
	return g, true
}

func segment(claims map[string]any) string {
	data, err := json.Marshal(claims)
	if err != nil {
		panic(err) // strings, numbers and lists of strings always encode
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
