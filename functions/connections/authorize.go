package connections

import (
	"strings"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/auth"
	"rekey/shared/oauth"
)

func (h *Handler) connectsPeople() bool { return h.OAuth != nil && h.OAuthClientID != "" }

var errNoOAuth = badRequest("OAuth is not configured in this deployment. Set REKEY_PUBLIC_URL, " +
	"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID and its _CLIENT_SECRET, or connect by client secret or certificate.")

// authorizeBody asks for a sign-in: for a new connection, or with connectionId for one
// that is there.
type authorizeBody struct {
	ConnectionID          *string       `json:"connectionId"`
	TenantID              string        `json:"tenantId"`
	Name                  string        `json:"name"`
	Description           *string       `json:"description"`
	ProjectID             *string       `json:"projectId"`
	VaultSecretName       string        `json:"vaultSecretName"`
	IsAutoRotationEnabled bool          `json:"isAutoRotationEnabled"`
	Rotation              *rotationBody `json:"rotation"`
}

// begun is the link that a person has to open.
type begun struct {
	AuthorizationURL string    `json:"authorizationUrl"`
	ExpiresAt        time.Time `json:"expiresAt"`
}

// authorize begins a sign-in. The connection is made when the person comes back.
func (h *Handler) authorize(r *request) (any, error) {
	var b authorizeBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	if !h.connectsPeople() {
		return nil, errNoOAuth
	}
	if b.IsAutoRotationEnabled && !r.caller.Role.Allows(auth.Rotate) {
		return nil, errTurnOn
	}
	ask := oauth.Request{
		ConnectionID: strings.ToLower(deref(b.ConnectionID)), TenantID: b.TenantID, Name: b.Name, Description: deref(b.Description),
		Project: deref(b.ProjectID), VaultSecretName: b.VaultSecretName, Rotate: b.IsAutoRotationEnabled, By: r.caller.Label(),
	}
	if ask.ConnectionID == "" {
		p, err := b.Rotation.plan(b.IsAutoRotationEnabled, schedule.Schedule{}, h.now(), h.now())
		if err != nil {
			return nil, err
		}
		ask.Grace = p.grace
		if p.schedule != nil {
			ask.Schedule = *p.schedule
		}
		if t := b.Rotation.target(); t != nil {
			ask.Target = *t
		}
	}
	got, err := h.OAuth.Begin(r.Context(), ask)
	if err != nil {
		return nil, err
	}
	if h.Limit != nil { // the person who gets the link must not be kept out by a flood
		h.Limit.KnowFlow(got.Flow, h.now())
	}
	return begun{got.AuthorizationURL, got.ExpiresAt}, nil
}
