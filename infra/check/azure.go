package check

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"rekey/shared/config"
	"rekey/shared/tablestore"
)

// sample is a client id, for what is one only after a deployment.
const sample = "00000000-0000-4000-8000-000000000000"

// apiKey has the form of an entry of REKEY_API_KEYS.
var apiKey = "check:read:" + strings.Repeat("0", 64)

// Azure checks the Terraform module in fsys. The error joins all that is wrong with it.
func Azure(fsys fs.FS) error {
	m, err := load(fsys, required, afterwards)
	if err != nil {
		return fmt.Errorf("reading the module: %w", err)
	}
	var f findings
	for _, p := range m.providers {
		f.expect(p == "azurerm", "the provider %s is used: whatever it may do in Entra is more than Rekey needs", p)
	}
	m.checkStorage(&f)
	m.checkVault(&f)
	m.checkRoles(&f)
	m.checkFunction(&f)
	m.checkSettings(&f)
	m.checkMonitoring(&f)

	vars := maps.Clone(required)
	maps.Copy(vars, options)
	if m, err = load(fsys, vars, afterwards); err != nil {
		return fmt.Errorf("reading the module with its options: %w", err)
	}
	m.checkOptions(&f)
	return f.err()
}

var (
	// required are values of the variables that have no default, and of the keys,
	// without which nobody could call.
	required = map[string]cty.Value{
		"name": cty.StringVal("rekey"), "location": cty.StringVal("westeurope"),
		"alert_emails": cty.ListVal([]cty.Value{cty.StringVal("oncall@example.com")}),
		"api_keys":     cty.ListVal([]cty.Value{cty.StringVal(apiKey)}),
	}
	// options are values of those that change the app's settings.
	options = map[string]cty.Value{
		"callers":       cty.ObjectVal(map[string]cty.Value{"tenant_id": cty.StringVal(sample), "audience": cty.StringVal("api://rekey")}),
		"oauth":         cty.ObjectVal(map[string]cty.Value{"client_id": cty.StringVal(sample), "secret_name": cty.StringVal("oauth-application")}),
		"custom_domain": cty.StringVal("rekey.example.com"), "timer_period_minutes": cty.NumberIntVal(5),
	}
	// afterwards are attributes that a deployment would have.
	afterwards = map[string]string{
		"azurerm_storage_account.rekey.primary_table_endpoint": "https://rekeyst.table.core.windows.net/",
		"azurerm_key_vault.rekey.vault_uri":                    "https://rekey-kv.vault.azure.net/",
		"azurerm_user_assigned_identity.rekey.client_id":       sample,
	}
)

func (m *module) checkStorage(f *findings) {
	accounts := m.named("azurerm_storage_account")
	f.expect(len(accounts) > 0, "there is no storage account")
	for _, name := range accounts {
		a := m.resources[name]
		f.expect(a.is("shared_access_key_enabled", false), "%s: shared keys are on", name)
		f.expect(a.is("local_user_enabled", false), "%s: local users are on", name)
		f.expect(a.is("allow_nested_items_to_be_public", false), "%s: blobs may be made public", name)
		f.expect(a.is("https_traffic_only_enabled", true), "%s: plain HTTP is allowed", name)
		f.expect(slices.Contains([]string{"TLS1_2", "TLS1_3"}, a.text("min_tls_version")), "%s: an old TLS version is allowed", name)
	}
	for _, name := range m.named("azurerm_storage_container") {
		f.expect(m.resources[name].text("container_access_type") == "private", "%s is public", name)
	}
	table := m.resources["azurerm_storage_table.records"]
	f.expect(table.text("name") == tablestore.DefaultTable, "azurerm_storage_table.records: the handler's table is %q", tablestore.DefaultTable)
	f.expect(table.nested("lifecycle").is("prevent_destroy", true), "azurerm_storage_table.records: the records could be destroyed")
}

