# Rekey on Azure, one file per concern. README.md says how to use it.

locals {
  # Storage account names have no hyphens, and at most 24 characters.
  storage_account_name = "${replace(var.name, "-", "")}st"

  # Rekey has to know its address before Azure says it: an app's settings can't name
  # what only the app has.
  hostname = coalesce(var.custom_domain, "${var.name}.azurewebsites.net")
}

resource "azurerm_resource_group" "rekey" {
  name     = var.name
  location = var.location
  tags     = var.tags
}
