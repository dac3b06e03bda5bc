package lifecycle_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
	"rekey/shared/emulator/stack"
)

// signsIn asks the token endpoint whether value is a client secret of a.
func (w *world) signsIn(a directory.Application, value string) bool {
	w.Helper()
	ok, err := signsIn(w.services, a, value)
	if err != nil {
		w.Fatal(err)
	}
	return ok
}

func signsIn(s *stack.Stack, a directory.Application, value string) (bool, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS, DisableKeepAlives: true}}
	resp, err := client.PostForm(s.AuthorityURL+"/"+a.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {value},
		"scope": {"https://graph.microsoft.com/.default"},
	})
	if err != nil {
		return false, fmt.Errorf("asking the token endpoint: %w", err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK, nil
}

// published returns what consumers read; empty if there is nothing.
func (w *world) published(name string) string { return published(w.services, name) }

func published(s *stack.Stack, name string) string {
	versions := s.Vault.Versions(name)
	if len(versions) == 0 || s.Vault.Deleted(name) || !versions[len(versions)-1].Enabled {
		return ""
	}
	return versions[len(versions)-1].Value
}

// live returns the key ids of an application's client secrets, sorted.
func (w *world) live(a directory.Application) []string { return live(w.services, a) }

func live(s *stack.Stack, a directory.Application) []string {
	keys := []string{}
	for _, p := range s.Directory.Passwords(a.ObjectID) {
		keys = append(keys, p.KeyID)
	}
	slices.Sort(keys)
	return keys
}

// exactly requires that these are the client secrets of a.
func (w *world) exactly(a directory.Application, keys ...string) {
	w.Helper()
	slices.Sort(keys)
	if got := w.live(a); !slices.Equal(got, keys) {
		w.Errorf("live client secrets %v, want %v", got, keys)
	}
}

// works requires that what is published signs in as a, and returns it.
func (w *world) works(a directory.Application, name string) string {
	w.Helper()
	value := w.published(name)
	if value == "" {
		w.Fatalf("nothing is published under %q", name)
	}
	if !w.signsIn(a, value) {
		w.Errorf("what is published under %q does not sign in", name)
	}
	return value
}

// dead requires that none of these values signs in any more.
func (w *world) dead(a directory.Application, values ...string) {
	w.Helper()
	for i, value := range values {
		if w.signsIn(a, value) {
			w.Errorf("value %d still signs in", i+1)
		}
	}
}

// outside is everything that Rekey could have changed: one line for each thing, except the audit of
// the deployment, in which refusals are. The timer still tidies up when its rotations are done: that is waited for.
func (w *world) outside(apps ...directory.Application) []string {
	w.Helper()
	w.eventually("the end of the timer", w.platform.rests)
	all := []string{}
	for _, a := range apps {
		for _, key := range w.live(a) {
			all = append(all, "client secret "+key)
		}
	}
	for _, name := range w.services.Vault.Names() {
		for _, v := range w.services.Vault.Versions(name) {
			all = append(all, fmt.Sprintf("vault %s %s: enabled %t, deleted %t", name, v.ID, v.Enabled, w.services.Vault.Deleted(name)))
		}
	}
	for _, row := range w.services.Table.Rows("") {
		if !strings.HasPrefix(row.RowKey, "audit-") {
			all = append(all, fmt.Sprintf("row %s %s %s", row.PartitionKey, row.RowKey, row.ETag))
		}
	}
	return all
}

// untouched requires that nothing has changed outside.
func (w *world) untouched(what string, before []string, apps ...directory.Application) {
	w.Helper()
	after := w.outside(apps...)
	for _, line := range after {
		if !slices.Contains(before, line) {
			w.Errorf("%s: changed or new: %s", what, line)
		}
	}
	for _, line := range before {
		if !slices.Contains(after, line) {
			w.Errorf("%s: changed or gone: %s", what, line)
		}
	}
}

// guarded is an application whose published client secret has to work at every instant.
type guarded struct {
	app     directory.Application
	name    string // in the vault
	foreign string // key id of a client secret that is not Rekey's
}

// guards checks promises at every call that reaches a service, and lets calls fail.
type guards struct {
	services *stack.Stack

	mu   sync.Mutex
	list []guarded
	fail fault.Hook
	said []string
}

// guard checks from now on that what is published for a works and that the client secret
// with the key id foreign is left alone. [world.unguard] ends it.
func (w *world) guard(a directory.Application, name, foreign string) {
	w.guards.mu.Lock()
	defer w.guards.mu.Unlock()
	w.guards.list = append(w.guards.list, guarded{a, name, foreign})
}

func (w *world) unguard() {
	w.guards.mu.Lock()
	defer w.guards.mu.Unlock()
	w.guards.list = nil
}

// hook is asked before every call.
func (g *guards) hook(op string, r *http.Request) *fault.Effect {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range g.list {
		value := published(g.services, one.name)
		if value == "" || !g.services.Directory.Authenticates(one.app.ClientID, value) {
			g.said = append(g.said, "before "+op+": what is published under "+one.name+" does not work")
		}
		if one.foreign != "" && !slices.Contains(live(g.services, one.app), one.foreign) {
			g.said = append(g.said, "before "+op+": a client secret that is not Rekey's is gone")
		}
	}
	if g.fail == nil {
		return nil
	}
	return g.fail(op, r)
}

// broken returns the promises that were broken, each once.
func (g *guards) broken() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.said)
	return slices.Compact(g.said)
}

// faults makes calls fail by rules from now on, in place of earlier ones; without rules all
// is well again.
func (w *world) faults(rules ...fault.Rule) {
	w.Helper()
	schedule, err := fault.NewSchedule(fault.Plan{Rules: rules}, nil)
	if err != nil {
		w.Fatal(err)
	}
	w.failing(schedule.Hook)
}

func (w *world) failing(hook fault.Hook) {
	w.guards.mu.Lock()
	defer w.guards.mu.Unlock()
	w.guards.fail = hook
}

// onRemoval calls look before each removal of a client secret.
func (w *world) onRemoval(look func()) {
	w.failing(func(op string, _ *http.Request) *fault.Effect {
		if op == directory.OpRemovePassword {
			look()
		}
		return nil
	})
}

// proven watches what is published for a until stop is called, as a consumer does who
// reads it and signs in at once. The token endpoint that it asks learns late of what is new.
func (w *world) proven(a directory.Application, name string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pause := time.NewTicker(20 * time.Millisecond)
		defer pause.Stop()
		for {
			value := published(w.services, name)
			ok, err := signsIn(w.services, a, value)
			if err == nil && !ok && published(w.services, name) == value {
				w.guards.mu.Lock()
				w.guards.said = append(w.guards.said, "a consumer of "+name+" cannot sign in with what it reads")
				w.guards.mu.Unlock()
			}
			select {
			case <-pause.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// named reports whether the vault has a secret, live, whose name has this part.
func (w *world) named(part string) bool {
	return slices.ContainsFunc(w.kept(), func(name string) bool { return strings.Contains(name, part) })
}

// kept are the names of the vault's secrets that are not deleted.
func (w *world) kept() []string {
	return slices.DeleteFunc(w.services.Vault.Names(), w.services.Vault.Deleted)
}
