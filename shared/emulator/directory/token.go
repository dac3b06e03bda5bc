package directory

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// grant is what the directory remembers of an access token that it issued.
type grant struct {
	app      *application
	audience string
	roles    []string // as they were when it was issued
	expires  time.Time
}

// issue makes an access token. The caller holds d.mu.
//
// It looks like Graph's, which are of version 1.0 and are not for clients to
// verify: the signature is random. Only the token itself, remembered by its hash,
// opens anything.
func (d *Directory) issue(app *application, audience, clientAuthentication string) (token string, expires time.Time) {
	now := d.config.now()
	expires = now.Add(d.config.tokenLifetime())
	var roles []string
	if audience == ResourceGraph {
		roles = slices.Clone(app.Roles)
	}
	if d.config.OpaqueTokens {
		token = randomText(64)
	} else {
		claims := map[string]any{
			"aud": audience, "iss": "https://sts.windows.net/" + app.tenantID + "/",
			"iat": now.Unix(), "nbf": now.Unix(), "exp": expires.Unix(),
			"appid": app.clientID, "appidacr": clientAuthentication, "idtyp": "app",
			"oid": app.servicePrincipalID, "sub": app.servicePrincipalID, "tid": app.tenantID,
			"uti": randomText(16), "ver": "1.0",
		}
		if len(roles) > 0 {
			claims["roles"] = roles
		}
		token = segment(map[string]any{"typ": "JWT", "alg": "RS256", "kid": "emulated"}) +
			"." + segment(claims) + "." + randomText(256)
	}
	maps.DeleteFunc(d.tokens, func(_ [32]byte, g grant) bool { return !g.expires.After(now) })
	d.tokens[sha256.Sum256([]byte(token))] = grant{app, audience, roles, expires}
	d.config.issued(token)
	return token, expires
}

// Holder returns the client id of the application that token was issued to for
// audience, one of the Resource constants, so that an emulator of that resource can
// tell whether to accept it. Not ok are expired tokens and those of applications
// that are gone. That a client secret was removed revokes no token.
func (d *Directory) Holder(token, audience string) (clientID string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.grant(token, audience)
	if !ok || d.applications[g.app.objectID] == nil {
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
