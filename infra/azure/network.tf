# The vault is reached by the app through this network only. It has no address of
# its own on the internet: what leaves for Entra and Graph takes the app's outbound
# addresses.

resource "azurerm_virtual_network" "rekey" {
  name                = "${var.name}-net"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  address_space       = [var.address_space]
  tags                = var.tags
}

resource "azurerm_subnet" "app" {
  name                 = "app"
  resource_group_name  = azurerm_resource_group.rekey.name
  virtual_network_name = azurerm_virtual_network.rekey.name
  address_prefixes     = [cidrsubnet(var.address_space, 1, 0)]

  delegation {
    name = "flex-consumption"

    service_delegation {
      # Flex Consumption takes this one, unlike other plans.
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_subnet" "endpoints" {
  name                 = "endpoints"
  resource_group_name  = azurerm_resource_group.rekey.name
  virtual_network_name = azurerm_virtual_network.rekey.name
  address_prefixes     = [cidrsubnet(var.address_space, 3, 7)]
}

resource "azurerm_private_dns_zone" "vault" {
  name                = "privatelink.vaultcore.azure.net"
  resource_group_name = azurerm_resource_group.rekey.name
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "vault" {
  name                = "rekey"
  private_dns_zone_id = azurerm_private_dns_zone.vault.id
  virtual_network_id  = azurerm_virtual_network.rekey.id
  tags                = var.tags
}

resource "azurerm_private_endpoint" "vault" {
  name                = "${var.name}-kv"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  subnet_id           = azurerm_subnet.endpoints.id
  tags                = var.tags

  private_service_connection {
    name                           = "vault"
    private_connection_resource_id = azurerm_key_vault.rekey.id
    subresource_names              = ["vault"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "vault"
    private_dns_zone_ids = [azurerm_private_dns_zone.vault.id]
  }
}
