// Package config reads Rekey's settings.
//
// They come from environment variables, through a lookup function that the mains
// pass in, and every mistake in them is reported at once, each with the name of
// the variable and what to write instead: the operator should not have to start
// it once per mistake. A Config that [Load] returned is complete and
// consistent, so that no code after it checks a setting again.
//
// Two checks keep production safe: the durations of the protocol may be shortened
// only with REKEY_EMULATED, and REKEY_EMULATED is refused next to any address of the
// real Azure.
package config

import (
	"errors"
	"time"

	"rekey/shared/secret"

	"rekey/shared/auth"
	"rekey/shared/rotation"
)

// Config is every setting. In the comments: the variable, its form, its default.
type Config struct {
	// Deployment is REKEY_DEPLOYMENT, the short id of this deployment in markers
	// and tags: 1 to 10 lower-case letters, digits and inner hyphens, so that
	// the marker rekey/<deployment>/<36>/<10> fits 64 characters. Default
	// "default". If it changes, Rekey no longer knows its own secrets.
	Deployment string

	// TableURL or TableConnection, one of them, is REKEY_TABLE_SERVICE: an https
	// URL, used with Rekey's own identity, or a storage connection string, which
	// holds the account's key. Required.
	TableURL        string
	TableConnection secret.Value
	// TableHost is the host that either of them leads to, with the port if that is
	// written there.
	TableHost string

	// KeyVaultURL is REKEY_KEY_VAULT_URL, https. Required.
	KeyVaultURL string
	// AuthorityHost is AZURE_AUTHORITY_HOST, https. Default
	// https://login.microsoftonline.com.
	AuthorityHost string
	// GraphURL is REKEY_GRAPH_URL, https, without a version. Default
	// https://graph.microsoft.com.
	GraphURL string
	// PublicURL is REKEY_PUBLIC_URL, under which browsers reach Rekey: https, or
	// http on loopback, and no path. Optional; without it there is no OAuth.
	PublicURL string

	Identity Identity
	OAuth    OAuth
	Callers  Callers
	Console  Console
	Webhook  Webhook

	// Rules are rotation's defaults with what the variables named at [Load] say.
	// Two are derived, in the proportions of rule R2: IssueTimeout is twice
	// CallTimeout, and Pass is Lease less twice Skew.
	Rules rotation.Rules
	// Telemetry is where metrics and traces go. Default nowhere.
	Telemetry Telemetry
	// MaxParallel is REKEY_MAX_PARALLEL, how many connections are worked on at
	// once, 1 to 1000. Default 64.
	MaxParallel int

	// Emulated is REKEY_EMULATED, "true" or "false": the services are emulators.
	// No instance discovery, no check of the vault's domain, short gates
	// allowed. Default false.
	Emulated bool
	// CAFile is REKEY_CA_FILE, a PEM file of the authority that signed the
	// emulators' certificates. Only with REKEY_EMULATED.
	CAFile string
}

// Identity is Rekey's own: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
// as azidentity reads them. With a secret, all three are needed; a client id alone
// chooses a managed identity; none means the platform's own. On AWS Lambda, without a
// secret, the other two are needed, and Federated is set.
type Identity struct {
	TenantID     string
	ClientID     string
	ClientSecret secret.Value
	Federated    Federated
}

// OAuth is the application with which people connect by OAuth. Its secret is given
// or named, not both. All of it is optional; it is on if ClientID is set.
type OAuth struct {
	ClientID     string       // INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID
	ClientSecret secret.Value // INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET
	SecretName   string       // REKEY_OAUTH_CLIENT_SECRET_NAME: of a secret in the vault
}

// Callers says who may call. Without keys and tokens no caller may.
type Callers struct {
	// Keys is REKEY_API_KEYS: name:role:sha256hex, comma-separated. One name may
	// have several keys, so that one can be replaced without a gap.
	Keys []auth.Key
	// TenantID and Audience are REKEY_AUTH_TENANT_ID, a GUID, and
	// REKEY_AUTH_AUDIENCE: whose Entra tokens are accepted. Both or none. The audience is
	// the client id of the API's registration or its identifier URI; with api:// and
	// the client id, tokens of both versions are accepted.
	TenantID string
	Audience string
	// AppService says that WEBSITE_AUTH_ENABLED, which App Service sets, is "true" in
	// any case: its own authentication stands in front, and may vouch for callers of
	// TenantID. It is false on AWS Lambda, whatever is set there.
	AppService bool
}

// issueTimeout is what addPassword gets: twice a call (rule R2: 30 s and 60 s),
// because giving up on it costs a credential whose value is lost.
func issueTimeout(call time.Duration) time.Duration { return 2 * call }

// pass is how long a pass works on one lease: it ends as long before the lease's
// own end as the clocks may differ, twice (rule R2: 4 min of 5).
func pass(lease, skew time.Duration) time.Duration { return lease - 2*skew }

