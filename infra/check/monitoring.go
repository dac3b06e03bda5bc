package check

import (
	"regexp"
	"slices"
	"strings"

	"rekey/shared/serviceerror"

	"github.com/zclconf/go-cty/cty"
)

// logged are the lines that alerts wait for, as the program writes them; a test
// compares them with its source.
var logged = []string{"sweep", "step", "pass stopped", "the published credential is lost", "remove by hand", "sign-in lost",
	"credential expires"}

// alerts are what has to be noticed, each with words that its query can't do without.
var alerts = map[string][]string{
	"timer-stalled":       {"'sweep'", "'ok'"},
	"credential-lost":     {"'the published credential is lost'"},
	"rotation-failing":    {"'step'", "'failed'", "'pass stopped'", "'remove by hand'", "'sign-in lost'"},
	"credential-expiring": {"'credential expires'", "<= 7"},
}

// words are the members' values that queries compare with, and that are no lines.
var words = []string{"ok", "failed", "{", string(serviceerror.Transient), string(serviceerror.Throttled), string(serviceerror.Concurrency)}

var quoted = regexp.MustCompile(`'([^']*)'`)

func (m *module) checkMonitoring(f *findings) {
	for _, name := range []string{"azurerm_application_insights.rekey", "azurerm_log_analytics_workspace.rekey"} {
		f.expect(m.resources[name].is("local_authentication_enabled", false), "%s: a holder of its key may write logs", name)
	}
	rules := m.locals["log_alerts"]
	if !rules.IsKnown() || !rules.CanIterateElements() {
		f.expect(false, "there are no alerts of the log")
		return
	}
	found := rules.AsValueMap()
	for name, needed := range alerts {
		rule, ok := found[name]
		if !ok {
			f.expect(false, "the alert %s is missing", name)
			continue
		}
		query := text(rule.GetAttr("query"))
		for _, word := range needed {
			f.expect(strings.Contains(query, word), "the alert %s does not look for %s", name, word)
		}
		for _, q := range quoted.FindAllStringSubmatch(query, -1) {
			f.expect(slices.Contains(logged, q[1]) || slices.Contains(words, q[1]), "the alert %s waits for %q, which is never written", name, q[1])
		}
	}
	f.expect(m.resources["azurerm_monitor_scheduled_query_rules_alert_v2.log"].is("enabled", true), "alerts of the log are off")
	group := m.resources["azurerm_monitor_scheduled_query_rules_alert_v2.log"].nested("action").value("action_groups")
	f.expect(group.IsWhollyKnown() && group.RawEquals(cty.TupleVal([]cty.Value{cty.StringVal("<azurerm_monitor_action_group.rekey.id>")})),
		"alerts of the log have no recipient")
	throttled := m.resources["azurerm_monitor_metric_alert.vault_throttled"]
	f.expect(throttled.nested("criteria").text("metric_name") == "ServiceApiResult" &&
		throttled.nested("action").text("action_group_id") != "", "no recipient is told that the vault throttles")
	audit := m.resources["azurerm_monitor_diagnostic_setting.vault"]
	f.expect(audit.text("target_resource_id") == "<azurerm_key_vault.rekey.id>" &&
		audit.nested("enabled_log").text("category_group") == "audit", "who reads secrets is not recorded")
}
