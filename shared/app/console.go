package app

import (
	"log/slog"

	"rekey/shared/audit"
	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/entra"
	"rekey/shared/keyvault"
	"rekey/shared/openid"
	"rekey/shared/session"
	"rekey/shared/tablestore"
)

// sessions puts signing in to the console together. By Entra it is off where the settings
// name no application, no tenant or no address for browsers.
func sessions(c config.Config, callers *auth.Authenticator, limit *auth.Limiter, trail *audit.Trail, store *tablestore.Store,
	tokens *openid.Verifier, authority *entra.Authority, vault *keyvault.Vault, log *slog.Logger) *session.Manager {
	m := &session.Manager{
		Callers: callers, Limit: limit, Trail: trail, Deployment: c.Deployment, PublicURL: c.PublicURL, Log: log,
		Keys: &session.Keys{Vault: vault, Name: c.Console.KeyName, Reservations: store, Trail: trail, Log: log},
	}
	if app := c.SignIn(); app.ClientID != "" {
		m.Entra = &session.Entra{
			Authority: authority.Identification(peoplesApplication(app, vault)), IDTokens: tokens,
			ClientID: app.ClientID, TenantID: c.Callers.TenantID,
		}
	}
	return m
}
