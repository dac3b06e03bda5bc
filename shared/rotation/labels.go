package rotation

// Labels are what clients of Infisical's secret rotations say of a target and Rekey has no
// use for. They are kept as they came and given back, since such clients compare them with
// what they have written down. They are in no tag of the vault: after a rebuild such a
// client writes them again.
type Labels struct {
	Environment string `json:"environment,omitempty"`
	SecretPath  string `json:"secretPath,omitempty"`
	// The names that the mapping has: of the secret that gets the client id, and the one
	// of which the name of the Key Vault secret was made.
	ClientIDName     string `json:"clientIdName,omitempty"`
	ClientSecretName string `json:"clientSecretName,omitempty"`
	// Ids of the record in the letter case in which they came.
	ConnectionID string `json:"connectionId,omitempty"`
	ClientID     string `json:"clientId,omitempty"`
	ObjectID     string `json:"objectId,omitempty"`
}
