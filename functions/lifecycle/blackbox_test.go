package lifecycle_test

import (
	"os/exec"
	"strings"
	"testing"
)

// This package knows Rekey from outside only: of the module it is built of the emulators and
// nothing else, and of no SDK at all.
func TestBlackBox(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-test", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	emulators := 0
	for name := range strings.FieldsSeq(string(out)) {
		switch {
		case strings.HasPrefix(name, "rekey/shared/emulator/"):
			emulators++
		case strings.HasPrefix(name, "rekey/functions/lifecycle"):
		case strings.HasPrefix(name, "rekey/"), strings.Contains(name, "msgraph"), strings.Contains(name, "azure-sdk"),
			strings.Contains(name, "aws-"):
			t.Errorf("it depends on %s", name)
		}
	}
	if emulators == 0 {
		t.Error("no emulator among what it depends on: nothing was checked")
	}
}
