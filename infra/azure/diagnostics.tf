# Who did what with the vault and the storage account, besides what Rekey itself
# writes. The app's own log is in Application Insights.

resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                       = "rekey"
  target_resource_id         = azurerm_key_vault.rekey.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.rekey.id

  # Every read and write of a secret, with the caller; never the value.
  enabled_log {
    category_group = "audit"
  }

  enabled_metric {
    category = "AllMetrics"
  }
}

# Reads are left out: the timer's alone are 23,000 a day.
resource "azurerm_monitor_diagnostic_setting" "storage" {
  for_each = toset(["tableServices", "blobServices"])

  name                       = "rekey"
  target_resource_id         = "${azurerm_storage_account.rekey.id}/${each.key}/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.rekey.id

  enabled_log {
    category = "StorageWrite"
  }
  enabled_log {
    category = "StorageDelete"
  }
}
