# What an operator has to know. The log alerts read the handler's own lines, which are
# JSON on stdout and arrive as AppTraces; `msg`, `outcome`, `class` and `days` are
# those of shared/rotation and functions/rotatedue, and infra/check compares them.

locals {
  # One row per line of the handler's log.
  lines = "AppTraces | where Message startswith '{' | extend line = parse_json(Message) | extend msg = tostring(line.msg), outcome = tostring(line.outcome)"

  log_alerts = {
    # Three periods without one sweep that ended well. A period is the timer's, but
    # at least the five minutes that one sweep with much to do takes, since the timer
    # does not fire while it runs; so a quarter of an hour for every allowed timer.
    timer-stalled = {
      severity    = 1
      description = "No sweep of the timer has ended well for three periods: nothing is rotated. Look at the function's invocations and at lines with msg 'sweep'."
      query       = "${local.lines} | where msg == 'sweep' and outcome == 'ok'"
      operator    = "LessThan"
      threshold   = 1
      every       = "PT5M"
      window      = "PT15M"
    }

    # A person or a program removed what is published: its consumers can't sign in.
    credential-lost = {
      severity    = 0
      description = "A published client secret has been refused for 15 minutes. Rekey replaces it if it knows one that works; look at the connection."
      query       = "${local.lines} | where msg == 'the published credential is lost'"
      operator    = "GreaterThan"
      threshold   = 0
      every       = "PT5M"
      window      = "PT15M"
    }

    # What a person has to change (permission, policy, full application), or what
    # stops passes. What passes by itself is left out unless it goes on.
    rotation-failing = {
      severity    = 2
      description = "A rotation fails and won't succeed by itself, a connection can't sign in any more, or something has to be removed by hand. The connection's lastRun and byHand say what to do."
      query       = <<-KQL
        ${local.lines}
        | where (msg == 'step' and outcome == 'failed') or msg in ('pass stopped', 'remove by hand', 'sign-in lost')
        | extend passing = msg == 'pass stopped' or tostring(line.class) in ('transient', 'throttled', 'concurrency')
        | summarize failures = count(), lasting = countif(not(passing)) by connection = tostring(line.connection)
        | where lasting > 0 or failures >= 5
      KQL
      operator    = "GreaterThan"
      threshold   = 0
      every       = "PT15M"
      window      = "PT30M"
    }

    # Written once at 14, 7, 3 and 1 days.
    credential-expiring = {
      severity    = 1
      description = "A client secret expires within 7 days and no rotation is going to replace it before."
      query       = "${local.lines} | where msg == 'credential expires' and toint(line.days) <= 7"
      operator    = "GreaterThan"
      threshold   = 0
      every       = "PT30M"
      window      = "PT1H"
    }
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "log" {
  for_each = local.log_alerts

  name                = "${var.name}-${each.key}"
  resource_group_name = azurerm_resource_group.rekey.name
  location            = azurerm_resource_group.rekey.location
  scopes              = [azurerm_log_analytics_workspace.rekey.id]
  severity            = each.value.severity
  description         = each.value.description
  tags                = var.tags

  evaluation_frequency = each.value.every
  window_duration      = each.value.window

  # Where the app does not run, silence is no news.
  enabled = var.app_enabled

  # The timer's alert ends when it runs again; the others tell of an event.
  auto_mitigation_enabled = each.key == "timer-stalled"

  # The table exists only once the app has written to it.
  skip_query_validation = true

  criteria {
    query                   = each.value.query
    time_aggregation_method = "Count"
    operator                = each.value.operator
    threshold               = each.value.threshold

    failing_periods {
      number_of_evaluation_periods             = 1
      minimum_failing_periods_to_trigger_alert = 1
    }
  }

  action {
    action_groups = [azurerm_monitor_action_group.rekey.id]
  }
}

# Key Vault allows 4000 requests in 10 seconds. Refusals delay rotations; that many
# mean that another program uses the vault too, or reads it in a loop.
resource "azurerm_monitor_metric_alert" "vault_throttled" {
  name                = "${var.name}-vault-throttled"
  resource_group_name = azurerm_resource_group.rekey.name
  scopes              = [azurerm_key_vault.rekey.id]
  severity            = 2
  description         = "Key Vault refuses requests with 429."
  frequency           = "PT5M"
  window_size         = "PT15M"
  tags                = var.tags

  criteria {
    metric_namespace = "Microsoft.KeyVault/vaults"
    metric_name      = "ServiceApiResult"
    aggregation      = "Count"
    operator         = "GreaterThan"
    threshold        = 5

    dimension {
      name     = "StatusCode"
      operator = "Include"
      values   = ["429"]
    }
  }

  action {
    action_group_id = azurerm_monitor_action_group.rekey.id
  }
}
