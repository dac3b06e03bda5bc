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
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == m.file {
			if n := strings.Count(string(data), m.old); n != 1 {
				t.Fatalf("%s has %q %d times: the mistake can't be made", m.file, m.old, n)
			}
			data = []byte(strings.Replace(string(data), m.old, m.new, 1))
		}
		out[e.Name()] = &fstest.MapFile{Data: data}
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
		"wrong role":       {"identity.tf", `"Key Vault Secrets Officer"`, `"Key Vault Administrator"`, "a wrong role"},
		"public vault":     {"vault.tf", `default_action             = "Deny"`, `default_action             = "Allow"`, "the vault is public to every network"},
		"shared keys on":   {"storage.tf", "shared_access_key_enabled       = false", "shared_access_key_enabled       = true", "shared keys are on"},
		"missing schedule": {"function.tf", "    REKEY_ROTATION_SCHEDULE = local.schedule\n", "", "the timer's schedule REKEY_ROTATION_SCHEDULE is missing"},
		"wrong runtime":    {"function.tf", `runtime_name    = "custom"`, `runtime_name    = "node"`, "a wrong runtime"},

		"wider scope":             {"identity.tf", "scope                = local.table_id", "scope                = azurerm_resource_group.rekey.id", "a wrong scope"},
		"another identity's role": {"identity.tf", "azurerm_user_assigned_identity.deployment.principal_id", "azurerm_user_assigned_identity.rekey.principal_id", "given to"},
		"one role more":           {"identity.tf", "# People that may read", "resource \"azurerm_role_assignment\" \"owner\" {\n  role_definition_name = \"Owner\"\n}\n\n# People that may read", "a role that Rekey does not need"},
		"role without its limit":  {"identity.tf", "# It can NOT read or write a table or a queue", "# It can't read or write a table or a queue", "no comment says what it can NOT do"},
		"another provider":        {"versions.tf", `provider "azurerm" {`, "provider \"azuread\" {}\n\nprovider \"azurerm\" {", "the provider azuread is used"},
		"public endpoint":         {"vault.tf", "public_network_access_enabled = length(var.vault_allowed_ip_ranges) + length(var.vault_allowed_subnet_ids) > 0", "public_network_access_enabled = true", "the vault is public unless"},
		"vault outside network":   {"function.tf", "virtual_network_subnet_id                      = azurerm_subnet.app.id", "", "not in the network"},
		"no purge protection":     {"vault.tf", "purge_protection_enabled   = true", "purge_protection_enabled   = false", "secrets can be purged"},
		"keys by omission":        {"storage.tf", "  shared_access_key_enabled       = false\n", "", "shared keys are on"},
		"schedule of seconds":     {"function.tf", `"0 * * * * *"`, `"* * * * * *"`, "the timer's schedule"},
		"a setting misspelt":      {"function.tf", "REKEY_KEY_VAULT_URL     =", "REKEY_KEYVAULT_URL     =", "the handler refuses its settings"},
		"emulated in production":  {"function.tf", "    REKEY_DEPLOYMENT        = var.deployment", "    REKEY_DEPLOYMENT        = var.deployment\n    REKEY_EMULATED = \"true\"", "REKEY_EMULATED has no place"},
		"another table":           {"storage.tf", `name               = "rekey" #`, `name               = "records" #`, "the handler's table is"},
		"host storage by key":     {"function.tf", "    AzureWebJobsStorage              = \"\"\n", "", "the setting AzureWebJobsStorage"},
		"a password deploys":      {"function.tf", "webdeploy_publish_basic_authentication_enabled = false", "webdeploy_publish_basic_authentication_enabled = true", "a password deploys"},
		"unknown callers":         {"function.tf", `unauthenticated_action = "Return401"`, `unauthenticated_action = "AllowAnonymous"`, "lets unknown callers through"},
		"no alert of the timer":   {"alerts.tf", "    timer-stalled = {", "    timer = {", "the alert timer-stalled is missing"},
		"a line never written":    {"alerts.tf", "'credential expires'", "'credential expiring'", "which is never written"},
		"nobody told":             {"alerts.tf", "action_groups = [azurerm_monitor_action_group.rekey.id]", "action_groups = []", "alerts of the log tell nobody"},
		"reads not recorded":      {"diagnostics.tf", `category_group = "audit"`, `category_group = "allLogs"`, "who reads secrets is not recorded"},
		"logs by key":             {"monitoring.tf", "local_authentication_enabled = false # the connection", "local_authentication_enabled = true # the connection", "may write logs"},
		"an option lost":          {"function.tf", "local.oauth, local.webhook)", "local.callers)", "the variable oauth does not reach"},
		"locals in a circle":      {"function.tf", "    REKEY_PUBLIC_URL        = \"https://${local.hostname}\"", "    REKEY_PUBLIC_URL        = local.settings.REKEY_DEPLOYMENT", "in a circle"},
		"no Terraform":            {"main.tf", `resource "azurerm_resource_group" "rekey" {`, `resource "azurerm_resource_group" "rekey"`, "reading the module"},
	} {
		t.Run(name, func(t *testing.T) { expectFound(t, check.Azure(copied(t, "../azure", m)), m) })
	}
}

