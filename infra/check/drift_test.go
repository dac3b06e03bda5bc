package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rekey/functions/rotatedue"
)

// source joins the program's code of a folder.
func source(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	var all strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// A line that is worded anew would leave its alert waiting for ever.
func TestLoggedLines(t *testing.T) {
	code := source(t, "../../shared/rotator") + source(t, "../../shared/connection") + source(t, "../../functions/rotatedue")
	for _, line := range logged {
		if !regexp.MustCompile(`\.(Info|Warn|Error)(Context\(ctx, |\()"` + regexp.QuoteMeta(line) + `"`).MatchString(code) {
			t.Errorf("nothing logs %q, which an alert waits for", line)
		}
	}
	for _, member := range []string{"outcome", "class", "days"} {
		if !strings.Contains(code, `"`+member+`"`) {
			t.Errorf("no line has the member %q, which an alert reads", member)
		}
	}
}

// The setting that the deployment writes is the one that the timer's trigger names.
func TestScheduleIsTheTriggers(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("../../functions", rotatedue.Name, "function.json"))
	if err != nil {
		t.Fatal(err)
	}
	var function struct {
		Bindings []struct{ Type, Schedule string }
	}
	if err := json.Unmarshal(data, &function); err != nil {
		t.Fatal(err)
	}
	for _, b := range function.Bindings {
		if b.Type == "timerTrigger" && b.Schedule == "%REKEY_ROTATION_SCHEDULE%" {
			return
		}
	}
	t.Error("the timer's trigger takes its schedule from elsewhere than REKEY_ROTATION_SCHEDULE")
}

// Flex Consumption names the timer's instances by its function. The handler, 40 MB on a
// disk that has not read it before, has a minute until it answers: after three times that
// it was not in time the host gives up.
func TestTheHostsFile(t *testing.T) {
	if timersGroup != "function:"+rotatedue.Name {
		t.Errorf("%s is always ready, and the timer is %s", timersGroup, rotatedue.Name)
	}
	data, err := os.ReadFile("../../host.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		CustomHandler struct{ InitializationTimeout string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if got := file.CustomHandler.InitializationTimeout; got != "00:01:00" {
		t.Errorf("initializationTimeout is %q: 30 seconds if it is missing", got)
	}
}

var variable = regexp.MustCompile(`"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"`)

// What the templates are compared with is all that the program reads: a name in its
// source that is never asked for would be compared with nothing.
func TestKnownIsAll(t *testing.T) {
	names := Settings()
	for _, m := range variable.FindAllStringSubmatch(source(t, "../../shared/config"), -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("shared/config has the name %s, which it is not seen to ask for", m[1])
		}
	}
	for _, n := range names {
		if _, has := samples[n]; !has && absent[n] == "" &&
			!slices.Contains([]string{"REKEY_TABLE_SERVICE", "REKEY_KEY_VAULT_URL", "AZURE_TENANT_ID", "AZURE_CLIENT_ID"}, n) {
			t.Errorf("%s has neither a sample nor a reason to be left out", n)
		}
	}
	for n := range absent {
		if !slices.Contains(names, n) {
			t.Errorf("%s may be left out, and the program does not know it", n)
		}
	}
}

// What is left out because a deployment may not have it, the program does refuse there.
func TestEmulatedOnly(t *testing.T) {
	values := map[string]string{"REKEY_EMULATED": "true", "REKEY_CA_FILE": "ca.pem", "REKEY_STS_URL": "https://127.0.0.1"}
	for name, reason := range absent {
		if reason != emulatedOnly {
			continue
		}
		settings := map[string]string{"REKEY_TABLE_SERVICE": "https://rekeyst.table.core.windows.net",
			"REKEY_KEY_VAULT_URL": "https://rekey-kv.vault.azure.net"}
		if _, err := read(settings); err != nil {
			t.Fatal(err)
		}
		settings[name] = cmp.Or(values[name], "6m30s")
		if _, err := read(settings); err == nil || !strings.Contains(err.Error(), name) && name != "REKEY_EMULATED" {
			t.Errorf("%s is taken in a deployment: %v", name, err)
		}
	}
}

// What counts as a secret in a template is one to the program too: it does not print it.
func TestSecretsArePrintedNowhere(t *testing.T) {
	settings := maps.Clone(samples)
	settings["REKEY_TABLE_SERVICE"], settings["REKEY_KEY_VAULT_URL"] = "https://rekeyst.table.core.windows.net",
		"https://rekey-kv.vault.azure.net"
	c, err := read(settings)
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%+v", c)
	for _, name := range []string{"REKEY_WEBHOOK_SECRET_NAME", "REKEY_PUBLIC_URL", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		if !strings.Contains(printed, samples[name]) {
			t.Errorf("%s is not printed, so that this test shows nothing", name)
		}
	}
	for _, name := range secret {
		_, value, _ := strings.Cut(samples[name], "=")
		if strings.Contains(printed, cmp.Or(value, samples[name])) {
			t.Errorf("%s is printed", name)
		}
	}
}

// The example of a developer's settings has every setting that one may choose. What is
// empty there is not set.
func TestExampleSettings(t *testing.T) {
	data, err := os.ReadFile("../../local.settings.json.example")
	if err != nil {
		t.Fatal(err)
	}
	var example struct{ Values map[string]string }
	if err := json.Unmarshal(data, &example); err != nil {
		t.Fatal(err)
	}
	// It works as it is where the services are emulated, and with two addresses elsewhere.
	own := maps.Clone(example.Values)
	own["REKEY_TABLE_SERVICE"], own["REKEY_KEY_VAULT_URL"] = "https://rekeyst.table.core.windows.net", "https://rekey-kv.vault.azure.net"
	if _, err := read(own); err != nil {
		t.Errorf("the example with a table service and a vault: %v", err)
	}
	if example.Values["REKEY_TABLE_SERVICE"] != "" || example.Values["FUNCTIONS_WORKER_RUNTIME"] != "custom" ||
		example.Values["AzureWebJobsStorage"] == "" {
		t.Error("the example names a table service, or not what the Core Tools need")
	}
	for _, name := range Settings() {
		_, has := example.Values[name]
		needed := absent[name] == "" || absent[name] == byName || absent[name] == ownSecret
		if has != needed {
			t.Errorf("%s: in the example %v, want %v", name, has, needed)
		}
		delete(example.Values, name)
	}
	for name := range example.Values {
		if !slices.Contains([]string{"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "REKEY_ROTATION_SCHEDULE"}, name) {
			t.Errorf("%s is a setting that neither the program nor the host reads", name)
		}
	}
}

// The commands for AWS ask infra/azure for outputs too.
func TestAzureOutputsInTheREADMEForAWS(t *testing.T) {
	readme, err := os.ReadFile("../aws/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := parse(os.DirFS("../azure"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := load(blocks, required, afterwards)
	if err != nil {
		t.Fatal(err)
	}
	var f findings
	m.checkOutputs(&f, string(readme), commanded)
	if err := f.err(); err != nil || !strings.Contains(string(readme), "output -raw table_id") {
		t.Error(err)
	}
}
