package connections

import (
	"strings"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// through is the connection that a body names.
func (h *Handler) through(r *request, connectionID string) (rotation.Record, error) {
	id := strings.ToLower(strings.TrimSpace(connectionID))
	if id == "" {
		return rotation.Record{}, badRequest("connectionId is missing.")
	}
	if !connection.ValidID(id) {
		return rotation.Record{}, badRequest("connectionId must be the id of a connection, which is a UUID.")
	}
	rec, err := h.Service.Get(r.Context(), id)
	if err == nil && rec.Via != "" {
		return rec, errNoConnection
	}
	return rec, err
}

// adoptBody is the body that makes a target of an application of the inventory.
type adoptBody struct {
	ConnectionID          string        `json:"connectionId"`
	VaultSecretName       string        `json:"vaultSecretName"`
	Name                  string        `json:"name"`
	Description           *string       `json:"description"`
	RetireKeyIDs          []string      `json:"retireKeyIds"`
	IsAutoRotationEnabled bool          `json:"isAutoRotationEnabled"`
	Rotation              *rotationBody `json:"rotation"`
}

// adopt makes a target of an application. What of it is in the inventory does not matter: it is
// looked up in the directory.
func (h *Handler) adopt(r *request) (any, error) {
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	var b adoptBody
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	of := targetBody{Name: b.Name, ClientID: key.ClientID, Description: b.Description, VaultSecretName: b.VaultSecretName,
		RetireKeyIDs: b.RetireKeyIDs, IsAutoRotationEnabled: b.IsAutoRotationEnabled, Rotation: b.Rotation}
	if err := of.allowed(r.caller.Role); err != nil {
		return nil, err
	}
	if strings.TrimSpace(b.VaultSecretName) == "" {
		return nil, badRequest("vaultSecretName is missing: the Key Vault secret from which consumers are to read the client secret.")
	}
	via, err := h.through(r, b.ConnectionID)
	if err != nil {
		return nil, err
	}
	if via.Actor.TenantID != key.TenantID {
		return nil, badRequest("The connection is of another tenant. Give the connectionId of one that signs in to the application's tenant.")
	}
	return h.newTarget(r, via.ID, &of)
}
