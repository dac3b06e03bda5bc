package lifecycle_test

import (
	"fmt"
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
		case strings.HasPrefix(name, "rekey/"), strings.Contains(name, "msgraph"), strings.Contains(name, "azure-sdk"), strings.Contains(name, "aws-"):
			t.Errorf("it depends on %s", name)
		}
	}
	if emulators == 0 {
		t.Error("no emulator among what it depends on: nothing was checked")
	}
}

// The search finds a value, whole or in part, in a log and in an answer, and the hint is none.
func TestLeaksAreFound(t *testing.T) {
	const value = "abc8Q~0123456789012345678901234567890123"
	for _, text := range []string{value, value[:20] + "...", "..." + value[20:]} {
		w := &watch{}
		w.issued(value)
		w.saw("answer", "the hint "+value[:3])
		if found := w.leaks(); len(found) != 0 {
			t.Errorf("found %q where there is nothing", found)
		}
		fmt.Fprintf(w, "level=INFO %s\n", text)
		w.saw("answer", text)
		if found := w.leaks(); len(found) != 2 || strings.Contains(strings.Join(found, ""), value) {
			t.Errorf("found %q, want it in log and answer", found)
		}
	}
}
