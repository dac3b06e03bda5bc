package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
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
	code := source(t, "../../shared/rotation") + source(t, "../../shared/connection") + source(t, "../../functions/rotatedue")
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
