package app

import (
	"context"
	"log/slog"

	"rekey/shared/secret"

	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/entra"
	"rekey/shared/keyvault"
	"rekey/shared/oauth"
	"rekey/shared/openid"
	"rekey/shared/tablestore"
)

// peoplesApplication is one that people sign in to. Its secret is given, or read from Key
// Vault when it is first needed.
func peoplesApplication(app config.OAuth, vault *keyvault.Vault) entra.OAuthApplication {
	return entra.OAuthApplication{ClientID: app.ClientID, Secret: func(ctx context.Context) (secret.Value, error) {
		if app.SecretName == "" {
			return app.ClientSecret, nil
		}
		secret, err := vault.Get(ctx, app.SecretName, "")
		return secret.Value, err
	}}
}

// connectPeople puts connecting by OAuth together; nil where the settings leave it off.
func connectPeople(c config.Config, tokens *openid.Verifier, store *tablestore.Store, authority *entra.Authority,
	connections *connection.Service, log *slog.Logger) *oauth.Flow {
	if c.OAuth.ClientID == "" || c.PublicURL == "" {
		return nil
	}
	return &oauth.Flow{
		Store: store, Authority: authority, IDTokens: tokens, Connections: connections,
		ClientID: c.OAuth.ClientID, PublicURL: c.PublicURL, Log: log,
	}
}
