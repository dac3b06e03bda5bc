package config_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/config"
	"rekey/shared/rotation"
)

// settings are variables by name.
type settings map[string]string

func (s settings) lookup(name string) (string, bool) {
	v, ok := s[name]
	return v, ok
}

// with returns s and more; an empty value takes a variable away.
func (s settings) with(more settings) settings {
	out := maps.Clone(s)
	maps.Copy(out, more)
	return out
}

const guid = "0b1e7e57-0000-4000-8000-00000000000A"

var (
	hash = strings.Repeat("ab", 32)
	// least is what production cannot do without.
	least = settings{
		"REKEY_TABLE_SERVICE": "https://name.table.core.windows.net",
		"REKEY_KEY_VAULT_URL": "https://name.vault.azure.net/",
	}
	emulated = settings{
		"REKEY_EMULATED":       "true",
		"REKEY_TABLE_SERVICE":  "https://127.0.0.1:10002/devstoreaccount1",
		"REKEY_KEY_VAULT_URL":  "https://127.0.0.1:8443",
		"AZURE_AUTHORITY_HOST": "https://localhost:8444/",
		"REKEY_GRAPH_URL":      "https://[::1]:8445",
	}
)

func load(t *testing.T, s settings) config.Config {
	t.Helper()
	c, err := config.Load(s.lookup)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, least)
	if c.Deployment != "default" || c.KeyVaultURL != "https://name.vault.azure.net" ||
		c.AuthorityHost != "https://login.microsoftonline.com" ||
		c.GraphURL != "https://graph.microsoft.com" || c.TableURL != "https://name.table.core.windows.net" || !c.TableConnection.IsZero() ||
		c.PublicURL != "" || c.MaxParallel != 64 || c.Emulated || c.CAFile != "" {
		t.Errorf("Config = %+v", c)
	}
	if c.Rules != rotation.DefaultRules() {
		t.Errorf("Rules = %+v, want rotation's own", c.Rules)
	}
	if c.Identity != (config.Identity{}) || c.OAuth != (config.OAuth{}) || c.Callers.Keys != nil || c.Callers.Audience != "" {
		t.Errorf("Config = %+v", c)
	}
}

