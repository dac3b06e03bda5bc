package connections

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"rekey/shared/serviceerror"

	"rekey/shared/attention"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// view is a connection as the API shows it. Source: reference, section 1.2; what is
// ours is marked.
type view struct {
	ID                    string        `json:"id"`
	Name                  string        `json:"name"`
	Description           *string       `json:"description"`
	Version               int64         `json:"version"`
	OrgID                 string        `json:"orgId"`
	ProjectID             *string       `json:"projectId"`
	App                   string        `json:"app"`
	Method                string        `json:"method"`
	Credentials           credentials   `json:"credentials"`
	CredentialsHash       string        `json:"credentialsHash"`
	PlatformManaged       bool          `json:"isPlatformManagedCredentials"`
	IsAutoRotationEnabled bool          `json:"isAutoRotationEnabled"`
	GatewayID             *string       `json:"gatewayId"`
	CreatedAt             time.Time     `json:"createdAt"`
	UpdatedAt             time.Time     `json:"updatedAt"`
	Rotation              *rotationView `json:"rotation,omitempty"`

	RotationState   *rotationState      `json:"rotationState,omitempty"`  // ours
	ApplicationName *string             `json:"applicationName"`          // ours: of the one that is rotated; null: not known
	VaultSecretName string              `json:"vaultSecretName"`          // ours
	Authentication  *authenticationView `json:"authentication,omitempty"` // ours
	Attention       []string            `json:"attention"`                // ours
}

type credentials struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId,omitempty"`
}

// authenticationView is what may be known about the credentials of a connection that
// rotates something else than these.
type authenticationView struct {
	ExpiresAt   *time.Time `json:"expiresAt"`
	Thumbprint  *string    `json:"thumbprint"`  // of a certificate, as the portal shows it
	Account     *string    `json:"account"`     // object id of the person who signed in
	AccountName *string    `json:"accountName"` // what their directory calls them; null: not known
	RenewedAt   *time.Time `json:"renewedAt"`   // when a refresh token was saved last
	Problem     *trouble   `json:"problem"`     // why it can't sign in; null if it can
}

type trouble struct {
	Class   serviceerror.Class `json:"class"`
	Message string             `json:"message"`
	Since   time.Time          `json:"since"`
}

// targetView is an application that is rotated through a connection.
type targetView struct {
	ID                    string          `json:"id"`
	ConnectionID          string          `json:"connectionId"`
	Name                  string          `json:"name"`
	Description           *string         `json:"description"`
	Version               int64           `json:"version"`
	Application           applicationView `json:"application"`
	ApplicationName       *string         `json:"applicationName"`
	IsAutoRotationEnabled bool            `json:"isAutoRotationEnabled"`
	VaultSecretName       string          `json:"vaultSecretName"`
	CreatedAt             time.Time       `json:"createdAt"`
	UpdatedAt             time.Time       `json:"updatedAt"`
	Rotation              *rotationView   `json:"rotation,omitempty"`
	RotationState         *rotationState  `json:"rotationState,omitempty"`
	RetireKeyIDs          []string        `json:"retireKeyIds"` // what the first rotation takes the place of; empty once it has
	Attention             []string        `json:"attention"`
}

type applicationView struct {
	TenantID string `json:"tenantId"`
	ClientID string `json:"clientId"`
	ObjectID string `json:"objectId"`
}

// show is what an answer has of a connection, or of a target.
func (h *Handler) show(rec *rotation.Record) map[string]any {
	if rec.Via != "" {
		return map[string]any{"target": h.targetView(rec)}
	}
	return map[string]any{"appConnection": h.view(rec)}
}

func (h *Handler) view(rec *rotation.Record) view {
	c := credentials{TenantID: rec.Actor.TenantID, ClientID: rec.Actor.ClientID}
	if rec.Method == connection.OAuth {
		c.ClientID = "" // as in Infisical's answers: it is not the connection's own
	}
	planned, state := h.rotationViews(rec)
	return view{
		ID: rec.ID, Name: rec.Name, Description: some(rec.Description), Version: rec.Revision, OrgID: h.orgID(), ProjectID: some(rec.Project),
		App: app, Method: rec.Method, Credentials: c, CredentialsHash: credentialsHash(rec),
		IsAutoRotationEnabled: rec.Policy.Enabled, VaultSecretName: rec.VaultName, CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt,
		Rotation: planned, RotationState: state, ApplicationName: some(rec.TargetName), Authentication: authentication(rec.Auth),
		Attention: attentionOf(rec, h.now()),
	}
}

func (h *Handler) targetView(rec *rotation.Record) targetView {
	planned, state := h.rotationViews(rec)
	return targetView{
		ID: rec.ID, ConnectionID: rec.Via, Name: rec.Name, Description: some(rec.Description), Version: rec.Revision,
		Application:           applicationView{rec.Target.TenantID, rec.Target.ClientID, rec.Target.ObjectID},
		ApplicationName:       some(rec.TargetName),
		IsAutoRotationEnabled: rec.Policy.Enabled, VaultSecretName: rec.VaultName, CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt,
		Rotation: planned, RotationState: state, RetireKeyIDs: append([]string{}, rec.Retire...), Attention: attentionOf(rec, h.now()),
	}
}

func attentionOf(rec *rotation.Record, now time.Time) []string {
	return append([]string{}, attention.Of(rec, now)...)
}

// deployments is the namespace of the ids of deployments (RFC 9562, version 5).
var deployments = uuid.MustParse("6c5a1d5e-7a3b-4f0e-9a55-3d0a4b1f2c88")

// orgID is the deployment as the API names it: a UUID, since clients decode one.
func (h *Handler) orgID() string { return uuid.NewSHA1(deployments, []byte(h.Deployment)).String() }

// credentialsHash changes when the caller changes the credentials, and at no other
// time: a managed rotation is no drift.
func credentialsHash(rec *rotation.Record) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", rec.ID, rec.CredentialChanges))
	return hex.EncodeToString(sum[:])
}

func authentication(a *rotation.Auth) *authenticationView {
	if a == nil {
		return nil
	}
	v := &authenticationView{ExpiresAt: when(a.ExpiresAt), Thumbprint: some(a.Thumbprint), Account: some(a.Account),
		AccountName: some(a.AccountName),
		RenewedAt:   when(a.SavedAt)}
	if a.Account == "" {
		v.RenewedAt = nil
	}
	if p := a.Problem; p != nil {
		v.Problem = &trouble{p.Class, p.Message, p.At}
	}
	return v
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
