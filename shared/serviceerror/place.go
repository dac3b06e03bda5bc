package serviceerror

import "fmt"

// Place is where in Key Vault a failure is. The zero Place is nowhere in particular.
type Place struct {
	Vault   string // the vault's name, or its host if that is none of Azure's
	Name    string // of the secret
	Version string // empty: the latest
}

// DetailSoftDeleted is the Detail of an error about a secret that is soft-deleted, so that it
// can be recovered. It is Key Vault's own word for a name that is blocked.
const DetailSoftDeleted = "ObjectIsDeletedButRecoverable"

// command is an az keyvault command about the secret.
func (p Place) command(verb, more string) string {
	return fmt.Sprintf("az keyvault secret %s --vault-name %s --name %s%s", verb, p.Vault, p.Name, more)
}

// version names the version for a person.
func (p Place) version() string {
	if p.Version == "" {
		return "the latest version"
	}
	return "version " + p.Version
}

// option names the version for a command.
func (p Place) option() string {
	if p.Version == "" {
		return ""
	}
	return " --version " + p.Version
}

// advice says what is wrong there and what to do; empty where the class says as much.
func (p Place) advice(class Class, detail string) string {
	if p.Name == "" {
		return ""
	}
	secret := fmt.Sprintf("The Key Vault secret %q in the vault %s", p.Name, p.Vault)
	switch deleted := detail == DetailSoftDeleted; {
	case class == VaultDisabled:
		return fmt.Sprintf("%s can't be read: %s is disabled. Enable it: %s. If it was disabled on purpose, give new credentials instead.",
			secret, p.version(), p.command("set-attributes", p.option()+" --enabled true"))
	case class == VaultMissing && deleted:
		return fmt.Sprintf("%s is soft-deleted, and %s is needed. Recover it: %s.", secret, p.version(), p.command("recover", ""))
	case class == VaultMissing:
		return fmt.Sprintf("%s does not have %s any more, which is needed: it was purged, or REKEY_KEY_VAULT_URL names another vault. "+
			"See what is there: %s. If it is lost, give new credentials.", secret, p.version(), p.command("list-versions", ""))
	case class == VaultConflict && deleted:
		return fmt.Sprintf("%s is soft-deleted, so that its name is blocked. Recover it: %s.", secret, p.command("recover", ""))
	}
	return ""
}
