# What the app is told. infra/check compares these names with those that the program
# reads, and says which are left out on purpose, and why.

locals {
  # NCRONTAB with seconds. The host resolves it; without it the timer does not start.
  schedule = var.timer_period_minutes == 1 ? "0 * * * * *" : "0 */${var.timer_period_minutes} * * * *"

  vault_url = trimsuffix(azurerm_key_vault.rekey.vault_uri, "/")

  settings = {
    REKEY_DEPLOYMENT        = var.deployment
    REKEY_TABLE_SERVICE     = trimsuffix(azurerm_storage_account.rekey.primary_table_endpoint, "/")
    REKEY_KEY_VAULT_URL     = local.vault_url
    REKEY_PUBLIC_URL        = "https://${local.hostname}"
    REKEY_ROTATION_SCHEDULE = local.schedule

    # Alone, it names the managed identity that Rekey is.
    AZURE_CLIENT_ID = azurerm_user_assigned_identity.rekey.client_id
  }

  # What only the host reads.
  host = {
    # All three are needed; with the account's name alone the host looks for a
    # connection string. AzureWebJobsStorage itself has to be absent: whatever it holds,
    # also nothing, the host takes for a connection string, and then has no storage and
    # starts no timer (azure-functions-host, before pull request 11794). The provider
    # writes it all the same; terraform_data.host_storage removes it.
    AzureWebJobsStorage__accountName = azurerm_storage_account.rekey.name
    AzureWebJobsStorage__credential  = "managedidentity"
    AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.rekey.client_id

    # Otherwise the host answers GET / with a page of its own.
    AzureWebJobsDisableHomepage = "true"

    # Application Insights takes nothing without a token.
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "ClientId=${azurerm_user_assigned_identity.rekey.client_id};Authorization=AAD"
  }

  # What is null is not set, and the program's own default holds.
  optional = { for name, value in {
    REKEY_API_KEYS = length(var.api_keys) == 0 ? null : join(",", var.api_keys)

    REKEY_AUTH_TENANT_ID = var.callers.tenant_id
    REKEY_AUTH_AUDIENCE  = var.callers.audience

    # Rekey reads these secrets from the vault itself, and again when they change.
    INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID = var.oauth.client_id
    REKEY_OAUTH_CLIENT_SECRET_NAME                    = var.oauth.secret_name
    REKEY_WEBHOOK_SECRET_NAME                         = var.webhook.secret_name

    REKEY_CONSOLE_CLIENT_ID          = var.console.client_id
    REKEY_CONSOLE_CLIENT_SECRET_NAME = var.console.secret_name
    REKEY_CONSOLE_KEY_NAME           = var.console.key_name

    AZURE_AUTHORITY_HOST = var.authority_host
    REKEY_GRAPH_URL      = var.graph_url

    REKEY_MAX_PARALLEL         = var.tuning.max_parallel
    REKEY_VERIFY_SUCCESSES     = var.tuning.verify_successes
    REKEY_VERIFY_SPACING       = var.tuning.verify_spacing
    REKEY_VERIFY_MIN_AGE       = var.tuning.verify_min_age
    REKEY_VERIFY_MIN_AGE_FIRST = var.tuning.verify_min_age_first
    REKEY_REVOKE_MIN_AGE       = var.tuning.revoke_min_age

    OTEL_SDK_DISABLED                   = var.telemetry.disabled
    OTEL_EXPORTER_OTLP_ENDPOINT         = var.telemetry.endpoint
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT  = var.telemetry.traces_endpoint
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT = var.telemetry.metrics_endpoint
    OTEL_EXPORTER_OTLP_PROTOCOL         = var.telemetry.protocol
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL  = var.telemetry.traces_protocol
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL = var.telemetry.metrics_protocol
    OTEL_TRACES_EXPORTER                = var.telemetry.traces_exporter
    OTEL_METRICS_EXPORTER               = var.telemetry.metrics_exporter
    OTEL_SERVICE_NAME                   = var.telemetry.service_name
    OTEL_RESOURCE_ATTRIBUTES            = var.telemetry.resource_attributes
    OTEL_TRACES_SAMPLER                 = var.telemetry.traces_sampler
    OTEL_TRACES_SAMPLER_ARG             = var.telemetry.traces_sampler_ratio
  } : name => tostring(value) if value != null }

  # Settings that are secrets, and that the program does not read from the vault by a name:
  # the platform does, so that they are in no variable and no state. Here are the names
  # under which an operator put them there by hand.
  references = { for name, secret in {
    REKEY_WEBHOOK_URL                  = var.webhook.url_secret_name
    OTEL_EXPORTER_OTLP_HEADERS         = var.telemetry.headers_secret_name
    OTEL_EXPORTER_OTLP_TRACES_HEADERS  = var.telemetry.traces_headers_secret_name
    OTEL_EXPORTER_OTLP_METRICS_HEADERS = var.telemetry.metrics_headers_secret_name
  } : name => secret if secret != null }

  # Without a version: a new one is taken up within a day, or at the next restart.
  referenced = { for name, secret in local.references : name => "@Microsoft.KeyVault(SecretUri=${local.vault_url}/secrets/${secret})" }
}

# Removes what the provider writes into AzureWebJobsStorage when it creates or updates
# the app, whatever the change: a connection string without a key
# (hashicorp/terraform-provider-azurerm, issues 29149 and 30732). Until that is mended it
# has to run as often as the provider writes, so it is bound to the app itself.
resource "terraform_data" "host_storage" {
  lifecycle {
    replace_triggered_by = [azurerm_function_app_flex_consumption.rekey]
  }

  provisioner "local-exec" {
    command = "az functionapp config appsettings delete --subscription ${var.subscription_id} --resource-group ${azurerm_resource_group.rekey.name} --name ${azurerm_function_app_flex_consumption.rekey.name} --setting-names AzureWebJobsStorage --output none"
  }
}
