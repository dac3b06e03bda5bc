package connections

import (
	"cmp"
	"strings"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// secretRotationBody is the body of POST and of PATCH. Members that Infisical's clients send
// besides mean nothing.
type secretRotationBody struct {
	Name                  *string           `json:"name"`
	Description           nullable          `json:"description"`
	ProjectID             *string           `json:"projectId"`
	ConnectionID          *string           `json:"connectionId"`
	Environment           *string           `json:"environment"`
	SecretPath            *string           `json:"secretPath"`
	IsAutoRotationEnabled *bool             `json:"isAutoRotationEnabled"`
	RotationInterval      *int              `json:"rotationInterval"`
	RotateAtUTC           *timeOfDay        `json:"rotateAtUtc"`
	Parameters            *rotatedBody      `json:"parameters"`
	SecretsMapping        *mappedSecretBody `json:"secretsMapping"`
}

// rotatedBody is the application that is rotated.
type rotatedBody struct {
	ObjectID string `json:"objectId"`
	ClientID string `json:"clientId"`
}

// mappedSecretBody names the secrets that get the client id and the client secret.
type mappedSecretBody struct {
	ClientID     *string `json:"clientId"`
	ClientSecret string  `json:"clientSecret"`
}

// What Infisical's clients take where nothing is said; the interval is in days.
const (
	defaultInterval = 30
	rootPath        = "/"
)

// input turns the body of POST into what the service takes, and the connection to use.
func (b *secretRotationBody) input(caller auth.Caller, now time.Time) (via string, in connection.TargetInput, err error) {
	on := b.IsAutoRotationEnabled == nil || *b.IsAutoRotationEnabled
	if on && !caller.Role.Allows(auth.Rotate) {
		return "", in, errTurnOn
	}
	if via = strings.ToLower(deref(b.ConnectionID)); !connection.ValidID(via) {
		return "", in, badRequest("connectionId must be the id of a connection, which is a UUID.")
	}
	if deref(b.Name) == "" {
		return "", in, badRequest("name is missing.")
	}
	var app rotatedBody
	if b.Parameters != nil {
		app = *b.Parameters
	}
	for name, id := range map[string]string{"clientId": app.ClientID, "objectId": app.ObjectID} {
		if id != "" && !connection.ValidID(strings.ToLower(strings.TrimSpace(id))) {
			return "", in, badRequest("parameters.%s must be a UUID.", name)
		}
	}
	if app == (rotatedBody{}) {
		return "", in, badRequest("parameters.clientId or parameters.objectId is missing: the application whose client secret is to be rotated.")
	}
	in = connection.TargetInput{
		Target: connection.Target{ClientID: app.ClientID, ObjectID: app.ObjectID}, Name: *b.Name, Description: deref(b.Description.text),
		Project: deref(b.ProjectID), Rotate: on, Labels: b.labels(&rotation.Record{}), By: caller.Label(),
	}
	if in.VaultSecretName, err = b.vaultName(); err != nil {
		return "", in, err
	}
	p, err := b.schedule(false).plan(on, schedule.Schedule{}, now, now)
	if err == nil {
		in.Schedule = *p.schedule
	}
	return via, in, err
}

// schedule is what the body says of it; one that is not known so far has Infisical's
// defaults.
func (b *secretRotationBody) schedule(known bool) *rotationBody {
	s := rotationBody{RotationInterval: b.RotationInterval, RotateAtUTC: b.RotateAtUTC}
	if s.RotationInterval == nil && !known {
		s.RotationInterval = new(defaultInterval)
	}
	if s.RotateAtUTC == nil && !known {
		s.RotateAtUTC = &timeOfDay{}
	}
	return &s
}

// vaultName is the name of the Key Vault secret.
func (b *secretRotationBody) vaultName() (string, error) {
	if b.SecretsMapping == nil || b.SecretsMapping.ClientSecret == "" {
		return "", badRequest("secretsMapping.clientSecret is missing: the name of the secret that gets the client secret.")
	}
	name := connection.VaultName(b.SecretsMapping.ClientSecret)
	if !connection.ValidVaultName(name) {
		return "", badRequest("secretsMapping.clientSecret must be 1 to 120 letters, digits, hyphens, dots and underscores, " +
			"the latter two of which are hyphens in Key Vault.")
	}
	return name, nil
}

// labels are those of rec with what the body says; nil: there are none.
func (b *secretRotationBody) labels(rec *rotation.Record) *rotation.Labels {
	var l rotation.Labels
	if rec.Labels != nil {
		l = *rec.Labels
	}
	set := func(to, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&l.Environment, b.Environment)
	set(&l.SecretPath, b.SecretPath)
	set(&l.ConnectionID, b.ConnectionID)
	if p := b.Parameters; p != nil {
		l.ClientID, l.ObjectID = cmp.Or(p.ClientID, l.ClientID), cmp.Or(p.ObjectID, l.ObjectID)
	}
	if m := b.SecretsMapping; m != nil {
		set(&l.ClientIDName, m.ClientID)
		l.ClientSecretName = cmp.Or(m.ClientSecret, l.ClientSecretName)
	}
	if l == (rotation.Labels{}) {
		return nil
	}
	if rec.Labels == nil && b.SecretPath == nil {
		l.SecretPath = rootPath
	}
	return &l
}

// update is the part of PATCH that targets have as well.
//
// Infisical's Terraform provider sends all of a rotation with every change, and leaves
// isAutoRotationEnabled out when it is false. So in a body that has all the rest its
// absence means false; in any other it means that nothing is said about it.
func (b *secretRotationBody) update(rec *rotation.Record) *updateBody {
	u := updateBody{Name: b.Name, Description: b.Description, IsAutoRotationEnabled: b.IsAutoRotationEnabled}
	if b.RotationInterval != nil || b.RotateAtUTC != nil || b.IsAutoRotationEnabled != nil && *b.IsAutoRotationEnabled {
		u.Rotation = b.schedule(rec.Policy.Schedule.Interval != 0)
	}
	if u.IsAutoRotationEnabled == nil && b.whole() {
		u.IsAutoRotationEnabled = new(false)
	}
	return &u
}

func (b *secretRotationBody) whole() bool {
	return b.Name != nil && b.Description.text != nil && b.ConnectionID != nil && b.Environment != nil && b.SecretPath != nil &&
		b.RotationInterval != nil && b.RotateAtUTC != nil && b.Parameters != nil && b.SecretsMapping != nil
}

// unchangeable refuses to change what stays as it was created.
func (b *secretRotationBody) unchangeable(rec *rotation.Record) error {
	same := func(given, is string) bool { return given == "" || strings.EqualFold(strings.TrimSpace(given), is) }
	vaultName := ""
	if b.SecretsMapping != nil {
		var err error
		if vaultName, err = b.vaultName(); err != nil {
			return err
		}
	}
	switch {
	case !same(deref(b.ConnectionID), rec.Via):
		return badRequest("The connection of a secret rotation can't be changed. Delete the rotation and create it again.")
	case b.ProjectID != nil && *b.ProjectID != rec.Project:
		return badRequest("The project of a secret rotation can't be changed. Delete the rotation and create it again.")
	case b.Parameters != nil && !(same(b.Parameters.ClientID, rec.Target.ClientID) && same(b.Parameters.ObjectID, rec.Target.ObjectID)):
		return badRequest("The application that is rotated can't be changed. Delete the rotation and create it again.")
	case !same(vaultName, rec.VaultName):
		return badRequest("secretsMapping.clientSecret can't be changed, since its consumers read that Key Vault secret. " +
			"Delete the rotation and create it again.")
	}
	return nil
}
