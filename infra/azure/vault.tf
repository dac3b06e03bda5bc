# The vault that holds what Rekey publishes, and nothing else.

data "azurerm_client_config" "current" {}

resource "azurerm_key_vault" "rekey" {
  name                = "${var.name}-kv"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  tenant_id           = data.azurerm_client_config.current.tenant_id
  sku_name            = "standard"
  tags                = var.tags

  rbac_authorization_enabled = true

  # No identity, not even an owner of the subscription, can remove a secret for good
  # before these days are over.
  purge_protection_enabled   = true
  soft_delete_retention_days = 90

  enabled_for_deployment          = false
  enabled_for_disk_encryption     = false
  enabled_for_template_deployment = false

  # Closed but for the private endpoint, unless the variables let networks in.
  public_network_access_enabled = length(var.vault_allowed_ip_ranges) + length(var.vault_allowed_subnet_ids) > 0

  network_acls {
    default_action             = "Deny"
    bypass                     = "None"
    ip_rules                   = var.vault_allowed_ip_ranges
    virtual_network_subnet_ids = var.vault_allowed_subnet_ids
  }

  lifecycle {
    prevent_destroy = true
  }
}
