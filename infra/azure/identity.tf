# Who the app is, and all that it may do. No identity of it has a permission in Entra
# or Microsoft Graph: Rekey rotates with the permission of the application that is
# being rotated, so that no identity of yours could change every application.

# What Rekey's code runs as.
resource "azurerm_user_assigned_identity" "rekey" {
  name                = "${var.name}-id"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  tags                = var.tags
}

# What the platform fetches and stores the package as. It is apart so that the
# storage log tells a deployment from a rotation. As it is attached to the same app,
# it is no wall against code that runs in it.
resource "azurerm_user_assigned_identity" "deployment" {
  name                = "${var.name}-deployment-id"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  tags                = var.tags
}

# Reads and writes rows of Rekey's table. It can NOT read or write another table of
# the account, nor change who may, and no row of the table holds a secret.
resource "azurerm_role_assignment" "records" {
  scope                = local.table_id
  role_definition_name = "Storage Table Data Contributor"
  principal_id         = azurerm_user_assigned_identity.rekey.principal_id
  principal_type       = "ServicePrincipal"
}

# Reads, writes, disables and deletes secrets of this vault. It can NOT purge what is
# deleted (purge protection is on), give access, change the vault or its
# network rules, or touch keys and certificates; and it has no role on any other
# vault. Not per secret: a role on one secret can be given only once that exists, and
# Rekey makes one for each connection and would need the right to give itself roles,
# which is far more. Those who read a secret do get a role on that one: below.
resource "azurerm_role_assignment" "secrets" {
  scope                = azurerm_key_vault.rekey.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = azurerm_user_assigned_identity.rekey.principal_id
  principal_type       = "ServicePrincipal"
}

# What the Functions host needs in AzureWebJobsStorage: the timer's lock and status,
# and the host's keys. The host makes those containers itself, so it is the account.
# It can NOT read or write a table or a queue, make keys or signatures, or change the
# account. It could replace the package, which is why the account is for Rekey alone.
resource "azurerm_role_assignment" "host" {
  scope                = azurerm_storage_account.rekey.id
  role_definition_name = "Storage Blob Data Owner"
  principal_id         = azurerm_user_assigned_identity.rekey.principal_id
  principal_type       = "ServicePrincipal"
}

# Sends logs and metrics to this one resource. It can NOT read any: an attacker who takes
# the app over sees no log of it.
resource "azurerm_role_assignment" "telemetry" {
  scope                = azurerm_application_insights.rekey.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = azurerm_user_assigned_identity.rekey.principal_id
  principal_type       = "ServicePrincipal"
}

# Stores and fetches the package. It can NOT reach another container, the table or
# the vault.
resource "azurerm_role_assignment" "package" {
  scope                = local.package_container_id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.deployment.principal_id
  principal_type       = "ServicePrincipal"
}

# People that operate Rekey: by default they put, read, disable and recover secrets. They
# can NOT purge what is deleted, give access, or change the vault or its network rules.
# Without this no person can do any of it: Azure gives owners of a subscription no role on
# what a vault holds.
resource "azurerm_role_assignment" "operators" {
  for_each = var.operators

  scope                = azurerm_key_vault.rekey.id
  role_definition_name = each.value.role
  principal_id         = each.value.principal_id
}

# Applications that may read one published secret, each its own. They can NOT read
# another, or write any.
resource "azurerm_role_assignment" "secret_readers" {
  for_each = { for r in var.secret_readers : "${r.secret_name}/${r.principal_id}" => r }

  scope                = "${azurerm_key_vault.rekey.id}/secrets/${each.value.secret_name}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = each.value.principal_id
}

# The app's own identity, as which the platform fetches the secrets that settings refer
# to. It can NOT read another secret, or write any, and has no other role: none at all
# where no setting refers to one.
resource "azurerm_role_assignment" "referenced" {
  for_each = toset(values(local.references))

  scope                = "${azurerm_key_vault.rekey.id}/secrets/${each.value}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_function_app_flex_consumption.rekey.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}
