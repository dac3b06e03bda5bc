# The app itself. What it is told is in settings.tf, what it may do in identity.tf.

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

  enabled                = var.app_enabled
  instance_memory_in_mb  = var.instance_memory_in_mb
  maximum_instance_count = 40 # the least that can be set

  dynamic "always_ready" {
    for_each = var.timer_always_ready ? [1] : []

    content {
      name           = "function:rotatedue" # a timer is a group of its own; Azure keeps the name in lower case
      instance_count = 1
    }
  }

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.rekey.primary_blob_endpoint}${azurerm_storage_container.package.name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.deployment.id

  identity {
    # Its own identity as well: what settings refer to, the platform fetches as that one,
    # since the provider can't name another on Flex Consumption
    # (hashicorp/terraform-provider-azurerm, issue 28928). It is there from the start,
    # without any role, because the provider does not see the id of one that is added.
    type         = "SystemAssigned, UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.rekey.id, azurerm_user_assigned_identity.deployment.id]
  }

  https_only                                     = true
  client_certificate_enabled                     = false
  webdeploy_publish_basic_authentication_enabled = false # deployments sign in with Entra
  virtual_network_subnet_id                      = azurerm_subnet.app.id

  app_settings = merge(local.settings, local.host, local.optional, local.referenced)

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
        "/console/sign-in",
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
