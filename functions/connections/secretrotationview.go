package connections

import (
	"cmp"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// secretRotationView is a target as Infisical's API shows it; what is ours is marked. What
// its clients have written down is as it came, where they have said it.
type secretRotationView struct {
	ID                    string              `json:"id"`
	Type                  string              `json:"type"`
	Name                  string              `json:"name"`
	Description           *string             `json:"description"`
	IsAutoRotationEnabled bool                `json:"isAutoRotationEnabled"`
	ProjectID             *string             `json:"projectId"`
	ConnectionID          string              `json:"connectionId"`
	Connection            usedConnection      `json:"connection"`
	Environment           environmentView     `json:"environment"`
	Folder                folderView          `json:"folder"`
	RotationInterval      int                 `json:"rotationInterval,omitempty"` // left out: none was ever given
	RotateAtUTC           *timeOfDay          `json:"rotateAtUtc,omitempty"`
	Parameters            rotatedView         `json:"parameters"`
	SecretsMapping        mappedSecretView    `json:"secretsMapping"`
	RotationStatus        *string             `json:"rotationStatus,omitempty"`
	LastRotationMessage   *string             `json:"lastRotationMessage,omitempty"`
	LastRotationClass     *serviceerror.Class `json:"lastRotationClass"` // ours: of a failure; null: there is none
	LastRotatedAt         *time.Time          `json:"lastRotatedAt,omitempty"`
	NextRotationAt        *time.Time          `json:"nextRotationAt,omitempty"`
	CreatedAt             time.Time           `json:"createdAt"`
	UpdatedAt             time.Time           `json:"updatedAt"`
	State                 rotation.Phase      `json:"state"`           // ours
	RetryAt               *time.Time          `json:"retryAt"`         // ours: as of a rotation
	ApplicationName       *string             `json:"applicationName"` // ours; null: not known
	VaultSecretName       string              `json:"vaultSecretName"` // ours
	ExpiresAt             *time.Time          `json:"expiresAt"`       // ours: of what is published; null: not known
	Attention             []string            `json:"attention"`       // ours
}

type usedConnection struct {
	ID  string `json:"id"`
	App string `json:"app"`
}

type environmentView struct {
	Slug string `json:"slug"`
}

type folderView struct {
	Path string `json:"path"`
}

type rotatedView struct {
	ObjectID string `json:"objectId"`
	ClientID string `json:"clientId"`
}

type mappedSecretView struct {
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
}

func (h *Handler) secretRotationView(rec *rotation.Record) secretRotationView {
	l := rotation.Labels{SecretPath: rootPath} // of a target that was not made here
	if rec.Labels != nil {
		l = *rec.Labels
	}
	via := cmp.Or(l.ConnectionID, rec.Via)
	v := secretRotationView{
		ID: rec.ID, Type: secretRotations, Name: rec.Name, Description: some(rec.Description), IsAutoRotationEnabled: rec.Policy.Enabled,
		ProjectID: some(rec.Project), ConnectionID: via, Connection: usedConnection{via, app}, Environment: environmentView{l.Environment},
		Folder:         folderView{l.SecretPath},
		Parameters:     rotatedView{cmp.Or(l.ObjectID, rec.Target.ObjectID), cmp.Or(l.ClientID, rec.Target.ClientID)},
		SecretsMapping: mappedSecretView{l.ClientIDName, cmp.Or(l.ClientSecretName, rec.VaultName)},
		CreatedAt:      rec.CreatedAt, UpdatedAt: rec.UpdatedAt, ApplicationName: some(rec.TargetName), VaultSecretName: rec.VaultName,
		Attention: attentionOf(rec, h.now()),
	}
	if s := rec.Policy.Schedule; s.Interval != 0 {
		v.RotationInterval, v.RotateAtUTC = s.Interval, new(atUTC(s, slot(rec, h.now())))
	}
	if rec.Current != nil {
		v.ExpiresAt = when(rec.Current.ExpiresAt)
	}
	about := state(rec, h.now())
	v.RotationStatus, v.LastRotationMessage = some(about.RotationStatus), about.LastRotationMessage
	v.LastRotationClass, v.LastRotatedAt = about.LastRotationClass, about.LastRotatedAt
	v.State, v.RetryAt = about.State, about.RetryAt
	if !rec.Gone() {
		v.NextRotationAt = when(rec.NextRotation(h.now()))
	}
	return v
}
