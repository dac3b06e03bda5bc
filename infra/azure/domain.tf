# A host name of yours, with a certificate that Azure makes and renews. The binding
# needs the CNAME and the TXT record before it; see the README.

resource "azurerm_app_service_custom_hostname_binding" "rekey" {
  count = var.custom_domain == null ? 0 : 1

  hostname            = var.custom_domain
  app_service_name    = azurerm_function_app_flex_consumption.rekey.name
  resource_group_name = azurerm_resource_group.rekey.name

  lifecycle {
    # The deployment below sets them.
    ignore_changes = [ssl_state, thumbprint]
  }
}

locals {
  # Flex Consumption keeps certificates in the app itself (Microsoft.Web/sites/certificates).
  # The provider's resources for certificates and their bindings know only those beside
  # an app, and fail with "Cannot find SiteCertificate"
  # (hashicorp/terraform-provider-azurerm, issue 31884). So Azure Resource Manager makes them.
  certificate_name = replace(coalesce(var.custom_domain, "none"), ".", "-")
  certificate_id   = "resourceId('Microsoft.Web/sites/certificates', '${azurerm_function_app_flex_consumption.rekey.name}', '${local.certificate_name}')"

  certificate_template = {
    "$schema"      = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    contentVersion = "1.0.0.0"

    resources = [
      {
        type       = "Microsoft.Web/sites/certificates"
        apiVersion = "2024-11-01"
        name       = "${azurerm_function_app_flex_consumption.rekey.name}/${local.certificate_name}"
        location   = azurerm_resource_group.rekey.location
        properties = { canonicalName = var.custom_domain }
      },
      {
        type       = "Microsoft.Web/sites/hostNameBindings"
        apiVersion = "2024-11-01"
        name       = "${azurerm_function_app_flex_consumption.rekey.name}/${coalesce(var.custom_domain, "none")}"
        dependsOn  = ["[${local.certificate_id}]"]
        properties = {
          hostNameType                = "Verified"
          customHostNameDnsRecordType = "CName"
          sslState                    = "SniEnabled"
          thumbprint                  = "[reference(${local.certificate_id}, '2024-11-01').thumbprint]"
        }
      },
    ]
  }
}

resource "azurerm_resource_group_template_deployment" "certificate" {
  count = var.custom_domain == null ? 0 : 1

  name                = "${var.name}-certificate"
  resource_group_name = azurerm_resource_group.rekey.name
  deployment_mode     = "Incremental"
  template_content    = jsonencode(local.certificate_template)
  tags                = var.tags

  # A certificate is made for a name that the app has already.
  depends_on = [azurerm_app_service_custom_hostname_binding.rekey]
}
