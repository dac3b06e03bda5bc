package check

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"rekey/shared/config"
)

// options are values of all variables that are optional and change the app's settings,
// and of those by which a principal gets a role.
var options = map[string]cty.Value{
	"custom_domain": cty.StringVal("rekey.example.com"), "timer_period_minutes": cty.NumberIntVal(5), "timer_always_ready": cty.True,
	"deployment": sampled("REKEY_DEPLOYMENT"), "authority_host": sampled("AZURE_AUTHORITY_HOST"), "graph_url": sampled("REKEY_GRAPH_URL"),
	"callers": object("tenant_id", "REKEY_AUTH_TENANT_ID", "audience", "REKEY_AUTH_AUDIENCE"),
	"oauth":   object("client_id", "INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID", "secret_name", "REKEY_OAUTH_CLIENT_SECRET_NAME"),
	"console": object("client_id", "REKEY_CONSOLE_CLIENT_ID", "secret_name", "REKEY_CONSOLE_CLIENT_SECRET_NAME",
		"key_name", "REKEY_CONSOLE_KEY_NAME"),
	"webhook": object("url_secret_name", "REKEY_WEBHOOK_URL", "secret_name", "REKEY_WEBHOOK_SECRET_NAME"),
	"tuning": object("max_parallel", "REKEY_MAX_PARALLEL", "verify_successes", "REKEY_VERIFY_SUCCESSES",
		"verify_spacing", "REKEY_VERIFY_SPACING", "verify_min_age", "REKEY_VERIFY_MIN_AGE",
		"verify_min_age_first", "REKEY_VERIFY_MIN_AGE_FIRST", "revoke_min_age", "REKEY_REVOKE_MIN_AGE"),
	"telemetry": object("disabled", "OTEL_SDK_DISABLED", "endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"traces_endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "metrics_endpoint", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
		"headers_secret_name", "OTEL_EXPORTER_OTLP_HEADERS", "traces_headers_secret_name", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
		"metrics_headers_secret_name", "OTEL_EXPORTER_OTLP_METRICS_HEADERS", "protocol", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"traces_protocol", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "metrics_protocol", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
		"traces_exporter", "OTEL_TRACES_EXPORTER", "metrics_exporter", "OTEL_METRICS_EXPORTER", "service_name", "OTEL_SERVICE_NAME",
		"resource_attributes", "OTEL_RESOURCE_ATTRIBUTES", "traces_sampler", "OTEL_TRACES_SAMPLER",
		"traces_sampler_ratio", "OTEL_TRACES_SAMPLER_ARG"),
	"operators": cty.MapVal(map[string]cty.Value{"team": cty.ObjectVal(map[string]cty.Value{"principal_id": cty.StringVal(sample)})}),
	"secret_readers": cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{
		"secret_name": cty.StringVal("rekey-sample"), "principal_id": cty.StringVal(sample),
	})}),
}

