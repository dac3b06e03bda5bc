package check_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"rekey/infra/check"
)

func TestAzure(t *testing.T) {
	if err := check.Azure(os.DirFS("../azure")); err != nil {
		t.Errorf("infra/azure:\n%v", err)
	}
}

func TestAWS(t *testing.T) {
	if err := check.AWS(os.DirFS("../aws")); err != nil {
		t.Errorf("infra/aws:\n%v", err)
	}
}

// mistake is a change of one file that has to be found.
type mistake struct{ file, old, new, found string }

// copied returns the files of a folder, with the mistake in one of them.
func copied(t *testing.T, dir string, m mistake) fs.FS {
	t.Helper()
	out := make(fstest.MapFS)
	fsys := os.DirFS(dir)
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if name == m.file {
			if n := strings.Count(string(data), m.old); n != 1 {
				t.Fatalf("%s has %q %d times: the mistake can't be made", m.file, m.old, n)
			}
			data = []byte(strings.Replace(string(data), m.old, m.new, 1))
		}
		out[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func expectFound(t *testing.T, err error, m mistake) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), m.found) {
		t.Errorf("the mistake was not found; got: %v\nwant an error with %q", err, m.found)
	}
}

// Each of these was green to terraform's own validation, or could be.
func TestMistakesAzure(t *testing.T) {
	for name, m := range map[string]mistake{
		"wrong role": {"identity.tf", `"Key Vault Secrets Officer"`, `"Key Vault Administrator"`, "a wrong role"},
		"public vault": {"vault.tf", `default_action             = "Deny"`, `default_action             = "Allow"`,
			"the vault is public to every network"},
		"shared keys on": {"storage.tf", "shared_access_key_enabled       = false", "shared_access_key_enabled       = true",
			"shared keys are on"},
		"missing schedule": {"settings.tf", "    REKEY_ROTATION_SCHEDULE = local.schedule\n", "",
			"the timer's schedule REKEY_ROTATION_SCHEDULE is missing"},
		"wrong runtime": {"function.tf", `runtime_name    = "custom"`, `runtime_name    = "node"`, "a wrong runtime"},

		"wider scope": {"identity.tf", "scope                = local.table_id",
			"scope                = azurerm_resource_group.rekey.id", "a wrong scope"},
		"another identity's role": {"identity.tf", "azurerm_user_assigned_identity.deployment.principal_id",
			"azurerm_user_assigned_identity.rekey.principal_id", "given to"},
		"one role more": {"identity.tf", "# People that operate",
			"resource \"azurerm_role_assignment\" \"owner\" {\n  role_definition_name = \"Owner\"\n}\n\n# People that operate",
			"a role that Rekey does not need"},
		"role without its limit": {"identity.tf", "# It can NOT read or write a table or a queue", "# It can't read or write a table or a queue",
			"no comment says what it can NOT do"},
		"another provider": {"versions.tf", `provider "azurerm" {`, "provider \"azuread\" {}\n\nprovider \"azurerm\" {",
			"the provider azuread is used"},
		"public endpoint": {"vault.tf",
			"public_network_access_enabled = length(var.vault_allowed_ip_ranges) + length(var.vault_allowed_subnet_ids) > 0",
			"public_network_access_enabled = true", "the vault is public unless"},
		"vault outside network": {"function.tf", "virtual_network_subnet_id                      = azurerm_subnet.app.id", "",
			"not in the network"},
		"no purge protection": {"vault.tf", "purge_protection_enabled   = true", "purge_protection_enabled   = false",
			"secrets can be purged"},
		"keys by omission":    {"storage.tf", "  shared_access_key_enabled       = false\n", "", "shared keys are on"},
		"schedule of seconds": {"settings.tf", `"0 * * * * *"`, `"* * * * * *"`, "the timer's schedule"},
		"a setting misspelt":  {"settings.tf", "REKEY_KEY_VAULT_URL     =", "REKEY_KEYVAULT_URL     =", "the program refuses its settings"},
		"an option misspelt": {"settings.tf", "OTEL_SERVICE_NAME                   =", "OTEL_SERVICENAME                   =",
			"OTEL_SERVICENAME is none of the program's"},
		"emulated in production": {"settings.tf", "    REKEY_DEPLOYMENT        = var.deployment",
			"    REKEY_DEPLOYMENT        = var.deployment\n    REKEY_EMULATED = \"true\"", "REKEY_EMULATED has no place"},
		"another table": {"storage.tf", `name               = "rekey" #`, `name               = "records" #`, "the handler's table is"},
		"host storage by key": {"settings.tf", "    AzureWebJobsStorage__credential  = \"managedidentity\"\n", "",
			"the setting AzureWebJobsStorage__credential"},
		"host storage empty": {"settings.tf", "    AzureWebJobsStorage__credential ",
			"    AzureWebJobsStorage = \"\"\n    AzureWebJobsStorage__credential ", "the setting AzureWebJobsStorage is present"},
		"host storage left by the provider": {"settings.tf", `resource "terraform_data" "host_storage" {`,
			`resource "terraform_data" "other" {`, "the provider's AzureWebJobsStorage is not removed"},
		"host storage left after a change": {"settings.tf", "[azurerm_function_app_flex_consumption.rekey]", "[azurerm_service_plan.rekey]",
			"not removed after every change"},
		"host storage of another app": {"settings.tf", "--name ${azurerm_function_app_flex_consumption.rekey.name}", "--name rekey",
			"the provider's AzureWebJobsStorage is not removed"},
		"always ready unasked": {"variables.tf", "  type        = bool\n  default     = false", "  type        = bool\n  default     = true",
			"costs, without being asked for"},
		"never ready":            {"function.tf", "for_each = var.timer_always_ready ? [1] : []", "for_each = []", "not one instance of"},
		"another function ready": {"function.tf", `"function:rotatedue"`, `"http"`, "not one instance of function:rotatedue"},
		"the host's page":        {"settings.tf", "    AzureWebJobsDisableHomepage = \"true\"\n", "", "the setting AzureWebJobsDisableHomepage"},
		"a password deploys": {"function.tf", "webdeploy_publish_basic_authentication_enabled = false",
			"webdeploy_publish_basic_authentication_enabled = true", "a password deploys"},
		"unknown callers": {"function.tf", `unauthenticated_action = "Return401"`, `unauthenticated_action = "AllowAnonymous"`,
			"lets unknown callers through"},
		"no alert of the timer": {"alerts.tf", "    timer-stalled = {", "    timer = {", "the alert timer-stalled is missing"},
		"a line never written":  {"alerts.tf", "'credential expires'", "'credential expiring'", "which is never written"},
		"no recipient": {"alerts.tf", "action_groups = [azurerm_monitor_action_group.rekey.id]", "action_groups = []",
			"alerts of the log have no recipient"},
		"reads not recorded": {"diagnostics.tf", `category_group = "audit"`, `category_group = "allLogs"`,
			"who reads secrets is not recorded"},
		"logs by key": {"monitoring.tf", "local_authentication_enabled = false # the connection",
			"local_authentication_enabled = true # the connection", "may write logs"},
		"an option lost": {"settings.tf", "    REKEY_OAUTH_CLIENT_SECRET_NAME                    = var.oauth.secret_name\n", "",
			"no variable sets REKEY_OAUTH_CLIENT_SECRET_NAME"},
		"options mixed up": {"settings.tf", "= var.tuning.verify_spacing", "= var.tuning.revoke_min_age",
			"no variable sets REKEY_VERIFY_SPACING"},
		"a default of its own": {"settings.tf", "= var.tuning.max_parallel", "= coalesce(var.tuning.max_parallel, 8)",
			"REKEY_MAX_PARALLEL is set without being asked for"},
		"a setting forgotten": {"settings.tf", "    REKEY_MAX_PARALLEL         = var.tuning.max_parallel\n", "",
			"the setting REKEY_MAX_PARALLEL can't be set here"},
		"a secret entered": {"settings.tf", "    REKEY_WEBHOOK_SECRET_NAME ",
			"    OTEL_EXPORTER_OTLP_HEADERS = \"key=value\"\n    REKEY_WEBHOOK_SECRET_NAME ", "the setting OTEL_EXPORTER_OTLP_HEADERS is a secret"},
		"a reference lost": {"settings.tf", "    REKEY_WEBHOOK_URL                  = var.webhook.url_secret_name\n", "",
			"the setting REKEY_WEBHOOK_URL can't be set here"},
		"another vault": {"settings.tf", "SecretUri=${local.vault_url}", "SecretUri=https://other.vault.azure.net",
			"is a secret and has to be fetched from the vault"},
		"any secret fetched": {"identity.tf", "/secrets/${each.value}\"", "\"", "a wrong scope"},
		"every secret read":  {"identity.tf", "/secrets/${each.value.secret_name}\"", "\"", "a wrong scope"},
		"fetched by another": {"identity.tf", "azurerm_function_app_flex_consumption.rekey.identity[0].principal_id",
			"azurerm_user_assigned_identity.deployment.principal_id", "azurerm_role_assignment.referenced: given to"},
		"no fetching identity": {"function.tf", "\"SystemAssigned, UserAssigned\"", "\"UserAssigned\"",
			"no identity fetches what settings refer to"},
		"an output lost": {"outputs.tf", "output \"deploy\"", "output \"deployment\"", "the README asks for the output deploy"},
		"locals in a circle": {"settings.tf", "    REKEY_PUBLIC_URL        = \"https://${local.hostname}\"",
			"    REKEY_PUBLIC_URL        = local.settings.REKEY_DEPLOYMENT", "in a circle"},
		"people that could purge": {"variables.tf", `optional(string, "Key Vault Secrets Officer")`, `optional(string, "Owner")`,
			"azurerm_role_assignment.operators: a wrong role"},
		"a certificate beside the app": {"domain.tf", `        type       = "Microsoft.Web/sites/certificates"`,
			`        type       = "Microsoft.Web/certificates"`, "the certificate is not the app's"},
		"a name without a certificate": {"domain.tf", `"SniEnabled"`, `"Disabled"`, "the host name has no certificate"},
		"bound too early": {"domain.tf", "        dependsOn  = [\"[${local.certificate_id}]\"]\n", "",
			"bound before its certificate is made"},
		"what Flex does not know": {"domain.tf", "locals {", "resource \"azurerm_app_service_certificate_binding\" \"rekey\" {\n}\n\nlocals {",
			"azurerm_app_service_certificate_binding fails on Flex Consumption"},
		"an app that does not run": {"variables.tf", "  type        = bool\n  default     = true", "  type        = bool\n  default     = false",
			"it does not run"},
		"alerts off": {"alerts.tf", "enabled = var.app_enabled", "enabled = false", "alerts of the log are off"},
		"no Terraform": {"main.tf", `resource "azurerm_resource_group" "rekey" {`, `resource "azurerm_resource_group" "rekey"`,
			"reading the module"},
	} {
		t.Run(name, func(t *testing.T) { expectFound(t, check.Azure(copied(t, "../azure", m)), m) })
	}
}

