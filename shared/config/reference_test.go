package config_test

import (
	"strings"
	"testing"

	"rekey/shared/config"
)

// A reference to Key Vault that the platform has not resolved is no value: whatever the
// setting, it is named once, and nothing else is said about it.
func TestUnresolvedReference(t *testing.T) {
	const reference = "@Microsoft.KeyVault(SecretUri=https://name.vault.azure.net/secrets/hunter2)"
	for name, beside := range map[string]settings{
		"REKEY_DEPLOYMENT":            nil,
		"REKEY_TABLE_SERVICE":         nil,
		"REKEY_KEY_VAULT_URL":         nil,
		"REKEY_PUBLIC_URL":            nil,
		"AZURE_AUTHORITY_HOST":        nil,
		"AZURE_CLIENT_SECRET":         {"AZURE_CLIENT_ID": guid, "AZURE_TENANT_ID": guid},
		"REKEY_API_KEYS":              nil,
		"REKEY_AUTH_AUDIENCE":         {"REKEY_AUTH_TENANT_ID": guid},
		"REKEY_AUTH_TENANT_ID":        {"REKEY_AUTH_AUDIENCE": "api://rekey"},
		"REKEY_MAX_PARALLEL":          nil,
		"REKEY_VERIFY_SPACING":        nil,
		"REKEY_WEBHOOK_URL":           {"REKEY_WEBHOOK_SECRET": hookSecret},
		"REKEY_WEBHOOK_SECRET":        {"REKEY_WEBHOOK_URL": hook},
		"OTEL_EXPORTER_OTLP_ENDPOINT": nil,
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET": {"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid},
	} {
		for _, value := range []string{reference, " " + reference, strings.ToLower(reference),
			"@Microsoft.KeyVault(VaultName=name;SecretName=hunter2)"} {
			_, err := config.Load(least.with(beside).with(settings{name: value}).lookup)
			if err == nil {
				t.Errorf("%s: a reference is taken for a value", name)
				continue
			}
			message := err.Error()
			if strings.Contains(message, "\n") || !strings.HasPrefix(message, name+": ") || !strings.Contains(message, "not resolved") ||
				!strings.Contains(message, "Key Vault Secrets User") || strings.Contains(message, "hunter2") {
				t.Errorf("%s: %q", name, message)
			}
		}
	}
}

// An audience that is a GUID is written as Entra writes it, and one that can't be in a
// token is told.
func TestAudience(t *testing.T) {
	lower := strings.ToLower(guid)
	for given, want := range map[string]string{
		guid: lower, lower: lower, "api://" + guid: "api://" + lower, "API://" + guid: "api://" + lower,
		"api://rekey": "api://rekey", "https://Rekey.example.com": "https://Rekey.example.com",
	} {
		c := load(t, least.with(settings{"REKEY_AUTH_TENANT_ID": guid, "REKEY_AUTH_AUDIENCE": given}))
		if c.Callers.Audience != want {
			t.Errorf("%s: %s, want %s", given, c.Callers.Audience, want)
		}
	}
	for given, says := range map[string]string{
		"api://rekey/.default": "without /.default", lower + "/.default": "without /.default",
		lower + ",api://rekey": "one", lower + " api://rekey": "one",
	} {
		_, err := config.Load(least.with(settings{"REKEY_AUTH_TENANT_ID": guid, "REKEY_AUTH_AUDIENCE": given}).lookup)
		if err == nil || !strings.HasPrefix(err.Error(), "REKEY_AUTH_AUDIENCE: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", given, err)
		}
	}
}
