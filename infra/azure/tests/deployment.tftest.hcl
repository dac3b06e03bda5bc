# terraform test, or tofu test: plans against a provider that is made up, so that it
# needs no subscription. infra/check asserts more, without any provider.

# What Azure would choose. The provider checks arguments also when it is made up, so
# each value has the form that it demands of the argument that gets it.
mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = {
      client_id       = "66666666-6666-6666-6666-666666666666"
      object_id       = "77777777-7777-7777-7777-777777777777"
      subscription_id = "00000000-0000-0000-0000-000000000000"
      tenant_id       = "88888888-8888-8888-8888-888888888888"
    }
  }
  mock_resource "azurerm_application_insights" {
    defaults = {
      id                = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Insights/components/rekey-test-insights"
      connection_string = "InstrumentationKey=00000000-0000-0000-0000-000000000000"
    }
  }
  mock_resource "azurerm_function_app_flex_consumption" {
    defaults = {
      id                            = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Web/sites/rekey-test"
      default_hostname              = "rekey-test.azurewebsites.net"
      custom_domain_verification_id = "0000000000000000000000000000000000000000000000000000000000000000"
      identity = {
        principal_id = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
      }
    }
  }
  mock_resource "azurerm_key_vault" {
    defaults = {
      id        = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.KeyVault/vaults/rekey-test-kv"
      vault_uri = "https://rekey-test-kv.vault.azure.net/"
    }
  }
  mock_resource "azurerm_log_analytics_workspace" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.OperationalInsights/workspaces/rekey-test-logs"
    }
  }
  mock_resource "azurerm_monitor_action_group" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Insights/actionGroups/rekey-test-alerts"
    }
  }
  mock_resource "azurerm_private_dns_zone" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net"
    }
  }
  mock_resource "azurerm_service_plan" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Web/serverFarms/rekey-test-plan"
    }
  }
  mock_resource "azurerm_storage_account" {
    defaults = {
      id                     = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Storage/storageAccounts/rekeytestst"
      primary_table_endpoint = "https://rekeytestst.table.core.windows.net/"
      primary_blob_endpoint  = "https://rekeytestst.blob.core.windows.net/"
    }
  }
  mock_resource "azurerm_subnet" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Network/virtualNetworks/rekey-test-net/subnets/rekey-test"
    }
  }
  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.ManagedIdentity/userAssignedIdentities/rekey-test-id"
      client_id    = "99999999-9999-9999-9999-999999999999"
      principal_id = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
    }
  }
  mock_resource "azurerm_virtual_network" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rekey-test/providers/Microsoft.Network/virtualNetworks/rekey-test-net"
    }
  }
}

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
  location        = "westeurope"
  name            = "rekey-test"
  alert_emails    = ["oncall@example.com"]
}

run "closed_by_default" {
  command = plan

  assert {
    condition     = !azurerm_storage_account.rekey.shared_access_key_enabled
    error_message = "the storage account has keys"
  }
  assert {
    condition     = !azurerm_key_vault.rekey.public_network_access_enabled
    error_message = "the vault is on the internet"
  }
  assert {
    condition     = azurerm_key_vault.rekey.purge_protection_enabled && azurerm_key_vault.rekey.rbac_authorization_enabled
    error_message = "the vault lacks purge protection or RBAC"
  }
  assert {
    condition     = length(azurerm_function_app_flex_consumption.rekey.auth_settings_v2) == 0
    error_message = "App Service authentication is on without being asked for"
  }
  assert {
    condition     = length(azurerm_app_service_custom_hostname_binding.rekey) == 0 && length(azurerm_resource_group_template_deployment.certificate) == 0
    error_message = "a custom domain is bound without being asked for"
  }
  assert {
    condition     = length(azurerm_role_assignment.operators) == 0
    error_message = "a person has a role on the vault without being asked for"
  }
}

run "roles" {
  command = plan

  assert {
    condition     = azurerm_role_assignment.secrets.role_definition_name == "Key Vault Secrets Officer"
    error_message = "Rekey's role on the vault is another one"
  }
  assert {
    condition     = azurerm_role_assignment.records.role_definition_name == "Storage Table Data Contributor"
    error_message = "Rekey's role on the table is another one"
  }
}

run "runtime_and_schedule" {
  command = plan

  assert {
    condition     = azurerm_function_app_flex_consumption.rekey.runtime_name == "custom"
    error_message = "the runtime is no custom handler"
  }
  assert {
    condition     = local.settings.REKEY_ROTATION_SCHEDULE == "0 * * * * *"
    error_message = "the timer's schedule is another one"
  }
  assert {
    condition     = !contains(keys(azurerm_function_app_flex_consumption.rekey.app_settings), "AzureWebJobsStorage")
    error_message = "AzureWebJobsStorage is set: also an empty one leaves the host without storage"
  }
  assert {
    condition     = length(azurerm_function_app_flex_consumption.rekey.always_ready) == 0
    error_message = "an instance is always ready without being asked for"
  }
}

