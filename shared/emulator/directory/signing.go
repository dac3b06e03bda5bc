package directory

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"time"
)

// signingKey signs ID tokens, and the access tokens of Rekey's own API.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

// signer returns the current key, which is made on first use: most directories never
// need one. The caller holds d.mu.
func (d *Directory) signer() signingKey {
	if len(d.keys) == 0 {
		d.rollKeys()
	}
	return d.keys[len(d.keys)-1]
}

func (d *Directory) rollKeys() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // never with 2048 bits and crypto/rand, see crypto/rsa
	}
	digest := sha256.Sum256(key.N.Bytes())
	d.keys = append(d.keys, signingKey{base64.RawURLEncoding.EncodeToString(digest[:20]), key})
}

// RollKeys makes a new key, which signs from now on. The ones before stay published.
func (d *Directory) RollKeys() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.signer() // there is one to be replaced
	d.rollKeys()
}

// DropOldKeys stops publishing all keys but the current one.
func (d *Directory) DropOldKeys() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = []signingKey{d.signer()}
}

// Sign returns a JWT with these claims, signed by the current key with RS256. The
// header is {"typ":"JWT","alg":"RS256","kid":...} with the given members in place of
// those, and without what is nil; whatever it says, the signature is the same. It is
// for tests of forged tokens as much as of good ones.
func (d *Directory) Sign(header, claims map[string]any) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sign(header, claims)
}

func (d *Directory) sign(header, claims map[string]any) string {
	key := d.signer()
	signed := segment(with(map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.id}, header)) + "." + segment(with(nil, claims))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key.private, crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // the key fits the digest
	}
	token := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	d.config.issued(token)
	return token
}

// with returns the members of both, the second's where both have one, without those
// that are nil.
func with(all, changed map[string]any) map[string]any {
	merged := map[string]any{}
	maps.Copy(merged, all)
	maps.Copy(merged, changed)
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	return merged
}

// AccessToken returns an access token (version 2.0) of the tenant, as callers of an
// API that is registered in Entra bring it along. authority is the address of
// [Directory.Authority] without a slash at the end, such as "https://127.0.0.1:8443".
// It has iss, iat, nbf, exp in an hour, tid, uti and ver; claims come on top, and take
// away what they set to nil. An API wants at least aud, oid and roles or scp.
// Source: learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
func (d *Directory) AccessToken(authority, tenantID string, claims map[string]any) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.config.now()
	return d.sign(nil, with(map[string]any{
		"iss": authority + "/" + tenantID + "/v2.0", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"tid": tenantID, "uti": randomText(16), "ver": "2.0",
	}, claims))
}

// idToken makes an ID token (version 2.0). The subject is pairwise: another for each
// application. The caller holds d.mu.
// Source: learn.microsoft.com/entra/identity-platform/id-token-claims-reference.
func (d *Directory) idToken(r *http.Request, g userGrant) string {
	now := d.config.now()
	claims := map[string]any{
		"iss": "https://" + r.Host + "/" + g.user.TenantID + "/v2.0", "aud": g.app.clientID,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(d.config.tokenLifetime()).Unix(),
		"sub": pairwise(g.app, g.user), "tid": g.user.TenantID, "oid": g.user.objectID, "uti": randomText(16), "ver": "2.0",
	}
	if g.scopes.has("profile") {
		claims["name"], claims["preferred_username"] = g.user.Name, g.user.principal
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if roles := g.app.AppRoles[g.user.objectID]; len(roles) > 0 {
		claims["roles"] = slices.Clone(roles)
	}
	return d.sign(nil, claims)
}

// pairwise is the claim sub.
func pairwise(app *application, u *user) string {
	digest := sha256.Sum256([]byte(app.clientID + "/" + u.objectID))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// publish serves the keys as a JSON Web Key Set (RFC 7517), the same for every tenant.
func (d *Directory) publish(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	if !anyTenant(tenant) && !d.knowsTenant(tenant) {
		d.writeEntraError(w, unknownAtDiscovery(tenant))
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.signer()
	list := []any{}
	for _, key := range d.keys {
		list = append(list, map[string]any{
			"kty": "RSA", "use": "sig", "kid": key.id, "issuer": issuerAt(r, tenant),
			"n": base64.RawURLEncoding.EncodeToString(key.private.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.private.E)).Bytes()),
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": list})
}

// issuerAt is the issuer that a tenant's address shows: its own, or the template for
// whichever tenant a token is of.
func issuerAt(r *http.Request, tenant string) string {
	if anyTenant(tenant) {
		tenant = "{tenantid}"
	}
	return "https://" + r.Host + "/" + tenant + "/v2.0"
}