func (m *module) checkVault(f *findings) {
	vaults := m.named("azurerm_key_vault")
	f.expect(len(vaults) == 1, "there are %d vaults, not one", len(vaults))
	for _, name := range vaults {
		v := m.resources[name]
		f.expect(v.is("rbac_authorization_enabled", true), "%s: roles don't decide on access", name)
		f.expect(v.is("purge_protection_enabled", true), "%s: secrets can be purged", name)
		f.expect(v.number("soft_delete_retention_days") == 90, "%s: what is deleted is not kept for 90 days", name)
		f.expect(v.is("public_network_access_enabled", false), "%s: the vault is public unless somebody asks for that", name)
		acls := v.nested("network_acls")
		f.expect(acls.text("default_action") == "Deny", "%s: the vault is public to every network", name)
		f.expect(acls.text("bypass") == "None", "%s: services of Azure pass the vault's network rules", name)
		f.expect(v.nested("access_policy").body == nil, "%s: an access policy gives access besides roles", name)
		f.expect(v.nested("lifecycle").is("prevent_destroy", true), "%s could be destroyed", name)
	}
	endpoint := m.resources["azurerm_private_endpoint.vault"].nested("private_service_connection")
	f.expect(endpoint.text("private_connection_resource_id") == "<azurerm_key_vault.rekey.id>", "the app's network does not lead to the vault")
	f.expect(len(m.named("azurerm_key_vault_secret")) == 0, "a secret's value is in the module, and so in its state")
}

