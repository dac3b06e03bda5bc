variable "subscription_id" {
  description = "The subscription that everything is made in."
  type        = string
}

variable "location" {
  description = "An Azure region that has Flex Consumption, such as westeurope; `az functionapp list-flexconsumption-locations` lists them."
  type        = string
}

variable "name" {
  description = "Begins the name of every resource. The app is <name>.azurewebsites.net, and the vault <name>-kv, so it must be free in all of Azure."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "3 to 20 lower-case letters, digits and inner hyphens, the first a letter (the vault's name is three longer and may have 24)."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}

variable "deployment" {
  description = "REKEY_DEPLOYMENT: the short id in the names and tags of what Rekey issues. Never change it: Rekey would no longer know its own."
  type        = string
  default     = "default"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$", var.deployment))
    error_message = "1 to 10 lower-case letters, digits and inner hyphens."
  }
}

variable "timer_period_minutes" {
  description = "How often the timer looks for what is due. One look costs 16 small queries of the table."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 3, 4, 5], var.timer_period_minutes)
    error_message = "1, 2, 3, 4 or 5: verifying a new secret needs several looks within 30 minutes."
  }
}

variable "api_keys" {
  description = "REKEY_API_KEYS: entries name:role:sha256 as `make apikey` prints them. They are hashes; the keys themselves don't belong here."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([for k in var.api_keys :
      can(regex("^[A-Za-z0-9][A-Za-z0-9.@-]{0,63}:(read|write|rotate|admin):[0-9a-fA-F]{64}$", k))
    ])
    error_message = "Each entry must be name:role:sha256 in 64 hex digits, with the role read, write, rotate or admin; `make apikey` prints one."
  }
}

variable "callers" {
  description = "REKEY_AUTH_TENANT_ID and REKEY_AUTH_AUDIENCE: Entra access tokens of this tenant for this audience are accepted. Null: only API keys are."
  type = object({
    tenant_id = string
    audience  = string
  })
  default = null
}

variable "oauth" {
  description = "The Entra application with which people connect by OAuth. Its secret is put into the vault by hand, under this name, so that it is in no state file. Null: no OAuth."
  type = object({
    client_id   = string
    secret_name = string
  })
  default = null
}

variable "webhook" {
  description = "Where notices go: an https address, and the name of the vault secret with the signing key (whsec_...), which is put there by hand. Null: no notices."
  type = object({
    url         = string
    secret_name = string
  })
  default = null
}

variable "app_service_authentication" {
  description = "Let App Service authenticate callers by Entra before Rekey does. API keys then no longer work, since App Service refuses them. Null: Rekey does it alone."
  type = object({
    tenant_id         = string
    client_id         = string
    allowed_audiences = optional(list(string), [])
  })
  default = null
}

variable "custom_domain" {
  description = "A host name of yours for the app. Its CNAME (to the output default_hostname) and its TXT record asuid.<name> (the output domain_verification) must exist first. Null: none."
  type        = string
  default     = null
}

variable "allowed_ip_ranges" {
  description = "From where the API may be called, as CIDR. Empty: from anywhere, with authentication. The OAuth callback is opened by people's browsers."
  type        = list(string)
  default     = []
}

variable "vault_readers" {
  description = "Object ids of those that may read every published secret, such as an operator's group. Applications get a role on their own secret instead: see the README."
  type        = map(string)
  default     = {}
}

variable "vault_allowed_ip_ranges" {
  description = "From where the vault may be reached besides the app's own network: addresses of those who read secrets. Empty: from nowhere."
  type        = list(string)
  default     = []
}

variable "vault_allowed_subnet_ids" {
  description = "Subnets with the service endpoint Microsoft.KeyVault from which the vault may be reached besides."
  type        = list(string)
  default     = []
}

variable "address_space" {
  description = "Of the network that connects the app to the vault, a /24. Choose another if you peer it."
  type        = string
  default     = "10.112.0.0/24"

  validation {
    condition     = can(cidrsubnet(var.address_space, 3, 1)) && endswith(var.address_space, "/24")
    error_message = "An IPv4 range of 256 addresses, such as 10.112.0.0/24."
  }
}

variable "alert_emails" {
  description = "Who is told when an alert fires."
  type        = list(string)

  validation {
    condition     = length(var.alert_emails) > 0
    error_message = "At least one address: a rotator that fails unnoticed ends in an outage."
  }
}

variable "log_retention_days" {
  description = "How long logs, and the vault's audit log, are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "30 to 730."
  }
}