func TestEverythingSet(t *testing.T) {
	c := load(t, emulated.with(settings{
		"REKEY_DEPLOYMENT":    "a-23456-89",
		"REKEY_PUBLIC_URL":    "http://localhost:7071/",
		"AZURE_TENANT_ID":     "contoso.onmicrosoft.com",
		"AZURE_CLIENT_ID":     guid,
		"AZURE_CLIENT_SECRET": " own~secret ",
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID":     guid,
		"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET": "oauth~secret",
		"REKEY_API_KEYS":             " ci:rotate:" + hash + ", ci:rotate:" + strings.Repeat("CD", 32) + ",",
		"REKEY_AUTH_TENANT_ID":       guid,
		"REKEY_AUTH_AUDIENCE":        "api://rekey",
		"REKEY_VERIFY_SUCCESSES":     "2",
		"REKEY_VERIFY_SPACING":       "0s",
		"REKEY_VERIFY_MIN_AGE":       "2s",
		"REKEY_VERIFY_MIN_AGE_FIRST": "1s",
		"REKEY_REVOKE_MIN_AGE":       "3s",
		"REKEY_LEASE":                "1m",
		"REKEY_CALL_TIMEOUT":         "10s",
		"REKEY_SKEW":                 "1s",
		"REKEY_SETTLE_SPACING":       "1s",
		"REKEY_SETTLE_MIN_AGE":       "4s",
		"REKEY_LATE_WRITE":           "3s",
		"REKEY_MAX_PARALLEL":         "8",
		"REKEY_CA_FILE":              "ca.pem",
		"REKEY_WEBHOOK_URL":          hook,
		"REKEY_WEBHOOK_SECRET":       hookSecret,
	}))
	if c.Deployment != "a-23456-89" || c.TableURL != "https://127.0.0.1:10002/devstoreaccount1" ||
		c.AuthorityHost != "https://localhost:8444" ||
		c.GraphURL != "https://[::1]:8445" || c.PublicURL != "http://localhost:7071" || c.MaxParallel != 8 || !c.Emulated ||
		c.CAFile != "ca.pem" {
		t.Errorf("Config = %+v", c)
	}
	if c.Identity.TenantID != "contoso.onmicrosoft.com" || c.Identity.ClientID != guid || c.Identity.ClientSecret.Reveal() != " own~secret " {
		t.Errorf("Identity = %+v", c.Identity)
	}
	if c.OAuth.ClientID != guid || c.OAuth.ClientSecret.Reveal() != "oauth~secret" || c.OAuth.SecretName != "" {
		t.Errorf("OAuth = %+v", c.OAuth)
	}
	if k := c.Callers.Keys; len(k) != 2 || k[0].Name != "ci" || k[1].Name != "ci" || k[0].Role != auth.Rotate || k[0].Hash == k[1].Hash {
		t.Errorf("Keys = %v", k)
	}
	if c.Callers.TenantID != guid || c.Callers.Audience != "api://rekey" {
		t.Errorf("Callers = %+v", c.Callers)
	}
	want := rotation.DefaultRules()
	want.Successes, want.Spacing, want.MinAge, want.MinAgeFirst = 2, 0, 2*time.Second, time.Second
	want.RevokeMinAge, want.SettleSpacing, want.SettleMinAge, want.Late = 3*time.Second, time.Second, 4*time.Second, 3*time.Second
	want.Lease, want.Skew, want.CallTimeout = time.Minute, time.Second, 10*time.Second
	want.IssueTimeout, want.Pass = 20*time.Second, 58*time.Second
	if c.Rules != want {
		t.Errorf("Rules = %+v, want %+v", c.Rules, want)
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(s, "~secret") {
		t.Errorf("a secret shows in %s", s)
	}
	if u := c.Unconfigured(); len(u) != 0 {
		t.Errorf("Unconfigured = %q", u)
	}
}

func TestConnectionString(t *testing.T) {
	const azurite = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0==;" +
		"TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
	c := load(t, emulated.with(settings{"REKEY_TABLE_SERVICE": azurite}))
	if c.TableURL != "" || c.TableConnection.Reveal() != azurite {
		t.Errorf("TableURL = %q, TableConnection = %q", c.TableURL, c.TableConnection.Reveal())
	}
	if s := fmt.Sprintf("%+v", c); strings.Contains(s, "c2VjcmV0") {
		t.Errorf("the account's key shows in %s", s)
	}
	load(t, least.with(settings{"REKEY_TABLE_SERVICE": "AccountName=a;AccountKey=c2VjcmV0"}))
}

// One mistake at a time: the error has one line, which names the variable and
// repeats nothing secret.
func TestMistakes(t *testing.T) {
	const hidden = "hunter2"
	tests := []struct {
		base settings
		name string // of the variable
		set  settings
		says string
	}{
		{least, "REKEY_DEPLOYMENT", settings{"REKEY_DEPLOYMENT": "elevenchars"}, "1 to 10"},
		{least, "REKEY_DEPLOYMENT", settings{"REKEY_DEPLOYMENT": "Prod"}, "lower-case"},
		{least, "REKEY_DEPLOYMENT", settings{"REKEY_DEPLOYMENT": "prod-"}, "inner"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": ""}, "required"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "http://name.table.core.windows.net"}, "https"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "name"}, "https"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "https://a.table.core.windows.net/?sig=" + hidden}, "connection string"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "https://name.table.core.windows.net/rekey"}, "without a path"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "https://name.table.core.windows.net/rekey()"}, "without a path"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "AccountName=a;AccountKey=" + hidden +
			";TableEndpoint=https://name.table.core.windows.net/rekey"}, "without a path"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "AccountName=a;AccountKey=" + hidden +
			";DefaultEndpointsProtocol=http"}, "https"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "AccountName=a;SharedAccessSignature=" + hidden}, "AccountKey"},
		{least, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "AccountName=a;" + hidden + ";AccountKey=b"}, "AccountKey"},
		{least, "REKEY_KEY_VAULT_URL", settings{"REKEY_KEY_VAULT_URL": " "}, "required"},
		{least, "REKEY_KEY_VAULT_URL", settings{"REKEY_KEY_VAULT_URL": "http://name.vault.azure.net"}, "https"},
		{least, "REKEY_KEY_VAULT_URL", settings{"REKEY_KEY_VAULT_URL": "https://name.vault.azure.net/secrets"}, "path"},
		{least, "AZURE_AUTHORITY_HOST", settings{"AZURE_AUTHORITY_HOST": "login.microsoftonline.com"}, "https"},
		{least, "AZURE_AUTHORITY_HOST", settings{"AZURE_AUTHORITY_HOST": "https://u:" + hidden + "@login"}, "https"},
		{least, "REKEY_GRAPH_URL", settings{"REKEY_GRAPH_URL": "https://graph.microsoft.com/v1.0"}, "path"},
		{least, "REKEY_PUBLIC_URL", settings{"REKEY_PUBLIC_URL": "http://rekey.example.com"}, "https"},
		{least, "REKEY_PUBLIC_URL", settings{"REKEY_PUBLIC_URL": "https://rekey.example.com/?a"}, "query"},
		{least, "REKEY_PUBLIC_URL", settings{"REKEY_PUBLIC_URL": "https://id.execute-api.eu-west-1.amazonaws.com/prod"}, "no path"},
		{least, "REKEY_PUBLIC_URL", settings{"REKEY_PUBLIC_URL": "https://example.com/rekey/"}, "host name of its own"},
		{least, "AZURE_CLIENT_ID", settings{"AZURE_CLIENT_ID": "app", "AZURE_TENANT_ID": guid, "AZURE_CLIENT_SECRET": hidden}, "GUID"},
		{least, "AZURE_TENANT_ID", settings{"AZURE_TENANT_ID": "a/b"}, "id or domain"},
		{least, "AZURE_CLIENT_SECRET", settings{"AZURE_CLIENT_SECRET": hidden, "AZURE_CLIENT_ID": guid}, "AZURE_TENANT_ID"},
		{least, "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID", settings{"REKEY_OAUTH_CLIENT_SECRET_NAME": "oauth"}, "required"},
		{least, "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET", settings{"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid},
			"REKEY_OAUTH_CLIENT_SECRET_NAME"},
		{least, "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET", settings{"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid,
			"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET": hidden, "REKEY_OAUTH_CLIENT_SECRET_NAME": "oauth"}, "only one"},
		{least, "REKEY_OAUTH_CLIENT_SECRET_NAME", settings{"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid,
			"REKEY_OAUTH_CLIENT_SECRET_NAME": "a_b"}, "name"},
		{least, "REKEY_API_KEYS", settings{"REKEY_API_KEYS": "rk_" + hidden}, "entry 1: the form"},
		{least, "REKEY_API_KEYS", settings{"REKEY_API_KEYS": "ci:admin:" + hash + ",ci:owner:" + strings.Repeat("cd", 32)}, "entry 2: the role"},
		{least, "REKEY_API_KEYS", settings{"REKEY_API_KEYS": "ci:admin:" + hidden}, "64 hex"},
		{least, "REKEY_API_KEYS", settings{"REKEY_API_KEYS": "ci:admin:" + hash + ",x:read:" + strings.ToUpper(hash)}, "same as in entry 1"},
		{least, "REKEY_AUTH_TENANT_ID", settings{"REKEY_AUTH_AUDIENCE": "api://rekey"}, "both or none"},
		{least, "REKEY_AUTH_TENANT_ID", settings{"REKEY_AUTH_TENANT_ID": guid}, "both or none"},
		{least, "REKEY_AUTH_TENANT_ID", settings{"REKEY_AUTH_TENANT_ID": "contoso.com", "REKEY_AUTH_AUDIENCE": "api://rekey"}, "GUID"},
		{least, "REKEY_MAX_PARALLEL", settings{"REKEY_MAX_PARALLEL": "0"}, "1 to 1000"},
		{least, "REKEY_EMULATED", settings{"REKEY_EMULATED": "yes"}, "true or false"},
		{least, "REKEY_CA_FILE", settings{"REKEY_CA_FILE": "ca.pem"}, "REKEY_EMULATED"},
		{least, "REKEY_VERIFY_SUCCESSES", settings{"REKEY_VERIFY_SUCCESSES": "2"}, "at least 3"},
		{least, "REKEY_VERIFY_SUCCESSES", settings{"REKEY_VERIFY_SUCCESSES": "many"}, "number"},
		{least, "REKEY_VERIFY_SPACING", settings{"REKEY_VERIFY_SPACING": "4s"}, "at least 5s"},
		{least, "REKEY_VERIFY_SPACING", settings{"REKEY_VERIFY_SPACING": "80s"}, "less than a pass"},
		{least, "REKEY_VERIFY_MIN_AGE", settings{"REKEY_VERIFY_MIN_AGE": "5"}, "duration"},
		{least, "REKEY_VERIFY_MIN_AGE", settings{"REKEY_VERIFY_MIN_AGE": "4m59s"}, "at least 5m0s"},
		{least, "REKEY_VERIFY_MIN_AGE", settings{"REKEY_VERIFY_MIN_AGE": "30m"}, "less than the 30m0s"},
		{least, "REKEY_VERIFY_MIN_AGE", settings{"REKEY_VERIFY_MIN_AGE_FIRST": "1h"}, "less than the 30m0s"},
		{least, "REKEY_VERIFY_MIN_AGE_FIRST", settings{"REKEY_VERIFY_MIN_AGE_FIRST": "14s"}, "at least 15s"},
		{least, "REKEY_REVOKE_MIN_AGE", settings{"REKEY_REVOKE_MIN_AGE": "59s"}, "at least 1m0s"},
		{least, "REKEY_LEASE", settings{"REKEY_LEASE": "10m"}, "REKEY_EMULATED"},
		{least, "REKEY_CALL_TIMEOUT", settings{"REKEY_CALL_TIMEOUT": "29s"}, "REKEY_EMULATED"},
		{least, "REKEY_SKEW", settings{"REKEY_SKEW": "31s"}, "REKEY_EMULATED"},
		{least, "REKEY_SETTLE_SPACING", settings{"REKEY_SETTLE_SPACING": "1s"}, "REKEY_EMULATED"},
		{least, "REKEY_SETTLE_MIN_AGE", settings{"REKEY_SETTLE_MIN_AGE": "1h"}, "REKEY_EMULATED"},
		{least, "REKEY_LATE_WRITE", settings{"REKEY_LATE_WRITE": "1m"}, "REKEY_EMULATED"},
		{emulated, "REKEY_SKEW", settings{"REKEY_SKEW": "-1s"}, "at least 0s"},
		{emulated, "REKEY_LEASE", settings{"REKEY_LEASE": "2m30s"}, "more than"},
		{emulated, "REKEY_LEASE", settings{"REKEY_LEASE": "4s", "REKEY_SKEW": "2s", "REKEY_CALL_TIMEOUT": "100ms",
			"REKEY_VERIFY_SPACING": "0s"}, "twice"},
		{emulated, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "https://name.table.core.windows.net"}, "real Azure"},
		{emulated, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "AccountName=a;AccountKey=" + hidden}, "real Azure"},
		{emulated, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "AccountName=a;AccountKey=" + hidden +
			";EndpointSuffix=core.chinacloudapi.cn"}, "real Azure"},
		{emulated, "REKEY_TABLE_SERVICE", settings{"REKEY_TABLE_SERVICE": "https://name.z1.table.storage.azure.net"}, "real Azure"},
		{emulated, "REKEY_KEY_VAULT_URL", settings{"REKEY_KEY_VAULT_URL": "https://name.VAULT.azure.net.:443"}, "real Azure"},
		{emulated, "REKEY_KEY_VAULT_URL", settings{"REKEY_KEY_VAULT_URL": "https://name.vault.usgovcloudapi.net"}, "real Azure"},
		{emulated, "REKEY_KEY_VAULT_URL", settings{"REKEY_KEY_VAULT_URL": "https://name.vault.azure.cn"}, "real Azure"},
		{emulated, "AZURE_AUTHORITY_HOST", settings{"AZURE_AUTHORITY_HOST": ""}, "real Azure"},
		{emulated, "AZURE_AUTHORITY_HOST", settings{"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us"}, "real Azure"},
		{emulated, "AZURE_AUTHORITY_HOST", settings{"AZURE_AUTHORITY_HOST": "https://login.partner.microsoftonline.cn"}, "real Azure"},
		{emulated, "REKEY_GRAPH_URL", settings{"REKEY_GRAPH_URL": "https://dod-graph.microsoft.us"}, "real Azure"},
		{emulated, "REKEY_GRAPH_URL", settings{"REKEY_GRAPH_URL": "https://microsoftgraph.chinacloudapi.cn"}, "real Azure"},
		{emulated, "REKEY_GRAPH_URL", settings{"REKEY_GRAPH_URL": ""}, "real Azure"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.says, func(t *testing.T) {
			c, err := config.Load(tt.base.with(tt.set).lookup)
			if err == nil {
				t.Fatalf("accepted: %v", tt.set)
			}
			message := err.Error()
			if strings.Count(message, "\n") != 0 || !strings.HasPrefix(message, tt.name+": ") || !strings.Contains(message, tt.says) {
				t.Errorf("error = %q, want one line about %s that says %q", message, tt.name, tt.says)
			}
			if strings.Contains(message, hidden) {
				t.Errorf("a secret shows in %q", message)
			}
			if c.Deployment != "" {
				t.Errorf("Config = %+v along with an error", c)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := config.Load(settings{
		"REKEY_DEPLOYMENT":     "NO",
		"AZURE_AUTHORITY_HOST": "x",
		"REKEY_API_KEYS":       "a,b",
		"REKEY_LEASE":          "1s",
		"REKEY_SKEW":           "x",
	}.lookup)
	if err == nil {
		t.Fatal("accepted")
	}
	var names []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		name, _, _ := strings.Cut(line, ": ")
		names = append(names, name)
	}
	slices.Sort(names)
	// REKEY_LEASE: it may not be changed, and fits neither rule for leases.
	want := []string{"AZURE_AUTHORITY_HOST", "REKEY_API_KEYS", "REKEY_API_KEYS", "REKEY_DEPLOYMENT", "REKEY_KEY_VAULT_URL",
		"REKEY_LEASE", "REKEY_LEASE", "REKEY_LEASE", "REKEY_SKEW", "REKEY_TABLE_SERVICE"}
	if !slices.Equal(names, want) {
		t.Errorf("mistakes in\n%q, want\n%q\n%v", names, want, err)
	}
}

// Raising a gate needs no permission.
func TestRaisedGates(t *testing.T) {
	c := load(t, least.with(settings{"REKEY_VERIFY_SUCCESSES": "5", "REKEY_VERIFY_SPACING": "10s", "REKEY_VERIFY_MIN_AGE": "20m",
		"REKEY_REVOKE_MIN_AGE": "1h"}))
	if r := c.Rules; r.Successes != 5 || r.Spacing != 10*time.Second || r.MinAge != 20*time.Minute || r.RevokeMinAge != time.Hour {
		t.Errorf("Rules = %+v", r)
	}
}

// A name that only ends like one of Azure's is not Azure's.
func TestLooksLikeAzure(t *testing.T) {
	load(t, emulated.with(settings{"REKEY_KEY_VAULT_URL": "https://notazure.net",
		"REKEY_GRAPH_URL": "https://graph.microsoft.com.example.test"}))
}

// The longest deployment id fits into a marker of 64 characters (rule R11).
func TestMarkerFits(t *testing.T) {
	deployment := strings.Repeat("d", 10)
	load(t, least.with(settings{"REKEY_DEPLOYMENT": deployment}))
	if marker := "rekey/" + deployment + "/" + guid + "/" + strings.Repeat("a", 10); len(marker) > 64 {
		t.Errorf("the marker has %d characters", len(marker))
	}
}

func TestUnconfigured(t *testing.T) {
	tests := []struct {
		name string
		set  settings
		want []string // a word of each
	}{
		{"nothing", settings{}, []string{"REKEY_API_KEYS", "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID", "REKEY_WEBHOOK_URL"}},
		{"keys", settings{"REKEY_API_KEYS": "ci:read:" + hash}, []string{"OAuth", "REKEY_WEBHOOK_URL"}},
		{"tokens", settings{"REKEY_AUTH_TENANT_ID": guid, "REKEY_AUTH_AUDIENCE": "a"}, []string{"OAuth", "REKEY_WEBHOOK_URL"}},
		{"OAuth without an address", settings{"REKEY_API_KEYS": "ci:read:" + hash, "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid,
			"REKEY_OAUTH_CLIENT_SECRET_NAME": "oauth"}, []string{"REKEY_PUBLIC_URL", "REKEY_WEBHOOK_URL"}},
		{"all", settings{"REKEY_API_KEYS": "ci:read:" + hash, "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": guid,
			"REKEY_OAUTH_CLIENT_SECRET_NAME": "oauth", "REKEY_PUBLIC_URL": "https://rekey.example.com/",
			"REKEY_WEBHOOK_URL": hook, "REKEY_WEBHOOK_SECRET_NAME": "webhook"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := load(t, least.with(tt.set)).Unconfigured()
			if len(got) != len(tt.want) {
				t.Fatalf("Unconfigured = %q, want %d", got, len(tt.want))
			}
			for i, word := range tt.want {
				if !strings.Contains(got[i], word) {
					t.Errorf("%q does not say %q", got[i], word)
				}
			}
		})
	}
}
