terraform {
  required_version = ">= 1.9.0" # also OpenTofu 1.9; a variable's validation may look at another one

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.0"
    }
  }
}

provider "azurerm" {
  subscription_id = var.subscription_id

  # Version 5 registers nothing by itself.
  resource_providers_to_register = [
    "Microsoft.App", # the delegation of the app's subnet
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "Microsoft.Web",
  ]

  # The storage account has no keys.
  storage_use_azuread = true

  features {
    key_vault {
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
    }
    template_deployment {
      # The name's binding goes with its own resource; the certificate stays in the app.
      delete_nested_items_during_deletion = false
    }
    resource_group {
      # Also what was put there by hand.
      prevent_deletion_if_contains_resources = true
    }
  }
}