// Each of these the provider refuses when terraform test plans or applies, and only then.
// The first is what it was found by.
func TestMistakesInMocks(t *testing.T) {
	for name, m := range map[string]mistake{
		"a data source at random": {"tests/variables.tftest.hcl", "      tenant_id       = \"88888888-8888-8888-8888-888888888888\"\n", "",
			`variables.tftest.hcl: azurerm_key_vault.rekey: the provider refuses tenant_id = "<data.azurerm_client_config.current.tenant_id>"`},
		"a word for a UUID": {"tests/deployment.tftest.hcl", `"88888888-8888-8888-8888-888888888888"`, `"tenant"`,
			`deployment.tftest.hcl: azurerm_key_vault.rekey: the provider refuses tenant_id = "tenant"`},
		"an id of another type": {"tests/deployment.tftest.hcl", "/providers/Microsoft.Web/serverFarms/rekey-test-plan",
			"/providers/Microsoft.Web/sites/rekey-test-plan", "refuses service_plan_id"},
		"an id at random": {"tests/variables.tftest.hcl", `mock_resource "azurerm_subnet" {`, `mock_resource "azurerm_subnets" {`,
			"refuses virtual_network_subnet_id"},
		"in a list": {"tests/deployment.tftest.hcl", "/providers/Microsoft.Insights/actionGroups/", "/providers/Microsoft.Insights/groups/",
			"action: the provider refuses action_groups"},
		"of a block": {"tests/deployment.tftest.hcl", `"bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"`, `"principal"`,
			"azurerm_role_assignment.referenced: the provider refuses principal_id"},
		"within an id": {"tests/deployment.tftest.hcl", "/providers/Microsoft.Storage/storageAccounts/rekeytestst", "/rekeytestst",
			"azurerm_role_assignment.records: the provider refuses scope"},
		"an endpoint": {"tests/variables.tftest.hcl", "https://rekeytestst.blob.core.windows.net/", "rekeytestst",
			"refuses storage_container_endpoint"},
		"a variable of a run": {"tests/deployment.tftest.hcl", `audit = { principal_id = "44444444-4444-4444-4444-444444444444"`,
			`audit = { principal_id = "team"`,
			`azurerm_role_assignment.operators: the provider refuses principal_id = "team"`},
		"in a dynamic block": {"tests/deployment.tftest.hcl", `client_id = "33333333-3333-3333-3333-333333333333"`, `client_id = "rekey"`,
			`active_directory_v2: the provider refuses client_id = "rekey"`},
		"no mock": {"tests/variables.tftest.hcl", `mock_provider "azurerm" {`, `mock_provider "azuread" {`, "the provider is not made up"},
		"an argument of no known form": {"vault.tf", `sku_name            = "standard"`, "managed_hsm_id = azurerm_service_plan.rekey.id",
			"no form of managed_hsm_id is known"},
		"no tests at all": {"tests/variables.tftest.hcl", "run \"everything\" {", "run \"everything\"", "variables.tftest.hcl"},
	} {
		t.Run(name, func(t *testing.T) { expectFound(t, check.Azure(copied(t, "../azure", m)), m) })
	}
}

