package config

import (
	"net/url"

	"rekey/shared/secret"

	"rekey/shared/notice"
)

// Webhook is where Rekey tells that a connection needs a person, and that it does
// not any more. It is on if URL is set; then its secret is given or named, not both.
type Webhook struct {
	// URL is REKEY_WEBHOOK_URL: https, without a user; http on loopback only with
	// REKEY_EMULATED. It is a Secret because many receivers know their callers by
	// its path or query. Optional.
	URL secret.Value
	// Secret is REKEY_WEBHOOK_SECRET, what notices are signed with: whsec_ and the
	// base64 of 24 to 64 bytes; several, separated by spaces or commas, while one
	// replaces another. See [notice.ParseKeys].
	Secret secret.Value
	// SecretName is REKEY_WEBHOOK_SECRET_NAME: of a secret in the vault that holds
	// the same. It can be replaced there without a restart.
	SecretName string
}

// On reports whether a webhook is set.
func (w Webhook) On() bool { return !w.URL.IsZero() }

const (
	webhookURL        = "REKEY_WEBHOOK_URL"
	webhookSecret     = "REKEY_WEBHOOK_SECRET"
	webhookSecretName = "REKEY_WEBHOOK_SECRET_NAME"
)

// webhook reads the webhook and checks what its settings say together.
func (r *reader) webhook(emulated bool) Webhook {
	w := Webhook{
		URL:        r.webhookURL(emulated),
		Secret:     r.secret(webhookSecret),
		SecretName: r.match(webhookSecretName, "", vaultNameForm, "the name of a Key Vault secret"),
	}
	if !w.Secret.IsZero() {
		if _, err := notice.ParseKeys(w.Secret); err != nil {
			r.wrong(webhookSecret, "%w", err)
		}
	}
	given, named := !w.Secret.IsZero(), r.text(webhookSecretName) != ""
	switch on := r.text(webhookURL) != ""; {
	case given && named:
		r.wrong(webhookSecret, "is given, and %s names one in Key Vault: set only one", webhookSecretName)
	case on && !given && !named:
		r.wrong(webhookSecret, "is required for the webhook, so that its receiver can tell who calls; or name a secret in Key Vault by %s",
			webhookSecretName)
	case !on && (given || named):
		r.wrong(webhookURL, "is required for the webhook's secret: write the receiver's address, or leave the secret out")
	}
	return w
}

// webhookURL reads an address that may have a path and a query. It is not repeated in
// the error.
func (r *reader) webhookURL(emulated bool) secret.Value {
	s := r.text(webhookURL)
	if s == "" {
		return secret.Value{}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "":
		r.wrong(webhookURL, "must be an https URL")
	case u.User != nil:
		r.wrong(webhookURL, "must not have a user or password in it: the receiver knows Rekey by its signature")
	case u.Scheme == "http" && emulated && loopback(u.Hostname()), u.Scheme == "https":
		return secret.New(s)
	default:
		r.wrong(webhookURL, "must be an https URL; with REKEY_EMULATED=true also http on localhost")
	}
	return secret.Value{}
}
