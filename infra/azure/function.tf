locals {
  # NCRONTAB with seconds. The host resolves it; without it the timer does not start.
  schedule = var.timer_period_minutes == 1 ? "0 * * * * *" : "0 */${var.timer_period_minutes} * * * *"

  settings = {
    REKEY_DEPLOYMENT        = var.deployment
    REKEY_TABLE_SERVICE     = trimsuffix(azurerm_storage_account.rekey.primary_table_endpoint, "/")
    REKEY_KEY_VAULT_URL     = trimsuffix(azurerm_key_vault.rekey.vault_uri, "/")
    REKEY_PUBLIC_URL        = "https://${local.hostname}"
    REKEY_ROTATION_SCHEDULE = local.schedule

    # Alone, it names the managed identity that Rekey is.
    AZURE_CLIENT_ID = azurerm_user_assigned_identity.rekey.client_id
  }

  # All three are needed; with the account's name alone the host looks for a
  # connection string. AzureWebJobsStorage itself has to be given as empty: otherwise
  # the provider writes a connection string without a key there, which the host
  # prefers (hashicorp/terraform-provider-azurerm, issue 29149).
  host_storage = {
    AzureWebJobsStorage              = ""
    AzureWebJobsStorage__accountName = azurerm_storage_account.rekey.name
    AzureWebJobsStorage__credential  = "managedidentity"
    AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.rekey.client_id
  }

  telemetry = {
    # Application Insights takes nothing without a token.
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "ClientId=${azurerm_user_assigned_identity.rekey.client_id};Authorization=AAD"
  }

  api_keys = length(var.api_keys) == 0 ? {} : { REKEY_API_KEYS = join(",", var.api_keys) }

  callers = var.callers == null ? {} : {
    REKEY_AUTH_TENANT_ID = var.callers.tenant_id
    REKEY_AUTH_AUDIENCE  = var.callers.audience
  }

  oauth = var.oauth == null ? {} : {
    INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID = var.oauth.client_id
    REKEY_OAUTH_CLIENT_SECRET_NAME                    = var.oauth.secret_name
  }

  webhook = var.webhook == null ? {} : {
    REKEY_WEBHOOK_URL         = var.webhook.url
    REKEY_WEBHOOK_SECRET_NAME = var.webhook.secret_name
  }
}

resource "azurerm_service_plan" "rekey" {
  name                = "${var.name}-plan"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  os_type             = "Linux"
  sku_name            = "FC1"
  tags                = var.tags
}

resource "azurerm_function_app_flex_consumption" "rekey" {
  name                = var.name
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  service_plan_id     = azurerm_service_plan.rekey.id
  tags                = var.tags

  # A custom handler: a program of ours, no language's worker.
  runtime_name    = "custom"
  runtime_version = "1.0"

  instance_memory_in_mb  = 2048
  maximum_instance_count = 40 # the least that can be set

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.rekey.primary_blob_endpoint}${azurerm_storage_container.package.name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.deployment.id

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.rekey.id, azurerm_user_assigned_identity.deployment.id]
  }

  https_only                                     = true
  client_certificate_enabled                     = false
  webdeploy_publish_basic_authentication_enabled = false # deployments sign in with Entra
  virtual_network_subnet_id                      = azurerm_subnet.app.id

  app_settings = merge(local.settings, local.host_storage, local.telemetry, local.api_keys, local.callers, local.oauth, local.webhook)

  site_config {
    minimum_tls_version                    = "1.2"
    scm_minimum_tls_version                = "1.2"
    http2_enabled                          = true
    application_insights_connection_string = azurerm_application_insights.rekey.connection_string

    ip_restriction_default_action = length(var.allowed_ip_ranges) == 0 ? "Allow" : "Deny"

    dynamic "ip_restriction" {
      for_each = var.allowed_ip_ranges

      content {
        name       = "allowed-${ip_restriction.key}"
        action     = "Allow"
        ip_address = ip_restriction.value
        priority   = 100 + ip_restriction.key
      }
    }
  }

  dynamic "auth_settings_v2" {
    for_each = var.app_service_authentication == null ? [] : [var.app_service_authentication]

    content {
      auth_enabled           = true
      require_authentication = true
      require_https          = true
      unauthenticated_action = "Return401"
      default_provider       = "azureactivedirectory"

      # Open without a caller, and bound to their own state: see the README.
      excluded_paths = [
        "/health",
        "/organization/app-connections/azure/oauth/start",
        "/organization/app-connections/azure/oauth/callback",
      ]

      active_directory_v2 {
        client_id            = auth_settings_v2.value.client_id
        tenant_auth_endpoint = "https://login.microsoftonline.com/${auth_settings_v2.value.tenant_id}/v2.0"
        allowed_audiences    = auth_settings_v2.value.allowed_audiences
      }

      login {
        token_store_enabled = false
      }
    }
  }

  # An instance that starts before its roles exist fails until Azure has replicated
  # them, which takes minutes.
  depends_on = [
    azurerm_private_endpoint.vault,
    azurerm_private_dns_zone_virtual_network_link.vault,
    azurerm_role_assignment.host,
    azurerm_role_assignment.package,
    azurerm_role_assignment.records,
    azurerm_role_assignment.secrets,
    azurerm_role_assignment.telemetry,
  ]
}