func TestMistakesAWS(t *testing.T) {
	for name, m := range map[string]mistake{
		"wrong role": {"template.yaml", "                Action: sts:GetWebIdentityToken", "                Action: sts:*",
			"a wrong role"},
		"missing schedule": {"template.yaml", "          Type: Schedule\n", "          Type: Api\n", "the schedule is missing"},
		"schedule off":     {"template.yaml", "            Enabled: true", "            Enabled: false", "the schedule is missing"},
		"wrong runtime":    {"template.yaml", "Runtime: provided.al2023", "Runtime: go1.x", "a wrong runtime"},
		"another audience": {"template.yaml", "sts:IdentityTokenAudience: api://AzureADTokenExchange",
			"sts:IdentityTokenAudience: [api://AzureADTokenExchange, sts.example.com]", "another audience"},
		"no audience": {"template.yaml", "                    sts:IdentityTokenAudience: \"false\"\n",
			"                    aws:TokenIssueTime: \"false\"\n", "without an audience"},
		"long tokens": {"template.yaml", "sts:DurationSeconds: 300", "sts:DurationSeconds: 3600", "longer than five minutes"},
		"managed policy": {"template.yaml", "      Policies:\n",
			"      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n", "managed policies"},
		"a role for all": {"template.yaml", "Service: lambda.amazonaws.com", "AWS: \"*\"", "besides Lambda"},
		"all logs":       {"template.yaml", ":log-group:/aws/lambda/${AWS::StackName}:*", ":log-group:*", "another log"},
		"interfaces by code": {"template.yaml", "                - Effect: Deny\n", "                - Effect: Allow\n",
			"the function's code may use the rights"},
		"short timeout":   {"template.yaml", "Timeout: 900", "Timeout: 30", "600 seconds at least"},
		"another machine": {"template.yaml", "Architectures: [arm64]", "Architectures: [x86_64]", "another machine"},
		"a stored secret": {"template.yaml", "          AZURE_CLIENT_ID: !Ref AzureClientId\n",
			"          AZURE_CLIENT_ID: !Ref AzureClientId\n          AZURE_CLIENT_SECRET: x\n", "AZURE_CLIENT_SECRET has no place"},
		"a secret entered": {"template.yaml",
			"REKEY_WEBHOOK_URL: !If [HasWebhookUrl, !Sub \"{{resolve:secretsmanager:${WebhookUrlSecret}}}\", !Ref AWS::NoValue]",
			"REKEY_WEBHOOK_URL: !Ref WebhookUrlSecret", "would be entered as it is"},
		"a secret in sight": {"template.yaml", "!Sub \"{{resolve:secretsmanager:${OtelHeadersSecret}}}\"", "!Sub \"${OtelHeadersSecret}\"",
			"not fetched by CloudFormation"},
		"fetched at random": {"template.yaml", "HasOtelHeaders: !Not [!Equals [!Ref OtelHeadersSecret, \"\"]]",
			"HasOtelHeaders: !Not [!Equals [!Ref OtelEndpoint, \"\"]]", "on another condition"},
		"any value taken": {"template.yaml", "  OtelHeadersSecret:\n    Type: String\n    Default: \"\"\n    AllowedPattern: \"(",
			"  OtelHeadersSecret:\n    Type: String\n    Default: \"\"\n    AllowedPattern: \"(.+|", "takes the secret itself"},
		"a setting lost": {"template.yaml", "          REKEY_MAX_PARALLEL: !Ref MaxParallel\n", "",
			"the setting REKEY_MAX_PARALLEL can't be set here"},
		"a setting misspelt": {"template.yaml", "          REKEY_AUTH_AUDIENCE: !Ref AuthAudience\n",
			"          REKEY_AUDIENCE: !Ref AuthAudience\n", "REKEY_AUDIENCE is none of the program's"},
		"parameters crossed": {"template.yaml", "REKEY_VERIFY_SPACING: !Ref VerifySpacing", "REKEY_VERIFY_SPACING: !Ref RevokeMinAge",
			"have one parameter, RevokeMinAge"},
		"no parameter": {"template.yaml", "REKEY_GRAPH_URL: !Ref GraphUrl", "REKEY_GRAPH_URL: !Ref GraphURL",
			"the setting REKEY_GRAPH_URL is no parameter's"},
		"too strict": {"template.yaml", "AllowedValues: [\"\", otlp, none]\n    Description: OTEL_TRACES_EXPORTER",
			"AllowedValues: [\"\", none]\n    Description: OTEL_TRACES_EXPORTER", "does not take what OTEL_TRACES_EXPORTER may be"},
		"set unasked": {"template.yaml", "  AuthAudience:\n    Type: String\n    Default: \"\"\n",
			"  AuthAudience:\n    Type: String\n    Default: api://sample\n", "REKEY_AUTH_AUDIENCE is set without being asked for"},
		"an output lost": {"template.yaml", "  RoleArn:\n", "  Arn:\n", "the README asks for the output RoleArn"},
		"no tenant":      {"template.yaml", "          AZURE_TENANT_ID: !Ref AzureTenantId\n", "", "refuses its settings"},
		"silence is fine": {"template.yaml", "TreatMissingData: breaching", "TreatMissingData: notBreaching",
			"TimerStalled takes missing data"},
		"never written": {"template.yaml", `$.msg = "sweep"`, `$.msg = "swept"`, "which is never written"},
		"the wrong metric": {"template.yaml", "      MetricName: Expiring\n      Statistic", "      MetricName: Failures\n      Statistic",
			"watches something else"},
		"not a template": {"template.yaml", "Resources:", "\tResources:", "reading the template"},
		"no function at all": {"template.yaml", "    Type: AWS::Serverless::Function", "    Type: AWS::Lambda::Function",
			"not exactly one function"},
	} {
		t.Run(name, func(t *testing.T) { expectFound(t, check.AWS(copied(t, "../aws", m)), m) })
	}
}
