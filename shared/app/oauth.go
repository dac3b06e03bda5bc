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

// oauthApplication is what people sign in to. Its secret is given, or read from Key
// Vault when it is first needed.
func oauthApplication(c config.Config, vault *keyvault.Vault) entra.OAuthApplication {
	return entra.OAuthApplication{ClientID: c.OAuth.ClientID, Secret: func(ctx context.Context) (secret.Value, error) {
		if c.OAuth.SecretName == "" {
			return c.OAuth.ClientSecret, nil
		}
		secret, err := vault.Get(ctx, c.OAuth.SecretName, "")
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