// roles are all that are given, by resource: role, scope, to whom.
var roles = map[string][3]string{
	"azurerm_role_assignment.records": {"Storage Table Data Contributor",
		"<azurerm_storage_account.rekey.id>/tableServices/default/tables/<azurerm_storage_table.records.name>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.secrets": {"Key Vault Secrets Officer",
		"<azurerm_key_vault.rekey.id>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.host": {"Storage Blob Data Owner",
		"<azurerm_storage_account.rekey.id>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.telemetry": {"Monitoring Metrics Publisher",
		"<azurerm_application_insights.rekey.id>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.package": {"Storage Blob Data Contributor",
		"<azurerm_storage_account.rekey.id>/blobServices/default/containers/<azurerm_storage_container.package.name>", "<azurerm_user_assigned_identity.deployment.principal_id>"},
	"azurerm_role_assignment.readers": {"Key Vault Secrets User",
		"<azurerm_key_vault.rekey.id>", ""}, // whom the operator names
}

func (m *module) checkRoles(f *findings) {
	given := m.named("azurerm_role_assignment")
	for _, name := range given {
		a, want := m.resources[name], roles[name]
		if want[0] == "" {
			f.expect(false, "%s: a role that Rekey does not need", name)
			continue
		}
		f.expect(a.text("role_definition_name") == want[0] && a.body.Attributes["role_definition_id"] == nil,
			"%s: a wrong role: %q, not %q", name, a.text("role_definition_name"), want[0])
		f.expect(a.text("scope") == want[1], "%s: a wrong scope: %q, not %q", name, a.text("scope"), want[1])
		f.expect(a.text("principal_id") == want[2], "%s: given to %q, not to %q", name, a.text("principal_id"), want[2])
		f.expect(strings.Contains(a.comment, "can NOT") || strings.Contains(a.comment, "can\n# NOT"), "%s: no comment says what it can NOT do", name)
	}
	for name := range roles {
		f.expect(slices.Contains(given, name), "%s is missing: %s", name, roles[name][0])
	}
	f.expect(len(m.named("azurerm_role_definition")) == 0, "a role of its own hides what it allows")
}

func (m *module) checkFunction(f *findings) {
	const name = "azurerm_function_app_flex_consumption.rekey"
	app, ok := m.resources[name]
	if !ok {
		f.expect(false, "there is no %s", name)
		return
	}
	f.expect(m.resources["azurerm_service_plan.rekey"].text("sku_name") == "FC1", "the plan is not Flex Consumption")
	f.expect(app.text("runtime_name") == "custom" && app.text("runtime_version") == "1.0", "%s: a wrong runtime: the handler needs custom, 1.0", name)
	f.expect(app.is("https_only", true), "%s: plain HTTP is allowed", name)
	f.expect(app.is("webdeploy_publish_basic_authentication_enabled", false), "%s: a password deploys", name)
	f.expect(app.text("storage_authentication_type") == "UserAssignedIdentity", "%s: the package is fetched with a key", name)
	f.expect(app.text("storage_user_assigned_identity_id") == "<azurerm_user_assigned_identity.deployment.id>", "%s: the package is fetched as somebody else", name)
	f.expect(app.nested("identity").text("type") == "UserAssigned", "%s: it has an identity besides the two", name)
	f.expect(app.text("virtual_network_subnet_id") == "<azurerm_subnet.app.id>", "%s: it is not in the network that leads to the vault", name)
	site := app.nested("site_config")
	f.expect(slices.Contains([]string{"1.2", "1.3"}, site.text("minimum_tls_version")), "%s: an old TLS version is allowed", name)
	f.expect(site.nested("cors").body == nil, "%s: browsers of other sites may call", name)
	auth := app.nested("auth_settings_v2")
	f.expect(auth.is("require_authentication", true) && auth.text("unauthenticated_action") == "Return401", "%s: App Service authentication lets unknown callers through", name)
}

// checkSettings lets the program read the settings that it would be given.
func (m *module) checkSettings(f *findings) {
	settings, _ := m.settings(f)
	for name, want := range map[string]string{
		"REKEY_TABLE_SERVICE": "https://rekeyst.table.core.windows.net", "REKEY_KEY_VAULT_URL": "https://rekey-kv.vault.azure.net",
		"REKEY_DEPLOYMENT": "default", "REKEY_API_KEYS": apiKey, "REKEY_PUBLIC_URL": "https://rekey.azurewebsites.net", "AZURE_CLIENT_ID": sample,
		"AzureWebJobsStorage": "", "AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__clientId": sample,
		"AzureWebJobsStorage__accountName":          "<azurerm_storage_account.rekey.name>",
		"APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "ClientId=" + sample + ";Authorization=AAD",
	} {
		got, ok := settings[name]
		f.expect(ok && got == want, "the setting %s is %q, not %q", name, got, want)
	}
	fields := strings.Fields(settings["REKEY_ROTATION_SCHEDULE"])
	f.expect(len(fields) == 6 && fields[0] == "0", "the timer's schedule REKEY_ROTATION_SCHEDULE is missing, or not every so many minutes")
	for name := range settings {
		f.expect(!slices.Contains([]string{"AZURE_CLIENT_SECRET", "REKEY_EMULATED", "REKEY_CA_FILE", "FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE", "AzureWebJobsDashboard"}, name),
			"the setting %s has no place in a deployment on Flex Consumption", name)
		f.expect(!strings.HasSuffix(name, "CLIENT_SECRET"), "the setting %s is a secret", name)
	}
}

// checkOptions checks that what is asked for reaches the program.
func (m *module) checkOptions(f *findings) {
	settings, c := m.settings(f)
	f.expect(c.Callers.TenantID == sample && c.Callers.Audience == "api://rekey", "the variable callers does not reach the handler")
	f.expect(c.OAuth.ClientID == sample && c.OAuth.SecretName == "oauth-application", "the variable oauth does not reach the handler")
	f.expect(c.PublicURL == "https://rekey.example.com", "the variable custom_domain does not reach the handler")
	f.expect(settings["REKEY_ROTATION_SCHEDULE"] == "0 */5 * * * *", "the variable timer_period_minutes does not reach the host")
}

// settings returns the app's settings, and what the program reads in them.
func (m *module) settings(f *findings) (map[string]string, config.Config) {
	settings := make(map[string]string)
	app := m.resources["azurerm_function_app_flex_consumption.rekey"].value("app_settings")
	if !app.CanIterateElements() {
		f.expect(false, "the app's settings can't be read")
		return settings, config.Config{}
	}
	for name, v := range app.AsValueMap() {
		settings[name] = text(v)
	}
	c, err := config.Load(func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
	if err != nil {
		f.expect(false, "the handler refuses its settings: %w", err)
	}
	return settings, c
}