func TestMistakesAWS(t *testing.T) {
	for name, m := range map[string]mistake{
		"wrong role":         {"template.yaml", "                Action: sts:GetWebIdentityToken", "                Action: sts:*", "a wrong role"},
		"missing schedule":   {"template.yaml", "          Type: Schedule\n", "          Type: Api\n", "the schedule is missing"},
		"schedule off":       {"template.yaml", "            Enabled: true", "            Enabled: false", "the schedule is missing"},
		"wrong runtime":      {"template.yaml", "Runtime: provided.al2023", "Runtime: go1.x", "a wrong runtime"},
		"another audience":   {"template.yaml", "sts:IdentityTokenAudience: api://AzureADTokenExchange", "sts:IdentityTokenAudience: [api://AzureADTokenExchange, sts.example.com]", "another audience"},
		"no audience":        {"template.yaml", "                    sts:IdentityTokenAudience: \"false\"\n", "                    aws:TokenIssueTime: \"false\"\n", "without an audience"},
		"long tokens":        {"template.yaml", "sts:DurationSeconds: 300", "sts:DurationSeconds: 3600", "longer than five minutes"},
		"managed policy":     {"template.yaml", "      Policies:\n", "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n", "managed policies"},
		"everybody's role":   {"template.yaml", "Service: lambda.amazonaws.com", "AWS: \"*\"", "besides Lambda"},
		"all logs":           {"template.yaml", ":log-group:/aws/lambda/${AWS::StackName}:*", ":log-group:*", "another log"},
		"interfaces by code": {"template.yaml", "                - Effect: Deny\n", "                - Effect: Allow\n", "the function's code may use the rights"},
		"short timeout":      {"template.yaml", "Timeout: 900", "Timeout: 30", "600 seconds at least"},
		"another machine":    {"template.yaml", "Architectures: [arm64]", "Architectures: [x86_64]", "another machine"},
		"a stored secret":    {"template.yaml", "          AZURE_CLIENT_ID: !Ref AzureClientId\n", "          AZURE_CLIENT_ID: !Ref AzureClientId\n          AZURE_CLIENT_SECRET: x\n", "AZURE_CLIENT_SECRET has no place"},
		"no tenant":          {"template.yaml", "          AZURE_TENANT_ID: !Ref AzureTenantId\n", "", "refuses its settings"},
		"silence is fine":    {"template.yaml", "TreatMissingData: breaching", "TreatMissingData: notBreaching", "TimerStalled takes missing data"},
		"never written":      {"template.yaml", `$.msg = "sweep"`, `$.msg = "swept"`, "which is never written"},
		"the wrong metric":   {"template.yaml", "      MetricName: Expiring\n      Statistic", "      MetricName: Failures\n      Statistic", "watches something else"},
		"not a template":     {"template.yaml", "Resources:", "\tResources:", "reading the template"},
		"no function at all": {"template.yaml", "    Type: AWS::Serverless::Function", "    Type: AWS::Lambda::Function", "not exactly one function"},
	} {
		t.Run(name, func(t *testing.T) { expectFound(t, check.AWS(copied(t, "../aws", m)), m) })
	}
}
