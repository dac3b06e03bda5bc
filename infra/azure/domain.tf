# A host name of yours, with a certificate that Azure makes and renews. The binding
# needs the CNAME and the TXT record before it; see the README.

resource "azurerm_app_service_custom_hostname_binding" "rekey" {
  count = var.custom_domain == null ? 0 : 1

  hostname            = var.custom_domain
  app_service_name    = azurerm_function_app_flex_consumption.rekey.name
  resource_group_name = azurerm_resource_group.rekey.name

  lifecycle {
    # The certificate's binding sets them.
    ignore_changes = [ssl_state, thumbprint]
  }
}

resource "azurerm_app_service_managed_certificate" "rekey" {
  count = var.custom_domain == null ? 0 : 1

  custom_hostname_binding_id = azurerm_app_service_custom_hostname_binding.rekey[0].id
  tags                       = var.tags
}

resource "azurerm_app_service_certificate_binding" "rekey" {
  count = var.custom_domain == null ? 0 : 1

  hostname_binding_id = azurerm_app_service_custom_hostname_binding.rekey[0].id
  certificate_id      = azurerm_app_service_managed_certificate.rekey[0].id
  ssl_state           = "SniEnabled"
}
