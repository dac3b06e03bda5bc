package rotation

import (
	"time"

	"rekey/shared/secret"
	"rekey/shared/serviceerror"
)

// Due is one entry of the wake-up index. Wake is in UTC and whole seconds.
type Due struct {
	ID   string
	Wake time.Time
}

// Handle is what a store has to remember about a record that it returned: the
// condition of the next write. It is opaque to all other code, and never encoded.
type Handle struct {
	ETag  string
	Wake  time.Time // the due row as it is stored
	Index string    // the rows that lists and counts find it by, as they are stored
}

// VaultSecret is one version of a secret in Key Vault.
type VaultSecret struct {
	Name        string
	Version     string
	Value       secret.Value // empty in lists
	ContentType string
	Enabled     bool
	ExpiresAt   time.Time // zero: none; whole seconds
	CreatedAt   time.Time // set by the vault; whole seconds
	Tags        map[string]string
}

// Token is an access token for Microsoft Graph. What it says about its holder is
// read without verification and good for advice only, never for a decision to let
// a caller in; all of it is empty if the token is opaque.
type Token struct {
	Value     secret.Value
	ExpiresAt time.Time
	Opaque    bool     // the claims could not be read
	Roles     []string // application permissions, "Application.ReadWrite.OwnedBy"
	ObjectID  string   // the service principal's object id, or the person's

	// Of a person who signed in: what the application may do for them, and their
	// directory roles by template id.
	Scopes         []string
	DirectoryRoles []string
}

// ApplicationState is what one read of an application showed.
type ApplicationState struct {
	ObjectID       string
	ClientID       string
	DisplayName    string
	SignInAudience string
	Passwords      []Password
}

// PersonalAccounts reports whether personal Microsoft accounts may sign in. Such
// an application may have two client secrets at most.
// Source: learn.microsoft.com/entra/identity-platform/supported-accounts-validation.
func (a ApplicationState) PersonalAccounts() bool {
	return a.SignInAudience == "AzureADandPersonalMicrosoftAccount" || a.SignInAudience == "PersonalMicrosoftAccount"
}

// Password is a client secret as the directory lists it, without its value.
type Password struct {
	KeyID       string // lower case
	DisplayName string
	Hint        string // the first three characters of the value; may be empty
	StartsAt    time.Time
	ExpiresAt   time.Time
}

// Issued is a new client secret; its value is returned this once.
type Issued struct {
	KeyID     string
	Value     secret.Value
	Hint      string
	ExpiresAt time.Time
}

// VaultState is what a vault knows about a name, without the value. A name that is
// neither Exists nor Deleted is free.
type VaultState struct {
	Exists  bool              // it can be read and written
	Deleted bool              // it is soft-deleted, or being recovered: its name is blocked
	Tags    map[string]string // of the latest version
	Version string            // the latest version
	Place   serviceerror.Place
}
