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

variable "app_enabled" {
  description = "Whether the app runs. False stops it and silences the alerts of its log, for Rekey on AWS Lambda over this table and this vault: see infra/aws/README.md."
  type        = bool
  default     = true
}

variable "instance_memory_in_mb" {
  description = "Memory of an instance, which is paid for by the second: 512, 2048 or 4096. `make bench` prints what a thousand connections due at once need."
  type        = number
  default     = 2048

  validation {
    condition     = contains([512, 2048, 4096], var.instance_memory_in_mb)
    error_message = "512, 2048 or 4096: Flex Consumption has these."
  }
}

variable "timer_always_ready" {
  description = "Keep one instance for the timer at all times: about 22 USD a month, see the README. Without it, timers have been seen to stop for good after a deployment (azure-functions-host, issue 11828)."
  type        = bool
  default     = false
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
  description = "REKEY_AUTH_TENANT_ID and REKEY_AUTH_AUDIENCE: Entra access tokens of this tenant for this audience are accepted. The audience is the client id of the API's registration, or api://<client id>, which takes tokens of v1.0 and v2.0. Empty: only API keys are accepted."
  type = object({
    tenant_id = optional(string)
    audience  = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = (var.callers.tenant_id == null) == (var.callers.audience == null)
    error_message = "Both or none: a token is accepted by its tenant and its audience."
  }
  validation {
    condition     = var.callers.audience == null || can(regex("^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(api|https)://[^ ,;]+)$", var.callers.audience)) && !endswith(coalesce(var.callers.audience, "-"), "/.default")
    error_message = "audience is what tokens are for: the client id of the API's registration, or its identifier URI, such as api://<client id>; without /.default."
  }
}

variable "oauth" {
  description = "The Entra application with which people connect by OAuth. Its secret is put into the vault by hand, under this name, so that it is in no state file. Empty: no OAuth."
  type = object({
    client_id   = optional(string)
    secret_name = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = (var.oauth.client_id == null) == (var.oauth.secret_name == null)
    error_message = "Both or none: the application needs its client id and the name of its secret."
  }
  validation {
    condition     = var.oauth.secret_name == null || can(regex("^[0-9a-zA-Z-]{1,127}$", var.oauth.secret_name)) && !startswith(coalesce(var.oauth.secret_name, "-"), "rekey-")
    error_message = "secret_name is the name of a Key Vault secret: 1 to 127 letters, digits and hyphens, and not rekey-..., which are names that Rekey makes."
  }
}

variable "console" {
  description = "The Entra application with whose app roles people sign in to the console, and the vault secrets of the console: the application's client secret, put there by hand, and the key of sessions, which Rekey makes. Empty: the application of oauth, and the key rekey-console-key."
  type = object({
    client_id   = optional(string)
    secret_name = optional(string)
    key_name    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.console.secret_name == null || var.console.client_id != null
    error_message = "The secret is of an application: set client_id as well."
  }
  validation {
    condition     = var.console.secret_name == null || can(regex("^[0-9a-zA-Z-]{1,127}$", var.console.secret_name)) && !startswith(coalesce(var.console.secret_name, "-"), "rekey-")
    error_message = "secret_name is the name of a Key Vault secret: 1 to 127 letters, digits and hyphens, and not rekey-..., which are names that Rekey makes."
  }
}

variable "webhook" {
  description = "Where notices go. Two secrets of the vault, put there by hand: the receiver's https address, which often holds its key, and the signing key (whsec_...). Empty: no notices."
  type = object({
    url_secret_name = optional(string)
    secret_name     = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = (var.webhook.url_secret_name == null) == (var.webhook.secret_name == null)
    error_message = "Both or none: the receiver has to be able to tell who calls."
  }
  validation {
    condition     = alltrue([for name in values(var.webhook) : name == null || can(regex("^[0-9a-zA-Z-]{1,127}$", name)) && !startswith(coalesce(name, "-"), "rekey-")])
    error_message = "Names of Key Vault secrets: 1 to 127 letters, digits and hyphens, and not rekey-..., which are names that Rekey makes. The address itself does not belong here."
  }
}

variable "telemetry" {
  description = "Where traces and metrics go besides Application Insights: OpenTelemetry's variables, see docs/telemetry.md. A receiver's key is named, as a secret of the vault. Empty: nowhere."
  type = object({
    endpoint                    = optional(string) # https://collector:4318, for both
    traces_endpoint             = optional(string) # the complete URL, for one alone
    metrics_endpoint            = optional(string)
    headers_secret_name         = optional(string) # of a secret like api-key=...
    traces_headers_secret_name  = optional(string)
    metrics_headers_secret_name = optional(string)
    protocol                    = optional(string)
    traces_protocol             = optional(string)
    metrics_protocol            = optional(string)
    traces_exporter             = optional(string) # otlp or none
    metrics_exporter            = optional(string)
    disabled                    = optional(bool)
    service_name                = optional(string)
    resource_attributes         = optional(string) # key=value, comma-separated
    traces_sampler              = optional(string)
    traces_sampler_ratio        = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([for name in [var.telemetry.headers_secret_name, var.telemetry.traces_headers_secret_name, var.telemetry.metrics_headers_secret_name] :
      name == null || can(regex("^[0-9a-zA-Z-]{1,127}$", name)) && !startswith(coalesce(name, "-"), "rekey-")
    ])
    error_message = "Names of Key Vault secrets: 1 to 127 letters, digits and hyphens, and not rekey-..., which are names that Rekey makes. The headers themselves don't belong here."
  }
}

variable "tuning" {
  description = "REKEY_MAX_PARALLEL, REKEY_VERIFY_SUCCESSES, _SPACING, _MIN_AGE, _MIN_AGE_FIRST, and REKEY_REVOKE_MIN_AGE; durations like 90s or 1h30m. Gates can be raised, not lowered: the program refuses less than its defaults."
  type = object({
    max_parallel         = optional(number) # 64
    verify_successes     = optional(number) # 3
    verify_spacing       = optional(string) # 5s
    verify_min_age       = optional(string) # 5m
    verify_min_age_first = optional(string) # 15s
    revoke_min_age       = optional(string) # 60s
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([for d in [var.tuning.verify_spacing, var.tuning.verify_min_age, var.tuning.verify_min_age_first, var.tuning.revoke_min_age] :
      d == null || can(regex("^([0-9]+(ms|s|m|h))+$", d))
    ])
    error_message = "Durations are numbers with a unit, such as 90s or 1h30m."
  }
  validation {
    condition     = var.tuning.max_parallel == null || try(var.tuning.max_parallel >= 1 && var.tuning.max_parallel <= 1000, false)
    error_message = "max_parallel is 1 to 1000."
  }
}

variable "authority_host" {
  description = "AZURE_AUTHORITY_HOST: where the applications that Rekey rotates sign in, if not at https://login.microsoftonline.com. Null: there."
  type        = string
  default     = null
}

variable "graph_url" {
  description = "REKEY_GRAPH_URL: of the same cloud, if not https://graph.microsoft.com. Null: that."
  type        = string
  default     = null
}

variable "app_service_authentication" {
  description = "Let App Service authenticate callers by Entra before Rekey does. API keys then no longer work, since App Service refuses them. Null: Rekey does it alone."
  type = object({
    tenant_id         = string
    client_id         = string
    allowed_audiences = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.app_service_authentication == null || var.callers.tenant_id != null
    error_message = "Set callers as well: it says of which tenant they may be whom App Service lets through."
  }
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

variable "operators" {
  description = "People that operate Rekey, by a name of your choice: the object id of a person or, better, a group, and the role on the whole vault. Without it no person can put or recover a secret there. Applications get a role on their own secret instead: secret_readers."
  type = map(object({
    principal_id = string
    role         = optional(string, "Key Vault Secrets Officer") # put, read, disable, recover; Key Vault Secrets User reads
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for o in values(var.operators) : can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", o.principal_id))])
    error_message = "principal_id is an object id: `az ad signed-in-user show --query id` prints yours, `az ad group show --group <name> --query id` a group's."
  }
  validation {
    condition     = alltrue([for o in values(var.operators) : contains(["Key Vault Secrets Officer", "Key Vault Secrets User"], o.role)])
    error_message = "role is Key Vault Secrets Officer, which puts, reads, disables and recovers secrets, or Key Vault Secrets User, which reads them."
  }
}

variable "secret_readers" {
  description = "Who may read one published secret: the name of the vault secret, which must exist, and the object id of an application's service principal or identity."
  type = list(object({
    secret_name  = string
    principal_id = string
  }))
  default = []
}

variable "vault_allowed_ip_ranges" {
  description = "From where the vault may be reached besides the app's own network: public IPv4 addresses or ranges of operators and of applications that read secrets. Empty: from nowhere."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.vault_allowed_ip_ranges : can(cidrhost(strcontains(range, "/") ? range : "${range}/32", 0)) && range != "0.0.0.0/0"])
    error_message = "Public IPv4 addresses or ranges, such as 203.0.113.7 or 203.0.113.0/28; not all addresses at once."
  }
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