run "timer_always_ready" {
  command = plan

  variables {
    timer_always_ready = true
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.rekey.always_ready[0].name == "function:rotatedue"
    error_message = "another function than the timer's is always ready"
  }
}

run "another_period" {
  command = plan

  variables {
    timer_period_minutes = 5
  }

  assert {
    condition     = local.settings.REKEY_ROTATION_SCHEDULE == "0 */5 * * * *"
    error_message = "the timer's schedule does not follow its period"
  }
}

run "operators" {
  command = plan

  variables {
    operators = {
      team  = { principal_id = "11111111-1111-1111-1111-111111111111" }
      audit = { principal_id = "44444444-4444-4444-4444-444444444444", role = "Key Vault Secrets User" }
    }
    vault_allowed_ip_ranges = ["203.0.113.7"]
  }

  assert {
    condition     = azurerm_key_vault.rekey.public_network_access_enabled && azurerm_key_vault.rekey.network_acls[0].default_action == "Deny"
    error_message = "an allowed address opens the vault to others, or not at all"
  }
  assert {
    condition     = azurerm_role_assignment.operators["team"].role_definition_name == "Key Vault Secrets Officer"
    error_message = "operators can't put a secret"
  }
  assert {
    condition     = azurerm_role_assignment.operators["audit"].role_definition_name == "Key Vault Secrets User"
    error_message = "who reads may do more"
  }
}

run "app_service_authentication" {
  command = plan

  variables {
    callers = { tenant_id = "22222222-2222-2222-2222-222222222222", audience = "api://33333333-3333-3333-3333-333333333333" }
    app_service_authentication = {
      tenant_id = "22222222-2222-2222-2222-222222222222"
      client_id = "33333333-3333-3333-3333-333333333333"
    }
  }

  assert {
    condition     = azurerm_function_app_flex_consumption.rekey.auth_settings_v2[0].unauthenticated_action == "Return401"
    error_message = "App Service lets callers through that it does not know"
  }
}

run "custom_domain" {
  command = plan

  variables {
    custom_domain = "rekey.example.com"
  }

  assert {
    condition     = output.redirect_uri == "https://rekey.example.com/organization/app-connections/azure/oauth/callback"
    error_message = "the redirect URI is not below the custom domain"
  }
  assert {
    condition     = local.settings.REKEY_PUBLIC_URL == "https://rekey.example.com"
    error_message = "Rekey does not know its own address"
  }
  assert {
    condition     = jsondecode(azurerm_resource_group_template_deployment.certificate[0].template_content).resources[0].properties.canonicalName == "rekey.example.com"
    error_message = "the certificate is of another name"
  }
}

run "nothing_asked_for" {
  command = plan

  assert {
    condition     = length(local.optional) == 0 && length(local.references) == 0
    error_message = "a setting is set without being asked for"
  }
  assert {
    condition     = length(azurerm_role_assignment.referenced) == 0
    error_message = "the app's own identity has a role without being asked for"
  }
}

run "secrets_by_reference" {
  command = plan

  variables {
    webhook   = { url_secret_name = "webhook-url", secret_name = "webhook-key" }
    telemetry = { endpoint = "https://collector.example.com:4318", headers_secret_name = "collector" }
  }

  assert {
    condition     = toset(keys(azurerm_role_assignment.referenced)) == toset(["webhook-url", "collector"])
    error_message = "the app's own identity may read something else than what settings refer to"
  }
  assert {
    condition     = local.optional.REKEY_WEBHOOK_SECRET_NAME == "webhook-key" && local.optional.OTEL_EXPORTER_OTLP_ENDPOINT == "https://collector.example.com:4318"
    error_message = "what is asked for does not reach the program"
  }
}

run "readers_of_one_secret" {
  command = plan

  variables {
    secret_readers = [{ secret_name = "rekey-sample", principal_id = "44444444-4444-4444-4444-444444444444" }]
  }

  assert {
    condition     = azurerm_role_assignment.secret_readers["rekey-sample/44444444-4444-4444-4444-444444444444"].role_definition_name == "Key Vault Secrets User"
    error_message = "who reads one secret may do more"
  }
}

run "elsewhere" {
  command = plan

  variables {
    app_enabled = false
  }

  assert {
    condition     = !azurerm_function_app_flex_consumption.rekey.enabled
    error_message = "the app runs, though another one is to do its work"
  }
  assert {
    condition     = alltrue([for rule in azurerm_monitor_scheduled_query_rules_alert_v2.log : !rule.enabled])
    error_message = "an alert waits for lines of an app that does not run"
  }
}
