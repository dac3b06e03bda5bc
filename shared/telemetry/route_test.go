package telemetry

import (
	"net/url"
	"testing"
)

// What is told of a path is Rekey's own words; what could be a value is not.
func TestRoute(t *testing.T) {
	for address, want := range map[string]string{
		"https://login/0b1e7e57-0000-4000-8000-00000000000A/oauth2/v2.0/token?client_secret=x": "/{id}/oauth2/v2.0/token",
		"https://login/contoso.onmicrosoft.com/v2.0/.well-known/openid-configuration":          "/{id}/v2.0/.well-known/openid-configuration",
		"https://graph/v1.0/applications(appId='0b1e7e57')?$select=id":                         "/v1.0/applications({id})",
		"https://graph/v1.0/applications(appId=%270b1e7e57%27)/removePassword":                 "/v1.0/applications({id})/removePassword",
		"https://vault/secrets/billing-staged/versions?api-version=7.5":                        "/secrets/{id}/versions",
		"https://vault/secrets/billing/0123456789abcdef":                                       "/secrets/{id}/{id}",
		"https://table/rekey()?$filter=x":                                                      "/rekey()",
		"https://table/rekey(PartitionKey='s00',RowKey='conn-1')":                              "/rekey({id})",
		"https://table/mine(PartitionKey='s00')":                                               "/{id}()",
		"https://table/$batch":                                                                 "/$batch",
		"https://hooks/services/T000/B000/XXXX":                                                "/{id}/{id}/{id}/{id}",
		"https://us/organization/app-connections/azure/oauth/callback?code=x&state=y": "/organization/app-connections" +
			"/azure/oauth/callback",
		"https://us/api/v1/app-connections/azure-client-secrets/connection-name/my%20name": "/api/v1/app-connections" +
			"/azure-client-secrets/connection-name/{id}",
		"https://us/api/v2/secret-rotations/azure-client-secret/0b1e7e57": "/api/v2/secret-rotations/azure-client-secret/{id}",
		"https://us/api/v1/auth/universal-auth/login":                     "/api/v1/auth/universal-auth/login",
		"https://us/%61pi":                    "/{id}",
		"https://us/a/b/c/d/e/f/g/h/i/j/k/l/": "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/...",
		"https://us/":                         "/",
		"https://us":                          "/",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := route(u); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
