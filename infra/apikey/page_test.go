package main

import (
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/config"
)

var keyForm = regexp.MustCompile(`^rk_[A-Za-z0-9_-]{43}$`)

// docs/install.md makes a key without Go. What its lines print is an entry that the settings take, and the key gets in.
func TestKeyWithoutGo(t *testing.T) {
	page, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```sh\nREKEY_API_KEY=")
	block, _, ends := strings.Cut(block, "```")
	if !found || !ends {
		t.Fatal("docs/install.md has no lines that make REKEY_API_KEY any more")
	}
	keys := map[string]bool{} // several: most have no character of base64 that the key may not have
	for range 8 {
		printed, err := exec.Command("bash", "-euo", "pipefail", "-c", "REKEY_API_KEY="+block+`echo "$REKEY_API_KEY"`).CombinedOutput()
		if err != nil {
			t.Fatalf("the lines that make a key: %v\n%s", err, printed)
		}
		lines := strings.Fields(string(printed))
		if len(lines) != 2 {
			t.Fatalf("they print %q, want an entry and here the key", printed)
		}
		entry, key := lines[0], lines[1]
		c, err := config.Load(func(name string) (string, bool) {
			set := map[string]string{"REKEY_API_KEYS": entry, "REKEY_TABLE_SERVICE": "https://name.table.core.windows.net",
				"REKEY_KEY_VAULT_URL": "https://name.vault.azure.net"}
			return set[name], set[name] != ""
		})
		if err != nil {
			t.Fatalf("the entry %s: %v", entry, err)
		}
		a := &auth.Authenticator{Keys: c.Callers.Keys}
		caller, err := a.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + key}}})
		if err != nil || caller.Name != "operator" || caller.Role != auth.Rotate {
			t.Errorf("the key %s: caller %+v, %v", key, caller, err)
		}
		if !keyForm.MatchString(key) {
			t.Errorf("the key is %s", key)
		}
		keys[key] = true
	}
	if len(keys) != 8 {
		t.Errorf("keys repeat: %v", slices.Collect(maps.Keys(keys)))
	}
}
