output "url" {
  description = "Where the API is."
  value       = "https://${coalesce(var.custom_domain, azurerm_function_app_flex_consumption.rekey.default_hostname)}"
}

output "deploy" {
  description = "The command that deploys a release, from the folder that holds rekey-azure.zip."
  value       = "az functionapp deployment source config-zip --resource-group ${azurerm_resource_group.rekey.name} --name ${azurerm_function_app_flex_consumption.rekey.name} --src rekey-azure.zip"
}

output "refresh" {
  description = "The command that fetches anew what settings refer to in the vault."
  value       = "az rest --method post --url ${azurerm_function_app_flex_consumption.rekey.id}/config/configreferences/appsettings/refresh?api-version=2022-03-01"
}

output "vault_url" {
  description = "The vault that secrets are published in."
  value       = azurerm_key_vault.rekey.vault_uri
}

output "vault_id" {
  description = "Scope of the roles that readers of secrets get: <vault_id>/secrets/<name> for one secret."
  value       = azurerm_key_vault.rekey.id
}

output "table_id" {
  description = "Scope of the role Storage Table Data Contributor, for Rekey on AWS Lambda over this table."
  value       = local.table_id
}

output "table_service" {
  description = "REKEY_TABLE_SERVICE, for the same."
  value       = trimsuffix(azurerm_storage_account.rekey.primary_table_endpoint, "/")
}

output "redirect_uri" {
  description = "To be entered in the OAuth application. It is what REKEY_PUBLIC_URL says; if it is not below the output url, set custom_domain."
  value       = "https://${local.hostname}/organization/app-connections/azure/oauth/callback"
}

output "principal_id" {
  description = "Object id of Rekey's identity. It needs nothing in Entra."
  value       = azurerm_user_assigned_identity.rekey.principal_id
}

output "default_hostname" {
  description = "What the CNAME of a custom domain points at."
  value       = azurerm_function_app_flex_consumption.rekey.default_hostname
}

output "domain_verification" {
  description = "What the TXT record asuid.<custom domain> holds."
  value       = azurerm_function_app_flex_consumption.rekey.custom_domain_verification_id
  sensitive   = true
}