// named are names of vault secrets that hold what is a secret.
var named = map[string]string{"REKEY_WEBHOOK_URL": "webhook-url", "OTEL_EXPORTER_OTLP_HEADERS": "headers",
	"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "traces-headers", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "metrics-headers"}

// sampled is what is entered for a setting: of a secret, its name.
func sampled(setting string) cty.Value {
	return cty.StringVal(cmp.Or(named[setting], samples[setting]))
}

// object has attributes for settings: attribute, setting, and so on.
func object(pairs ...string) cty.Value {
	attributes := make(map[string]cty.Value)
	for pair := range slices.Chunk(pairs, 2) {
		attributes[pair[0]] = sampled(pair[1])
	}
	return cty.ObjectVal(attributes)
}

// hosts are the settings that the Functions host reads, not the program.
var hosts = []string{"REKEY_ROTATION_SCHEDULE", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "AzureWebJobsDisableHomepage",
	"AzureWebJobsStorage__accountName", "AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId"}

// checkSettings checks what the app is told if nothing is asked for.
func (m *module) checkSettings(f *findings) {
	settings, _ := m.settings(f)
	wanted := map[string]string{
		"REKEY_TABLE_SERVICE": "https://rekeyst.table.core.windows.net", "REKEY_KEY_VAULT_URL": "https://rekey-kv.vault.azure.net",
		"REKEY_DEPLOYMENT": "default", "REKEY_API_KEYS": apiKey, "REKEY_PUBLIC_URL": "https://rekey.azurewebsites.net", "AZURE_CLIENT_ID": sample,
		"AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__clientId": sample, "AzureWebJobsDisableHomepage": "true",
		"AzureWebJobsStorage__accountName":          "<azurerm_storage_account.rekey.name>",
		"APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "ClientId=" + sample + ";Authorization=AAD",
	}
	for name, want := range wanted {
		got, ok := settings[name]
		f.expect(ok && got == want, "the setting %s is %q, not %q", name, got, want)
	}
	fields := strings.Fields(settings["REKEY_ROTATION_SCHEDULE"])
	f.expect(len(fields) == 6 && fields[0] == "0", "the timer's schedule REKEY_ROTATION_SCHEDULE is missing, or not every so many minutes")
	for name := range settings {
		_, ok := wanted[name]
		f.expect(ok || name == "REKEY_ROTATION_SCHEDULE", "the setting %s is set without being asked for", name)
	}
	_, present := settings["AzureWebJobsStorage"]
	f.expect(!present,
		"the setting AzureWebJobsStorage is present: the host takes also an empty one for a connection string, and starts no timer")
	m.checkHostStorage(f)
}

// checkHostStorage checks that what the provider writes into AzureWebJobsStorage is
// removed whenever it has written.
func (m *module) checkHostStorage(f *findings) {
	removal := m.resources["terraform_data.host_storage"]
	command := " " + removal.nested("provisioner").text("command") + " "
	for _, words := range []string{" az functionapp config appsettings delete ", " --setting-names AzureWebJobsStorage ",
		" --subscription " + sample + " ", " --resource-group <azurerm_resource_group.rekey.name> ", " --name <" + theApp + ".name> "} {
		f.expect(strings.Contains(command, words), "the provider's AzureWebJobsStorage is not removed: no%sin the command%s", words, command)
	}
	bound := false
	if lifecycle := removal.nested("lifecycle"); lifecycle.body != nil && lifecycle.body.Attributes["replace_triggered_by"] != nil {
		for _, t := range lifecycle.body.Attributes["replace_triggered_by"].Expr.Variables() {
			attr, ok := t[len(t)-1].(hcl.TraverseAttr)
			bound = bound || ok && len(t) == 2 && t.RootName()+"."+attr.Name == theApp
		}
	}
	f.expect(bound, "the provider's AzureWebJobsStorage is not removed after every change of %s", theApp)
}

// checkOptions checks that everything that may be asked for reaches the program.
func (m *module) checkOptions(f *findings) {
	settings, c := m.settings(f)
	for name, want := range samples {
		f.expect(settings[name] == want, "no variable sets %s: it is %q, not %q", name, settings[name], want)
	}
	f.expect(c.Webhook.On() && c.OAuth.ClientID != "" && c.Telemetry.On() && c.Callers.Audience != "", "what is asked for is off")
	f.expect(settings["REKEY_ROTATION_SCHEDULE"] == "0 */5 * * * *", "the variable timer_period_minutes does not reach the host")
	checkNames(f, settings, hosts, map[string]string{"AZURE_TENANT_ID": "a managed identity is in one tenant only"})
}

var keyVaultReference = regexp.MustCompile(
	`^@Microsoft\.KeyVault\(SecretUri=https://rekey-kv\.vault\.azure\.net/secrets/([0-9a-zA-Z-]{1,127})\)$`)

// settings returns the app's settings, with what they refer to in its place, and what
// the program reads in them.
func (m *module) settings(f *findings) (map[string]string, config.Config) {
	settings := make(map[string]string)
	app := m.resources[theApp].value("app_settings")
	if !app.IsKnown() || !app.CanIterateElements() {
		f.expect(false, "the app's settings can't be read")
		return settings, config.Config{}
	}
	for name, v := range app.AsValueMap() {
		settings[name] = text(v)
		reference := keyVaultReference.FindStringSubmatch(settings[name])
		isSecret := slices.Contains(secret, name)
		f.expect(isSecret == (reference != nil), "the setting %s is a secret and has to be fetched from the vault, or is none and is", name)
		if reference != nil && reference[1] == named[name] {
			settings[name] = samples[name]
		}
	}
	c, err := read(settings)
	f.expect(err == nil, "%w", err)
	return settings, c
}

// How READMEs name outputs: in commands of Terraform, and in sentences.
var (
	commanded = regexp.MustCompile(`output -raw (\w+)`)
	mentioned = regexp.MustCompile("output `(\\w+)`")
)

// checkOutputs checks that there are the outputs that a README names in that way.
func (m *module) checkOutputs(f *findings, readme string, way *regexp.Regexp) {
	for _, match := range way.FindAllStringSubmatch(readme, -1) {
		f.expect(m.outputs[match[1]].body != nil, "the README asks for the output %s, which there is not", match[1])
	}
}
