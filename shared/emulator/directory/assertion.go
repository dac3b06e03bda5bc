package directory

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
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
		Algorithm  string   `json:"alg"`
		Type       string   `json:"typ"`
		Thumbprint string   `json:"x5t#S256"`
		Chain      []string `json:"x5c"`
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
	now := d.config.now()
	certificate, shown := app.certificate(header.Thumbprint, header.Chain, now)
	if certificate == nil || rsaKey(certificate) == nil {
		return refuse(700027, "not registered", "The key was not found.", shown, "", app.clientID)
	}
	if now.After(certificate.NotAfter) || certificate.NotBefore.After(now.Add(clockSkew)) {
		return refuse(700027, "expired", "The key used is expired.", shown, validity(certificate), app.clientID)
	}
	digest := sha256.Sum256([]byte(signed))
	if rsa.VerifyPSS(rsaKey(certificate), crypto.SHA256, digest[:], signature, nil) != nil {
		return refuse(700027, "not registered", "The key used is invalid.", shown, "", app.clientID)
	}
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
	app.used(certificate, now)
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
