package config

import "strings"

// Console is how people get into the console, besides by an API key: who signs in by Entra
// to what, and the key of the seal on sessions.
type Console struct {
	// ClientID is REKEY_CONSOLE_CLIENT_ID, the application that people of
	// REKEY_AUTH_TENANT_ID sign in to, by whose app roles they have theirs. Default the one of
	// OAuth.
	ClientID string
	// SecretName is REKEY_CONSOLE_CLIENT_SECRET_NAME, of a secret in the vault that holds the
	// application's. Required with an application of the console's own.
	SecretName string
	// KeyName is REKEY_CONSOLE_KEY_NAME, of a secret in the vault that holds the key of
	// sessions. Default rekey-console-key; it is made when it is first needed.
	KeyName string
}

const (
	consoleClientID   = "REKEY_CONSOLE_CLIENT_ID"
	consoleSecretName = "REKEY_CONSOLE_CLIENT_SECRET_NAME"
)

func (r *reader) console() Console {
	return Console{
		ClientID:   r.match(consoleClientID, "", guidForm, "a client id (a GUID)"),
		SecretName: r.match(consoleSecretName, "", vaultNameForm, "the name of a Key Vault secret"),
		KeyName:    r.match("REKEY_CONSOLE_KEY_NAME", "rekey-console-key", vaultNameForm, "the name of a Key Vault secret"),
	}
}

// consoleRelations checks what the settings of the console say together.
func (r *reader) consoleRelations(c Config) {
	switch own := r.text(consoleClientID) != ""; {
	case !own && r.text(consoleSecretName) != "":
		r.wrong(consoleClientID, "is required for the secret of the console's application: write its client id")
	case own && r.text(consoleSecretName) == "" && !strings.EqualFold(c.Console.ClientID, c.OAuth.ClientID):
		r.wrong(consoleSecretName, "is required for the console's application: name a secret in Key Vault that holds its client secret")
	}
}

// SignIn is the application that people sign in to when they open the console, in the form of
// OAuth's, which it may be. Without an address for browsers and a tenant that people are
// of its ClientID is empty: they can't sign in by Entra.
func (c Config) SignIn() OAuth {
	app := c.OAuth
	if c.Console.ClientID != "" {
		app.ClientID = c.Console.ClientID
	}
	if c.Console.SecretName != "" {
		app = OAuth{ClientID: app.ClientID, SecretName: c.Console.SecretName}
	}
	if c.PublicURL == "" || c.Callers.TenantID == "" {
		return OAuth{}
	}
	return app
}

// unconfiguredConsole says what an application of the console's own lacks.
func (c Config) unconfiguredConsole() string {
	switch {
	case c.Console.ClientID == "" || c.SignIn().ClientID != "":
		return ""
	case c.PublicURL == "":
		return "People can't sign in to the console by Entra: set REKEY_PUBLIC_URL to the address under which browsers reach Rekey."
	}
	return "People can't sign in to the console by Entra: set REKEY_AUTH_TENANT_ID and REKEY_AUTH_AUDIENCE to say of which tenant they may be."
}
