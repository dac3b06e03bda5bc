# Where logs go, and who is told.

resource "azurerm_log_analytics_workspace" "rekey" {
  name                         = "${var.name}-logs"
  resource_group_name          = azurerm_resource_group.rekey.name
  location                     = azurerm_resource_group.rekey.location
  sku                          = "PerGB2018"
  retention_in_days            = var.log_retention_days
  local_authentication_enabled = false # no shared keys here either
  tags                         = var.tags
}

resource "azurerm_application_insights" "rekey" {
  name                         = "${var.name}-insights"
  resource_group_name          = azurerm_resource_group.rekey.name
  location                     = azurerm_resource_group.rekey.location
  workspace_id                 = azurerm_log_analytics_workspace.rekey.id
  application_type             = "web"
  local_authentication_enabled = false # the connection string alone does not let its holder write
  tags                         = var.tags

  # An alert counts lines, so none may be left out.
  sampling_percentage = 100
}

resource "azurerm_monitor_action_group" "rekey" {
  name                = "${var.name}-alerts"
  resource_group_name = azurerm_resource_group.rekey.name
  short_name          = "rekey"
  tags                = var.tags

  dynamic "email_receiver" {
    for_each = toset(var.alert_emails)

    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}
