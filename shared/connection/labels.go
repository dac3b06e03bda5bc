package connection

import (
	"strings"

	"rekey/shared/rotation"
)

// VaultName makes the name of a Key Vault secret of that of a secret elsewhere, where _ and
// . are common. Two names may make the same.
func VaultName(name string) string { return strings.NewReplacer("_", "-", ".", "-").Replace(name) }

// labels bounds what is kept of a client's own words.
func (m *mistakes) labels(l *rotation.Labels) {
	if l == nil {
		return
	}
	for _, field := range []struct {
		name, text string
		most       int
	}{
		{"environment", l.Environment, 64},
		{"secretPath", l.SecretPath, 256},
		{"secretsMapping.clientId", l.ClientIDName, 256},
		{"secretsMapping.clientSecret", l.ClientSecretName, 120},
		{"connectionId", l.ConnectionID, 64},
		{"parameters.clientId", l.ClientID, 64},
		{"parameters.objectId", l.ObjectID, 64},
	} {
		m.text(field.name, field.text, field.most)
	}
	if l.ClientIDName != "" && VaultName(l.ClientIDName) == VaultName(l.ClientSecretName) {
		m.complain("secretsMapping must have two names: the one of clientSecret is that of the Key Vault secret")
	}
}
