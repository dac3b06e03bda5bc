package directory

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// checkAssertion verifies a client assertion that a certificate of app signed. The
// caller holds d.mu.
// Format: learn.microsoft.com/entra/identity-platform/certificate-credentials.
func (d *Directory) checkAssertion(r *http.Request, app *application, form url.Values) *entraError {
	if form.Get("client_assertion_type") != assertionType {
		return refuse(7000218)
	}
	var header struct {
		Algorithm  string `json:"alg"`
		Type       string `json:"typ"`
		Thumbprint string `json:"x5t#S256"`
	}
	var claims struct {
		Audience  string `json:"aud"`
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		ID        string `json:"jti"`
		NotBefore int64  `json:"nbf"`
		Expires   int64  `json:"exp"`
	}
	signed, signature, ok := splitAssertion(form.Get("client_assertion"), &header, &claims)
	if !ok || header.Algorithm != "PS256" {
		return refuse(50012, "Client assertion is malformed or not signed by PS256.")
	}
	key, shown := app.certificate(header.Thumbprint)
	if key == nil {
		return refuse(700027, "The key was not found.", shown, app.clientID)
	}
	digest := sha256.Sum256([]byte(signed))
	if rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil) != nil {
		return refuse(700027, "The key used is invalid.", shown, app.clientID)
	}
	now := d.config.now()
	expires := time.Unix(claims.Expires, 0)
	switch {
	case claims.Audience != "https://"+r.Host+r.URL.Path:
		return refuse(50012, "Client assertion has the wrong audience.")
	case !strings.EqualFold(claims.Issuer, app.clientID) || !strings.EqualFold(claims.Subject, app.clientID):
		return refuse(50012, "Client assertion is of another application.")
	case !expires.After(now) || time.Unix(claims.NotBefore, 0).After(now.Add(clockSkew)):
		return refuse(50012, "Client assertion is not within its valid time range.")
	case claims.ID == "":
		return refuse(50012, "Client assertion has no jti.")
	}
	maps.DeleteFunc(d.assertions, func(_ string, expires time.Time) bool { return !expires.After(now) })
	id := app.clientID + "/" + claims.ID
	if _, spent := d.assertions[id]; spent {
		return refuse(50012, "Client assertion was used before.")
	}
	d.assertions[id] = expires
	return nil
}

// clockSkew is how far ahead a client's clock may be; Entra allows five minutes.
const clockSkew = 5 * time.Minute

func splitAssertion(assertion string, header, claims any) (signed string, signature []byte, ok bool) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "", nil, false
	}
	for i, into := range []any{header, claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(data, into) != nil {
			return "", nil, false
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	return parts[0] + "." + parts[1], signature, err == nil
}

// certificate finds the key of the registered certificate with that SHA-256
// thumbprint, which MSAL encodes in standard base64 and the documentation in
// base64url. It also returns the thumbprint in the form that errors show.
func (a *application) certificate(thumbprint string) (*rsa.PublicKey, string) {
	plain := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(thumbprint), "=")
	want, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil {
		return nil, ""
	}
	shown := strings.ToUpper(hex.EncodeToString(want))
	for _, c := range a.Certificates {
		if sum := sha256.Sum256(c.Raw); string(sum[:]) == string(want) {
			return rsaKey(c), shown
		}
	}
	return nil, shown
}

// rsaKey returns nil for other kinds of keys, which Entra does not accept.
func rsaKey(c *x509.Certificate) *rsa.PublicKey {
	key, _ := c.PublicKey.(*rsa.PublicKey)
	return key
}
