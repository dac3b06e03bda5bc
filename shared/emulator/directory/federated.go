package directory

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// FederatedCredential lets another issuer vouch for an application: a token of that
// issuer, for that subject, stands in for a client secret. All three are compared
// exactly, as Entra does.
// Source: learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations.
// AADSTS70021 with its status is reported by clients; the statuses of AADSTS50013 and
// AADSTS700024 are assumed.
type FederatedCredential struct {
	ID, Name string // empty ones are made from the others
	Issuer   string // the claim iss
	Subject  string // the claim sub
	Audience string // the only value of the claim aud, usually api://AzureADTokenExchange
	// Key returns the issuer's public key with that id, nil if it publishes none
	// such. It stands for the issuer's discovery document.
	Key func(id string) *rsa.PublicKey
}

// mostFederated is how many federated credentials an application may have.
// Source: learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations.
const mostFederated = 20

var errFederatedFull = errors.New("an application has at most 20 federated credentials")

// Federate adds a federated credential to an application, known everywhere at once.
func (d *Directory) Federate(clientID string, c FederatedCredential) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	app := d.byClientID(clientID)
	if app == nil {
		return errNoApplication
	}
	if len(app.Federated) >= mostFederated {
		return errFederatedFull
	}
	app.Federated = append(app.Federated, c)
	return nil
}

// checkClientAssertion verifies a client assertion: one that the application signed
// itself names its certificate, or itself as the issuer; any other is of another issuer.
// The caller holds d.mu.
func (d *Directory) checkClientAssertion(r *http.Request, app *application, form url.Values) *entraError {
	var header struct {
		Algorithm  string `json:"alg"`
		KeyID      string `json:"kid"`
		Thumbprint string `json:"x5t#S256"`
	}
	var claims federatedClaims
	signed, signature, ok := splitAssertion(form.Get("client_assertion"), &header, &claims)
	if !ok || header.Thumbprint != "" || strings.EqualFold(claims.Issuer, app.clientID) {
		return d.checkAssertion(r, app, form)
	}
	if form.Get("client_assertion_type") != assertionType {
		return refuse(7000218)
	}
	record := app.federated(claims)
	if record == nil {
		return refuse(70021, claims.Issuer, claims.Subject, strings.Join(claims.Audience, ", "))
	}
	key := record.Key(header.KeyID)
	if header.Algorithm != "RS256" || key == nil {
		return refuse(50013, "The key was not found.")
	}
	digest := sha256.Sum256([]byte(signed))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return refuse(50013, "The key used is invalid.")
	}
	now := d.config.now()
	if !time.Unix(claims.Expires, 0).After(now) || time.Unix(max(claims.NotBefore, claims.IssuedAt), 0).After(now.Add(clockSkew)) {
		return refuse(700024)
	}
	return nil
}

// federatedClaims are those that Entra looks at. It wants exactly one audience.
type federatedClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	NotBefore int64    `json:"nbf"`
	IssuedAt  int64    `json:"iat"`
	Expires   int64    `json:"exp"`
}

// federated finds the record that fits the claims.
func (a *application) federated(claims federatedClaims) *FederatedCredential {
	i := slices.IndexFunc(a.Federated, func(c FederatedCredential) bool {
		return c.Issuer == claims.Issuer && c.Subject == claims.Subject && slices.Equal(claims.Audience, audience{c.Audience})
	})
	if i < 0 {
		return nil
	}
	return &a.Federated[i]
}

// audience is a claim that is one string, or a list of them (RFC 7519, 4.1.3).
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// showFederated are the federatedIdentityCredential resources.
func (a *application) showFederated(q query) []any {
	shown := []any{}
	for _, c := range a.Federated {
		id := derivedGUID(a.objectID, c.Issuer, c.Subject)
		shown = append(shown, query{selected: q.expanded}.pick(map[string]any{
			"id": cmp.Or(c.ID, id), "name": cmp.Or(c.Name, "federated-"+id[:8]), "issuer": c.Issuer, "subject": c.Subject,
			"audiences": []string{c.Audience}, "description": nil,
		}))
	}
	return shown
}
