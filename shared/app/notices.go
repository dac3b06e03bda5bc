package app

import (
	"fmt"
	"log/slog"
	"net/http"

	"rekey/shared/config"
	"rekey/shared/notice"
)

// notices tells people by the webhook; nil if there is none.
func notices(c config.Config, store notice.Store, vault notice.Vault, client *http.Client, log *slog.Logger) (*notice.Deliverer, error) {
	if !c.Webhook.On() {
		return nil, nil
	}
	d := &notice.Deliverer{
		Store: store, URL: c.Webhook.URL, Deployment: c.Deployment, Client: client, Log: log,
		Keyring: &notice.VaultKeys{Vault: vault, Name: c.Webhook.SecretName},
	}
	if c.Webhook.SecretName == "" {
		keys, err := notice.ParseKeys(c.Webhook.Secret)
		if err != nil {
			return nil, fmt.Errorf("reading the webhook's secret: %w", err)
		}
		d.Keyring = keys
	}
	return d, nil
}
