package config_test

import (
	"strings"
	"testing"
)

// App Service's word counts only where the platform says so, and never on Lambda.
func TestAppService(t *testing.T) {
	for _, tt := range []struct {
		set  settings
		want bool
	}{
		{settings{}, false},
		{settings{"WEBSITE_AUTH_ENABLED": "True"}, true}, // as App Service writes it
		{settings{"WEBSITE_AUTH_ENABLED": "true"}, true},
		{settings{"WEBSITE_AUTH_ENABLED": "False"}, false},
		{settings{"WEBSITE_AUTH_ENABLED": "1"}, false},
		{settings{"WEBSITE_AUTH_ENABLED": "yes"}, false},
		{settings{"WEBSITE_AUTH_ENABLED": "True", "AWS_LAMBDA_FUNCTION_NAME": "rekey", "AZURE_TENANT_ID": guid, "AZURE_CLIENT_ID": guid,
			"AZURE_CLIENT_SECRET": "own~secret"}, false},
	} {
		c := load(t, least.with(settings{"REKEY_AUTH_TENANT_ID": guid, "REKEY_AUTH_AUDIENCE": "a"}).with(tt.set))
		if c.Callers.AppService != tt.want || c.Callers.TenantID != guid {
			t.Errorf("%v: %+v", tt.set, c.Callers)
		}
	}
}

// Where App Service vouches for people of no tenant in particular, it is said at start.
func TestAppServiceWithoutATenant(t *testing.T) {
	advice := strings.Join(load(t, least.with(settings{"WEBSITE_AUTH_ENABLED": "True", "REKEY_API_KEYS": "ci:read:" + hash})).Unconfigured(),
		"\n")
	if !strings.Contains(advice, "App Service") || !strings.Contains(advice, "REKEY_AUTH_TENANT_ID") {
		t.Errorf("Unconfigured = %q", advice)
	}
}
