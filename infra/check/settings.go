package check

import (
	"fmt"
	"maps"
	"slices"

	"rekey/shared/config"
)

// Settings returns the names of all variables that the program asks for, by letting it
// ask where everything that it could ask is switched on.
func Settings() []string {
	everything := map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "rekey",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318", "OTEL_TRACES_SAMPLER": "traceidratio"}
	asked := make(map[string]bool)
	// That the rest is missing is no matter here.
	_, _ = config.Load(func(name string) (string, bool) {
		asked[name] = true
		v, ok := everything[name]
		return v, ok
	})
	return slices.Sorted(maps.Keys(asked))
}

// sample is an id, for what is one only after a deployment.
const sample = "00000000-0000-4000-8000-000000000000"

// samples are values of all settings that one may choose, unlike the defaults and each
// other as far as their forms allow.
var samples = map[string]string{
	"REKEY_DEPLOYMENT": "sample", "REKEY_API_KEYS": apiKey,
	"REKEY_AUTH_TENANT_ID": "00000000-0000-4000-8000-000000000001", "REKEY_AUTH_AUDIENCE": "api://" + sample,
	"REKEY_PUBLIC_URL": "https://rekey.example.com",
	"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_ID": "00000000-0000-4000-8000-000000000002",
	"REKEY_OAUTH_CLIENT_SECRET_NAME":                    "oauth-application",
	"REKEY_CONSOLE_CLIENT_ID":                           "00000000-0000-4000-8000-000000000003",
	"REKEY_CONSOLE_CLIENT_SECRET_NAME":                  "console-application", "REKEY_CONSOLE_KEY_NAME": "console-key",
	"REKEY_WEBHOOK_URL": "https://hooks.example.com/key", "REKEY_WEBHOOK_SECRET_NAME": "webhook-key",
	"AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us", "REKEY_GRAPH_URL": "https://graph.microsoft.us",
	"REKEY_MAX_PARALLEL": "32", "REKEY_VERIFY_SUCCESSES": "4", "REKEY_VERIFY_SPACING": "6s", "REKEY_VERIFY_MIN_AGE": "7m",
	"REKEY_VERIFY_MIN_AGE_FIRST": "30s", "REKEY_REVOKE_MIN_AGE": "2m",
	"OTEL_SDK_DISABLED":                   "false",
	"OTEL_EXPORTER_OTLP_ENDPOINT":         "https://collector.example.com:4318",
	"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":  "https://traces.example.com/v1/traces",
	"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://metrics.example.com/v1/metrics",
	"OTEL_EXPORTER_OTLP_HEADERS":          "key=of-both", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=of-traces",
	"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "key=of-metrics",
	"OTEL_EXPORTER_OTLP_PROTOCOL":        "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
	"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
	"OTEL_TRACES_EXPORTER":                "otlp", "OTEL_METRICS_EXPORTER": "otlp",
	"OTEL_SERVICE_NAME": "sample", "OTEL_RESOURCE_ATTRIBUTES": "team=identity",
	"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
}

// secret are the settings whose value lets its holder in somewhere. In a template they are
// what the platform resolves, never a value that one enters.
var secret = []string{"REKEY_WEBHOOK_URL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
	"OTEL_EXPORTER_OTLP_METRICS_HEADERS"}

// Why a template may leave a setting out.
const (
	emulatedOnly = "the program refuses it in a deployment: it is for emulators"
	platforms    = "the platform sets it, or another platform does"
	byName       = "its secret is named in the vault, by the setting beside it: nothing but the program sees it, " +
		"and a new one needs no restart"
	ownSecret = "Rekey's own identity needs no secret there, and nothing would rotate it"
)

// absent are the settings that neither template has.
var absent = map[string]string{
	"REKEY_EMULATED": emulatedOnly, "REKEY_CA_FILE": emulatedOnly, "REKEY_STS_URL": emulatedOnly, "REKEY_LEASE": emulatedOnly,
	"REKEY_CALL_TIMEOUT": emulatedOnly, "REKEY_SKEW": emulatedOnly, "REKEY_SETTLE_SPACING": emulatedOnly, "REKEY_SETTLE_MIN_AGE": emulatedOnly,
	"REKEY_LATE_WRITE":         emulatedOnly,
	"AWS_LAMBDA_FUNCTION_NAME": platforms, "AWS_REGION": platforms, "AWS_ACCESS_KEY_ID": platforms, "AWS_SECRET_ACCESS_KEY": platforms,
	"AWS_SESSION_TOKEN": platforms, "WEBSITE_AUTH_ENABLED": platforms,
	"INF_APP_CONNECTION_AZURE_CLIENT_SECRETS_CLIENT_SECRET": byName, "REKEY_WEBHOOK_SECRET": byName,
	"AZURE_CLIENT_SECRET": ownSecret,
}

// checkNames compares the settings that a template has with those that the program knows.
// besides are those of the host that runs it, and left those that this template alone
// leaves out, with the reason.
func checkNames(f *findings, settings map[string]string, besides []string, left map[string]string) {
	names := Settings()
	for _, name := range names {
		_, has := settings[name]
		reason := absent[name] + left[name]
		f.expect(has || reason != "", "the setting %s can't be set here, and nothing says why", name)
		f.expect(!has || reason == "", "the setting %s has no place in a deployment: %s", name, reason)
	}
	for name := range settings {
		f.expect(slices.Contains(names, name) || slices.Contains(besides, name), "the setting %s is none of the program's", name)
	}
	for name := range left {
		f.expect(slices.Contains(names, name), "the setting %s, which may be left out, is none of the program's", name)
	}
}

// read lets the program read the settings that it would be given.
func read(settings map[string]string) (config.Config, error) {
	c, err := config.Load(func(name string) (string, bool) { v, ok := settings[name]; return v, ok })
	if err != nil {
		return c, fmt.Errorf("the program refuses its settings: %w", err)
	}
	return c, nil
}
