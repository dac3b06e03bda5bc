package stack_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"rekey/shared/emulator/stack"
)

// The search finds what it is to find: in a log and in an answer, whole or in part.
func TestLeaksAreFound(t *testing.T) {
	const value = "abc8Q~0123456789012345678901234567890123"
	quoted, err := json.Marshal(map[string]string{"message": "the secret " + value + " is wrong"})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"whole": string(quoted), "beginning": value[:20] + "...", "end": "..." + value[20:],
		"encoded": "Basic " + base64.StdEncoding.EncodeToString([]byte(value)),
	} {
		w := &stack.Watch{}
		w.Issued(value)
		w.Saw("answer", "nothing but the hint "+value[:3])
		if found := w.Leaks(); len(found) != 0 {
			t.Errorf("%s: found %q where there is nothing", name, found)
		}
		fmt.Fprintf(w, "level=INFO %s\n", text)
		w.Saw("answer", text)
		if found := w.Leaks(); len(found) != 2 || strings.Contains(strings.Join(found, ""), value) {
			t.Errorf("%s: found %q, want it in log and answer", name, found)
		}
	}
}
