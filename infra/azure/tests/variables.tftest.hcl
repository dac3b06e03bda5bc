# What variables take and refuse. That needs no provider: infra/check/terraform.sh runs
# it with variables.tf alone too, without the block mock_provider. Beside the module it
# is needed, with the values of deployment.tftest.hcl.

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

run "everything" {
  command = plan

  variables {
    deployment           = "sample"
    timer_period_minutes = 5
    api_keys             = ["ci:rotate:0000000000000000000000000000000000000000000000000000000000000000"]
    callers              = { tenant_id = "22222222-2222-2222-2222-222222222222", audience = "api://55555555-5555-5555-5555-555555555555" }
    oauth                = { client_id = "33333333-3333-3333-3333-333333333333", secret_name = "oauth-application" }
    console              = { client_id = "55555555-5555-5555-5555-555555555555", secret_name = "console-application", key_name = "console-key" }
    webhook              = { url_secret_name = "webhook-url", secret_name = "webhook-key" }
    telemetry            = { endpoint = "https://collector.example.com:4318", headers_secret_name = "collector", traces_sampler_ratio = 0.25 }
    tuning               = { max_parallel = 32, verify_spacing = "6s", revoke_min_age = "1h30m" }
    authority_host       = "https://login.microsoftonline.us"
    graph_url            = "https://graph.microsoft.us"
    operators            = { team = { principal_id = "11111111-1111-1111-1111-111111111111" } }
    secret_readers       = [{ secret_name = "rekey-sample", principal_id = "44444444-4444-4444-4444-444444444444" }]
    app_service_authentication = {
      tenant_id = "22222222-2222-2222-2222-222222222222"
      client_id = "55555555-5555-5555-5555-555555555555"
    }
  }
}

run "a_key_in_place_of_its_hash" {
  command = plan

  variables {
    api_keys = ["ci:rotate:not-a-hash"]
  }

  expect_failures = [var.api_keys]
}

run "alerts_without_a_recipient" {
  command = plan

  variables {
    alert_emails = []
  }

  expect_failures = [var.alert_emails]
}

run "a_name_that_is_too_long_for_the_vault" {
  command = plan

  variables {
    name = "rekey-of-a-very-long-name"
  }

  expect_failures = [var.name]
}

run "a_tenant_without_an_audience" {
  command = plan

  variables {
    callers = { tenant_id = "22222222-2222-2222-2222-222222222222" }
  }

  expect_failures = [var.callers]
}

run "a_secret_of_no_application" {
  command = plan

  variables {
    console = { secret_name = "console-application" }
  }

  expect_failures = [var.console]
}

run "an_oauth_application_without_a_secret" {
  command = plan

  variables {
    oauth = { client_id = "33333333-3333-3333-3333-333333333333" }
  }

  expect_failures = [var.oauth]
}

run "a_webhook_that_signs_nothing" {
  command = plan

  variables {
    webhook = { url_secret_name = "webhook-url" }
  }

  expect_failures = [var.webhook]
}

run "the_receivers_address_in_place_of_its_secrets_name" {
  command = plan

  variables {
    webhook = { url_secret_name = "https://hooks.example.com/key", secret_name = "webhook-key" }
  }

  expect_failures = [var.webhook]
}

run "the_receivers_key_in_place_of_its_secrets_name" {
  command = plan

  variables {
    telemetry = { endpoint = "https://collector.example.com:4318", headers_secret_name = "api-key=value" }
  }

  expect_failures = [var.telemetry]
}

run "a_duration_without_a_unit" {
  command = plan

  variables {
    tuning = { verify_min_age = "300" }
  }

  expect_failures = [var.tuning]
}

run "more_at_once_than_the_program_takes" {
  command = plan

  variables {
    tuning = { max_parallel = 1001 }
  }

  expect_failures = [var.tuning]
}

run "app_service_that_lets_no_caller_through" {
  command = plan

  variables {
    app_service_authentication = {
      tenant_id = "22222222-2222-2222-2222-222222222222"
      client_id = "55555555-5555-5555-5555-555555555555"
    }
  }

  expect_failures = [var.app_service_authentication]
}

run "an_audience_that_is_a_scope" {
  command = plan

  variables {
    callers = { tenant_id = "22222222-2222-2222-2222-222222222222", audience = "api://55555555-5555-5555-5555-555555555555/.default" }
  }

  expect_failures = [var.callers]
}

run "an_audience_that_is_a_name" {
  command = plan

  variables {
    callers = { tenant_id = "22222222-2222-2222-2222-222222222222", audience = "rekey" }
  }

  expect_failures = [var.callers]
}

run "a_client_id_as_audience" {
  command = plan

  variables {
    callers = { tenant_id = "22222222-2222-2222-2222-222222222222", audience = "55555555-5555-5555-5555-555555555555" }
  }
}

run "names_that_rekey_makes" {
  command = plan

  variables {
    oauth     = { client_id = "33333333-3333-3333-3333-333333333333", secret_name = "rekey-oauth" }
    console   = { client_id = "55555555-5555-5555-5555-555555555555", secret_name = "rekey-console" }
    webhook   = { url_secret_name = "rekey-webhook-url", secret_name = "webhook-key" }
    telemetry = { endpoint = "https://collector.example.com:4318", headers_secret_name = "rekey-collector" }
  }

  expect_failures = [var.oauth, var.console, var.webhook, var.telemetry]
}

run "an_operator_by_name" {
  command = plan

  variables {
    operators = { team = { principal_id = "team@example.com" } }
  }

  expect_failures = [var.operators]
}

run "an_operator_who_could_purge" {
  command = plan

  variables {
    operators = { team = { principal_id = "11111111-1111-1111-1111-111111111111", role = "Key Vault Administrator" } }
  }

  expect_failures = [var.operators]
}

run "a_vault_for_everyone" {
  command = plan

  variables {
    vault_allowed_ip_ranges = ["0.0.0.0/0"]
  }

  expect_failures = [var.vault_allowed_ip_ranges]
}

run "a_host_name_in_place_of_an_address" {
  command = plan

  variables {
    vault_allowed_ip_ranges = ["vpn.example.com"]
  }

  expect_failures = [var.vault_allowed_ip_ranges]
}

run "addresses_of_operators" {
  command = plan

  variables {
    vault_allowed_ip_ranges = ["203.0.113.7", "203.0.113.16/28"]
  }
}

run "memory_that_there_is_not" {
  command = plan

  variables {
    instance_memory_in_mb = 1024
  }

  expect_failures = [var.instance_memory_in_mb]
}
