package check

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"rekey/shared/tablestore"
)

// theApp is the resource that runs the program.
const theApp = "azurerm_function_app_flex_consumption.rekey"

// apiKey has the form of an entry of REKEY_API_KEYS.
var apiKey = "check:read:" + strings.Repeat("0", 64)

// Azure checks the Terraform module in fsys. The error joins all that is wrong with it.
func Azure(fsys fs.FS) error {
	blocks, err := parse(fsys)
	if err != nil {
		return fmt.Errorf("reading the module: %w", err)
	}
	m, err := load(blocks, required, afterwards)
	if err != nil {
		return fmt.Errorf("reading the module: %w", err)
	}
	var f findings
	for _, p := range m.providers {
		f.expect(p == "azurerm", "the provider %s is used: whatever it may do in Entra is more than Rekey needs", p)
	}
	m.checkStorage(&f)
	m.checkVault(&f)
	m.checkFunction(&f)
	f.expect(m.alwaysReady() == nil, "an instance is always ready, and costs, without being asked for")
	m.checkSettings(&f)
	m.checkMonitoring(&f)
	readme, err := fs.ReadFile(fsys, "README.md")
	f.expect(err == nil, "there is no README.md")
	m.checkOutputs(&f, string(readme), commanded)
	m.checkOutputs(&f, string(readme), mentioned)
	checkTests(fsys, blocks, &f)

	vars := maps.Clone(required)
	maps.Copy(vars, options)
	if m, err = load(blocks, vars, afterwards); err != nil {
		return fmt.Errorf("reading the module with its options: %w", err)
	}
	m.checkRoles(&f)
	f.expect(maps.Equal(m.alwaysReady(), map[string]float64{timersGroup: 1}),
		"asked for, not one instance of %s is always ready: %v", timersGroup, m.alwaysReady())
	m.checkOptions(&f)
	m.checkDomain(&f)
	return f.err()
}

var (
	// required are values of the variables that have no default, and of the keys,
	// without which no caller would get in.
	required = map[string]cty.Value{
		"name": cty.StringVal("rekey"), "location": cty.StringVal("westeurope"), "subscription_id": cty.StringVal(sample),
		"alert_emails": cty.ListVal([]cty.Value{cty.StringVal("oncall@example.com")}),
		"api_keys":     cty.ListVal([]cty.Value{cty.StringVal(apiKey)}),
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
	f.expect(table.text("name") == tablestore.DefaultTable,
		"azurerm_storage_table.records: the handler's table is %q", tablestore.DefaultTable)
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
		f.expect(v.is("public_network_access_enabled", false), "%s: the vault is public unless the variables ask for that", name)
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
		"<azurerm_storage_account.rekey.id>/tableServices/default/tables/<azurerm_storage_table.records.name>",
		"<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.secrets": {"Key Vault Secrets Officer",
		"<azurerm_key_vault.rekey.id>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.host": {"Storage Blob Data Owner",
		"<azurerm_storage_account.rekey.id>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.telemetry": {"Monitoring Metrics Publisher",
		"<azurerm_application_insights.rekey.id>", "<azurerm_user_assigned_identity.rekey.principal_id>"},
	"azurerm_role_assignment.package": {"Storage Blob Data Contributor",
		"<azurerm_storage_account.rekey.id>/blobServices/default/containers/<azurerm_storage_container.package.name>",
		"<azurerm_user_assigned_identity.deployment.principal_id>"},
	"azurerm_role_assignment.operators": {"Key Vault Secrets Officer",
		"<azurerm_key_vault.rekey.id>", sample},
	"azurerm_role_assignment.secret_readers": {"Key Vault Secrets User",
		"<azurerm_key_vault.rekey.id>/secrets/rekey-sample", sample},
	"azurerm_role_assignment.referenced": {"Key Vault Secrets User",
		"<azurerm_key_vault.rekey.id>/secrets/headers", "<azurerm_function_app_flex_consumption.rekey.identity[0].principal_id>"},
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
		f.expect(strings.Contains(a.comment, "can NOT") || strings.Contains(a.comment, "can\n# NOT"),
			"%s: no comment says what it can NOT do", name)
	}
	for name := range roles {
		f.expect(slices.Contains(given, name), "%s is missing: %s", name, roles[name][0])
	}
	f.expect(len(m.named("azurerm_role_definition")) == 0, "a role of its own hides what it allows")
}

func (m *module) checkFunction(f *findings) {
	const name = theApp
	app, ok := m.resources[name]
	if !ok {
		f.expect(false, "there is no %s", name)
		return
	}
	f.expect(m.resources["azurerm_service_plan.rekey"].text("sku_name") == "FC1", "the plan is not Flex Consumption")
	f.expect(app.text("runtime_name") == "custom" && app.text("runtime_version") == "1.0",
		"%s: a wrong runtime: the handler needs custom, 1.0", name)
	f.expect(app.is("enabled", true), "%s: it does not run", name)
	f.expect(app.is("https_only", true), "%s: plain HTTP is allowed", name)
	f.expect(app.is("webdeploy_publish_basic_authentication_enabled", false), "%s: a password deploys", name)
	f.expect(app.text("storage_authentication_type") == "UserAssignedIdentity", "%s: the package is fetched with a key", name)
	f.expect(app.text("storage_user_assigned_identity_id") == "<azurerm_user_assigned_identity.deployment.id>",
		"%s: the package is fetched by another identity", name)
	f.expect(app.nested("identity").text("type") == "SystemAssigned, UserAssigned",
		"%s: no identity fetches what settings refer to, or not the app's own", name)
	f.expect(app.text("virtual_network_subnet_id") == "<azurerm_subnet.app.id>", "%s: it is not in the network that leads to the vault", name)
	site := app.nested("site_config")
	f.expect(slices.Contains([]string{"1.2", "1.3"}, site.text("minimum_tls_version")), "%s: an old TLS version is allowed", name)
	f.expect(site.nested("cors").body == nil, "%s: browsers of other sites may call", name)
	auth := app.nested("auth_settings_v2")
	f.expect(auth.is("require_authentication", true) && auth.text("unauthenticated_action") == "Return401",
		"%s: App Service authentication lets unknown callers through", name)
}

// timersGroup is what Flex Consumption scales for the timer alone.
const timersGroup = "function:rotatedue"

// alwaysReady returns how many instances are always there, by what they serve.
func (m *module) alwaysReady() map[string]float64 {
	app := m.resources[theApp]
	if app.body == nil {
		return nil
	}
	var instances map[string]float64
	for _, n := range app.body.Blocks {
		if b, kind, ok := app.made(n); ok && kind == "always_ready" {
			instances = map[string]float64{b.text("name"): b.number("instance_count")}
		}
	}
	return instances
}