// Unconfigured says in words what is off for want of a setting, and what to set.
// None of it is a mistake; Rekey rotates without.
func (c Config) Unconfigured() []string {
	var out []string
	if len(c.Callers.Keys) == 0 && c.Callers.Audience == "" {
		out = append(out, "No caller may use the API: set REKEY_API_KEYS (make apikey prints a key and its entry), or REKEY_AUTH_TENANT_ID "+
			"and REKEY_AUTH_AUDIENCE to accept Entra tokens.")
	}
	if c.Callers.AppService && c.Callers.TenantID == "" {
		out = append(out, "App Service's authentication is on, but no caller whom it knows may use the API: set REKEY_AUTH_TENANT_ID and "+
			"REKEY_AUTH_AUDIENCE to say of which tenant they may be.")
	}
	if c.OAuth.ClientID == "" {
		out = append(out, "Connecting by OAuth is off: set "+oauthClientID+", and "+oauthClientSecret+" or REKEY_OAUTH_CLIENT_SECRET_NAME.")
	} else if c.PublicURL == "" {
		out = append(out, "Connecting by OAuth is off: set REKEY_PUBLIC_URL to the address under which browsers reach Rekey.")
	}
	if s := c.unconfiguredConsole(); s != "" {
		out = append(out, s)
	}
	if !c.Webhook.On() {
		out = append(out, "Rekey tells no person when a connection needs one: set "+webhookURL+", and "+webhookSecret+" or "+
			webhookSecretName+".")
	}
	return out
}

// The names that Infisical's users have for the OAuth application.
const (
	oauthClientID     = "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID"
	oauthClientSecret = "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET"
)

// Load reads the settings through lookup, which is os.LookupEnv in the mains. An
// empty variable counts as one that is not set; a Key Vault reference that the platform has
// not resolved is a mistake. The error joins one error for each
// mistake and repeats no value that may be secret; the Config is then of no use.
//
// The rules are read from REKEY_VERIFY_SUCCESSES, _SPACING, _MIN_AGE and
// _MIN_AGE_FIRST, REKEY_REVOKE_MIN_AGE, REKEY_LEASE, REKEY_CALL_TIMEOUT, REKEY_SKEW,
// REKEY_SETTLE_SPACING, REKEY_SETTLE_MIN_AGE and REKEY_LATE_WRITE; durations as in "90s" or "1h30m".
func Load(lookup func(string) (string, bool)) (Config, error) {
	r := &reader{lookup: lookup}
	c := Config{
		Deployment: r.match("REKEY_DEPLOYMENT", "default", deploymentForm, "1 to 10 lower-case letters, digits and inner hyphens"),
		KeyVaultURL: r.required("REKEY_KEY_VAULT_URL", r.origin("REKEY_KEY_VAULT_URL", ""),
			"the vault's URL, like https://name.vault.azure.net"),
		AuthorityHost: r.origin("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
		GraphURL:      r.origin("REKEY_GRAPH_URL", "https://graph.microsoft.com"),
		PublicURL:     r.publicURL("REKEY_PUBLIC_URL"),
		Identity: Identity{
			TenantID:     r.match("AZURE_TENANT_ID", "", tenantForm, "the tenant's id or domain"),
			ClientID:     r.match("AZURE_CLIENT_ID", "", guidForm, "a client id (a GUID)"),
			ClientSecret: r.secret("AZURE_CLIENT_SECRET"),
		},
		OAuth: OAuth{
			ClientID:     r.match(oauthClientID, "", guidForm, "a client id (a GUID)"),
			ClientSecret: r.secret(oauthClientSecret),
			SecretName:   r.match("REKEY_OAUTH_CLIENT_SECRET_NAME", "", vaultNameForm, "the name of a Key Vault secret"),
		},
		Callers: Callers{
			Keys:     r.keys("REKEY_API_KEYS"),
			TenantID: r.match("REKEY_AUTH_TENANT_ID", "", guidForm, "the tenant's id (a GUID)"),
			Audience: r.audience("REKEY_AUTH_AUDIENCE"), AppService: r.appService(),
		},
		MaxParallel: r.number("REKEY_MAX_PARALLEL", 64, 1, 1000),
		Emulated:    r.boolean("REKEY_EMULATED"),
		CAFile:      r.text("REKEY_CA_FILE"),
	}
	c.TableURL, c.TableConnection, c.TableHost = r.table("REKEY_TABLE_SERVICE", c.Emulated)
	c.Telemetry = r.telemetry()
	c.Identity.Federated = r.federated(c.Identity, c.Emulated)
	c.Console = r.console()
	c.Webhook = r.webhook(c.Emulated)
	c.Rules = r.rules(c.Emulated)
	r.relations(c)
	if c.Emulated {
		r.emulated(c)
	}
	if err := errors.Join(r.errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}
