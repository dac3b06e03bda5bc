package connections

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/secret"

	"rekey/shared/auth"
	"rekey/shared/certificate"
	"rekey/shared/connection"
)

// newID is the id of a request that the host gave none.
func newID() string { return strings.ToLower(rand.Text()) }

// createBody is the body of POST. Source: reference, section 1.1; what is ours is
// marked.
type createBody struct {
	Name                  string          `json:"name"`
	Description           *string         `json:"description"`
	ProjectID             *string         `json:"projectId"`
	Method                string          `json:"method"`
	Credentials           credentialsBody `json:"credentials"`
	IsAutoRotationEnabled bool            `json:"isAutoRotationEnabled"`
	Rotation              *rotationBody   `json:"rotation"`
	VaultSecretName       string          `json:"vaultSecretName"` // ours

	GatewayID       *string `json:"gatewayId"`
	GatewayPoolID   *string `json:"gatewayPoolId"`
	PlatformManaged bool    `json:"isPlatformManagedCredentials"`
}

// errUnsupported is for members of Infisical's API that can't mean anything here, and
// must not look as if they did.
var errUnsupported = badRequest(
	"gatewayId, gatewayPoolId and isPlatformManagedCredentials are not supported for Azure Client Secrets Connections.",
)

// credentialsBody has the credentials of all methods; the method says which of its
// members count.
type credentialsBody struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`

	ClientSecret      secret.Value `json:"clientSecret"`
	ClientSecretKeyID *string      `json:"clientSecretKeyId"`

	CertificateBody      secret.Value `json:"certificateBody"`
	PrivateKey           secret.Value `json:"privateKey"`
	PFX                  secret.Value `json:"pfx"`                  // ours
	Password             secret.Value `json:"password"`             // ours
	SendCertificateChain *bool        `json:"sendCertificateChain"` // ours

	Code secret.Value `json:"code"`
}

// read makes credentials of what a body has for a method. Those of OAuth are
// provisional: they pass for good ones, so that everything else can be judged before
// the code, which is good for one use, is spent by [Handler.redeem].
func (h *Handler) read(method string, b *credentialsBody) (connection.Credentials, error) {
	c := connection.Credentials{Method: method, TenantID: b.TenantID, ClientID: b.ClientID}
	switch method {
	case connection.ClientSecret:
		c.ClientSecret = b.ClientSecret
		if b.ClientSecretKeyID != nil {
			c.ClientSecretKeyID = *b.ClientSecretKeyID
		}
	case connection.Certificate:
		c.Certificate = certificate.Input{Body: b.CertificateBody, PrivateKey: b.PrivateKey, PFX: b.PFX, Password: b.Password}
		c.SendChain = b.SendCertificateChain != nil && *b.SendCertificateChain
	case connection.OAuth:
		switch {
		case !h.connectsPeople():
			return c, errNoOAuth
		case b.Code.IsZero():
			return c, badRequest("credentials.code is missing: the authorization code that Entra gave to the callback.")
		}
		c.ClientID, c.SignIn = strings.ToLower(h.OAuthClientID), &connection.SignIn{RefreshToken: b.Code}
	case "":
		return c, badRequest("method is missing: give %q, %q or %q.", connection.ClientSecret, connection.Certificate, connection.OAuth)
	default:
		return c, badRequest("method must be %q, %q or %q.", connection.ClientSecret, connection.Certificate, connection.OAuth)
	}
	return c, nil
}

// redeem replaces provisional credentials by what their code yields.
func (h *Handler) redeem(ctx context.Context, c *connection.Credentials) error {
	if c.Method != connection.OAuth {
		return nil
	}
	got, err := h.OAuth.Redeem(ctx, c.SignIn.RefreshToken, c.TenantID)
	if err == nil {
		*c = got
	}
	return err
}

// input turns the body into what the service takes.
func (h *Handler) input(b *createBody, caller auth.Caller) (connection.Input, error) {
	in := connection.Input{
		Name: b.Name, Description: deref(b.Description), Project: deref(b.ProjectID), VaultSecretName: b.VaultSecretName,
		Rotate: b.IsAutoRotationEnabled, By: caller.Label(),
	}
	var err error
	if in.Credentials, err = h.read(b.Method, &b.Credentials); err != nil {
		return in, err
	}
	if deref(b.GatewayID)+deref(b.GatewayPoolID) != "" || b.PlatformManaged {
		return in, errUnsupported
	}
	p, err := b.Rotation.plan(b.IsAutoRotationEnabled, schedule.Schedule{}, h.now(), h.now())
	if err != nil {
		return in, err
	}
	in.Grace, in.OriginalGrace = p.grace, p.originalGrace
	if p.schedule != nil {
		in.Schedule = *p.schedule
	}
	if t := b.Rotation.target(); t != nil {
		in.Target = *t
	}
	return in, nil
}

// targetBody is the body that adds a target.
type targetBody struct {
	Name                  string        `json:"name"`
	ClientID              string        `json:"clientId"`
	ObjectID              string        `json:"objectId"`
	Description           *string       `json:"description"`
	VaultSecretName       string        `json:"vaultSecretName"`
	RetireKeyIDs          []string      `json:"retireKeyIds"`
	IsAutoRotationEnabled bool          `json:"isAutoRotationEnabled"`
	Rotation              *rotationBody `json:"rotation"`
}

// allowed refuses what the role may not ask for.
func (b *targetBody) allowed(role auth.Role) error {
	switch {
	case role.Allows(auth.Rotate):
		return nil
	case b.IsAutoRotationEnabled:
		return errTurnOn
	case len(b.RetireKeyIDs) > 0:
		return errRetire
	}
	return nil
}

var errRetire = forbidden("Retiring client secrets removes them, which needs the role %q.", auth.Rotate)

func (b *targetBody) input(by string, now time.Time) (connection.TargetInput, error) {
	in := connection.TargetInput{
		Target: connection.Target{ClientID: b.ClientID, ObjectID: b.ObjectID}, Name: b.Name, Description: deref(b.Description),
		VaultSecretName: b.VaultSecretName, Retire: b.RetireKeyIDs, Rotate: b.IsAutoRotationEnabled, By: by,
	}
	p, err := b.Rotation.plan(b.IsAutoRotationEnabled, schedule.Schedule{}, now, now)
	if err != nil {
		return in, err
	}
	in.Grace, in.OriginalGrace = p.grace, p.originalGrace
	if p.schedule != nil {
		in.Schedule = *p.schedule
	}
	return in, nil
}

// updateBody is the body of PATCH. What is not there stays as it is.
type updateBody struct {
	Version               *int64           `json:"version"` // ours
	Name                  *string          `json:"name"`
	Description           nullable         `json:"description"`
	ProjectID             *string          `json:"projectId"`
	Method                *string          `json:"method"`
	Credentials           *credentialsBody `json:"credentials"`
	IsAutoRotationEnabled *bool            `json:"isAutoRotationEnabled"`
	Rotation              *rotationBody    `json:"rotation"`
	VaultSecretName       *string          `json:"vaultSecretName"`

	GatewayID       *string `json:"gatewayId"`
	GatewayPoolID   *string `json:"gatewayPoolId"`
	PlatformManaged bool    `json:"isPlatformManagedCredentials"`
}

// nullable is a text that may be taken away by null, which is not the same as leaving
// it as it is.
type nullable struct{ text *string }

// UnmarshalJSON implements [json.Unmarshaler].
func (n *nullable) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s == nil {
		s = new(string)
	}
	n.text = s
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
