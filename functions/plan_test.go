package functions_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"rekey/shared/auth"
	"rekey/shared/emulator/fault"
)

// The calls that a dry run names are made by the rotation that follows, and it writes
// nothing to Entra or the vault that was not named.
func TestDryRunNamesTheCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a, made := w.connected()
	path := secrets + "/" + made.ID + "/rotate-credentials"
	plan := decode[struct {
		Plan struct{ Steps []struct{ Calls []string } }
	}](t, w.call(auth.Rotate, http.MethodPost, path, object{"dryRun": true, "gracePeriodHours": 0})).Plan
	var named []string
	for _, step := range plan.Steps {
		named = append(named, step.Calls...)
	}

	services := map[string]string{"entra": "Entra", "graph": "Graph", "vault": "Key Vault"}
	general := strings.NewReplacer("/v1.0/", "/", a.ObjectID, "{id}", w.stack.TenantID, "{tenant}")
	version := regexp.MustCompile("^(/secrets/[^/]+/)[0-9a-f]{32}$")
	var mu sync.Mutex
	calls := map[string]bool{} // whether it writes
	w.stack.Break(func(op string, r *http.Request) *fault.Effect {
		if service, _, _ := strings.Cut(op, "."); services[service] != "" {
			mu.Lock()
			defer mu.Unlock()
			call := services[service] + ": " + r.Method + " " + version.ReplaceAllString(general.Replace(r.URL.Path), "${1}{version}")
			calls[call] = slices.Contains([]string{"graph.addPassword", "graph.removePassword", "vault.set"}, op)
		}
		return nil
	})
	w.rotateNow(made.ID).ok(t)
	w.settle()
	w.stack.Break(nil)
	mu.Lock()
	defer mu.Unlock()
	for _, call := range named {
		if _, ok := calls[call]; !ok {
			t.Errorf("named, and not made: %s", call)
		}
	}
	for call, writes := range calls {
		if writes && !slices.Contains(named, call) {
			t.Errorf("made, and not named: %s", call)
		}
	}
	if len(named) == 0 || t.Failed() {
		t.Errorf("named %q, made %v", named, calls)
	}
}
