# One account, for Rekey alone: its table, the Functions host's own blobs, and the
# package. It holds no secret value. It has a public endpoint that answers no
# caller without an Entra token and a role, since there are no keys.

resource "azurerm_storage_account" "rekey" {
  name                = local.storage_account_name
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  tags                = var.tags

  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = "ZRS"

  # A key would be a way in that names no caller and that nothing rotates.
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  local_user_enabled              = false

  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  https_traffic_only_enabled       = true
  min_tls_version                  = "TLS1_2"

  blob_properties {
    versioning_enabled = true # an earlier package can be brought back

    delete_retention_policy {
      days = 14
    }
    container_delete_retention_policy {
      days = 14
    }
  }
}

resource "azurerm_storage_table" "records" {
  name               = "rekey" # the handler knows it by this name
  storage_account_id = azurerm_storage_account.rekey.id

  lifecycle {
    # Without its records Rekey no longer knows what it issued.
    prevent_destroy = true
  }
}

resource "azurerm_storage_container" "package" {
  name                  = "package"
  storage_account_id    = azurerm_storage_account.rekey.id
  container_access_type = "private"
}

locals {
  # Ids of Azure Resource Manager, which roles are scoped to.
  table_id             = "${azurerm_storage_account.rekey.id}/tableServices/default/tables/${azurerm_storage_table.records.name}"
  package_container_id = "${azurerm_storage_account.rekey.id}/blobServices/default/containers/${azurerm_storage_container.package.name}"
}
