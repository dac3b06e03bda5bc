package main_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/directory"
)

var (
	kills = flag.Int("kills", 20, "how often TestKill kills the handler")
	seed  = flag.Uint64("seed", 0, "of TestKill's choices; 0: a new one")
)

// victim is an application and the connection that takes it over.
type victim struct {
	app     directory.Application
	name    string
	foreign string // key id of another owner's secret
}

func (w *world) newVictim(t *testing.T, name string) victim {
	t.Helper()
	app, err := w.AddSample(name)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := w.Directory.AddPassword(app.ObjectID, "another owner's", time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return victim{app, name, foreign}
}

func (v victim) create() map[string]any {
	return map[string]any{
		"name": v.name, "method": "client-secret",
		"credentials": map[string]any{"tenantId": v.app.TenantID, "clientId": v.app.ClientID, "clientSecret": v.app.Secret,
			"clientSecretKeyId": v.app.KeyID},
		"isAutoRotationEnabled": true,
		"rotation": map[string]any{"rotationInterval": 30, "rotateAtUtc": map[string]int{"hours": 3, "minutes": 0},
			"gracePeriodHours": 0},
	}
}

// TestKill kills the handler at random writes of creations and rotations, starts it
// again, and lets the timer run: afterwards either nothing has happened, or exactly
// one live managed credential is published and works, and the original has gone.
// Nothing foreign is ever touched.
func TestKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.newInstance(t)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	choose := rand.New(rand.NewPCG(*seed, 1))

	// Once without a kill, to learn which writes there are.
	v := w.newVictim(t, "clean")
	w.writes.arm(0, "", nil)
	w.do(t, h, v, "create")
	creation := w.writes.since()
	w.judge(t, h, v, true)
	w.writes.arm(0, "", nil)
	w.do(t, h, v, "rotate")
	rotation := w.writes.since()
	w.judge(t, h, v, true)
	t.Logf("a creation makes %d writes, a rotation %d", len(creation), len(rotation))

	creationOrder, rotationOrder := spread(choose, creation), spread(choose, rotation)
	outcomes := map[string]int{}
	for n := range *kills {
		what, order, i := "create", creationOrder, n/2
		if n%2 == 1 {
			what, order = "rotate", rotationOrder
		}
		if what == "create" {
			v = w.newVictim(t, fmt.Sprintf("victim-%d", n))
		} else if !w.exists(t, h, v) {
			v = w.newVictim(t, fmt.Sprintf("substitute-%d", n)) // the last creation was undone
			w.writes.arm(0, "", nil)
			w.do(t, h, v, "create")
			w.judge(t, h, v, true)
		}
		at, when := order[i%len(order)], beforeWrite
		if choose.IntN(2) == 1 {
			when = afterWrite
		}
		w.writes.arm(at, when, h.kill)
		w.do(t, h, v, what)
		outcomes[what+": "+w.judge(t, h, v, what == "rotate")]++
		if t.Failed() {
			t.Logf("the handler's log:\n%s", h.output())
			t.Fatalf("kill %d: %s, write %d, %s; writes: %v", n, what, at, when, w.writes.since())
		}
	}
	t.Logf("%d kills: %v; outcomes: %v", *kills, w.writes.kills(), outcomes)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(creation, rotation...)))) {
		if w.writes.kills()[name] == 0 {
			t.Errorf("no kill at %s", name)
		}
	}
}

// spread orders the writes so that the first of each kind come early: few kills
// then reach every kind, and many reach every write.
func spread(choose *rand.Rand, writes []string) []int {
	byKind := map[string][]int{}
	for i, name := range writes {
		byKind[name] = append(byKind[name], i+1)
	}
	kinds := make([]string, 0, len(byKind))
	for kind, list := range byKind {
		choose.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	choose.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	var order []int
	for round := 0; len(order) < len(writes); round++ {
		for _, kind := range kinds {
			if round < len(byKind[kind]) {
				order = append(order, byKind[kind][round])
			}
		}
	}
	return order
}

// do asks for a creation or a rotation, and goes on, with the process started again
// when it dies, until everything is quiet.
func (w *world) do(t *testing.T, h *instance, v victim, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if what == "create" {
		h.call(ctx, http.MethodPost, "/azure-client-secrets", v.create(), nil) // it may die: that is the point
	} else {
		var one struct{ AppConnection shown }
		if status, err := h.call(ctx, http.MethodGet, "/azure-client-secrets/connection-name/"+v.name, nil, &one); err != nil ||
			status != http.StatusOK {
			t.Fatalf("looking for %s: %d %v", v.name, status, err)
		}
		h.call(ctx, http.MethodPost, "/azure-client-secrets/"+one.AppConnection.ID+"/rotate-credentials", nil, nil)
	}
	for quiet := 0; quiet < 3; {
		if ctx.Err() != nil {
			t.Fatalf("%s of %s does not come to rest\n%s", what, v.name, h.output())
		}
		if !h.alive() {
			w.bury(ctx, t)
			h.start()
		}
		before := len(w.writes.since())
		if err := h.tick(ctx); err != nil {
			continue
		}
		if quiet++; len(w.writes.since()) != before || !w.atRest(ctx, h, v) {
			quiet = 0
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// atRest reports whether nothing is left to wait for.
func (w *world) atRest(ctx context.Context, h *instance, v victim) bool {
	var one struct{ AppConnection shown }
	status, err := h.call(ctx, http.MethodGet, "/azure-client-secrets/connection-name/"+v.name, nil, &one)
	if err != nil {
		return false
	}
	if status == http.StatusNotFound {
		return w.managed(v) == 0 && len(w.Vault.Names()) >= 0 && !w.halfMade(v)
	}
	r := one.AppConnection.Rotation
	return r.Settled && len(r.Retiring) == 0
}

// halfMade reports whether the vault holds a live secret of an application without
// a connection: its undoing is still under way.
func (w *world) halfMade(v victim) bool {
	for _, name := range w.Vault.Names() {
		if w.Vault.Deleted(name) {
			continue
		}
		if all := w.Vault.Versions(name); len(all) > 0 && all[len(all)-1].Tags["rekey-client-id"] == v.app.ClientID {
			return true
		}
	}
	return false
}

// managed counts the live credentials that Rekey issued.
func (w *world) managed(v victim) (n int) {
	for _, p := range w.Directory.Passwords(v.app.ObjectID) {
		if strings.HasPrefix(p.DisplayName, "rekey/") {
			n++
		}
	}
	return n
}

func (w *world) exists(t *testing.T, h *instance, v victim) bool {
	t.Helper()
	status, err := h.call(t.Context(), http.MethodGet, "/azure-client-secrets/connection-name/"+v.name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return status == http.StatusOK
}

// judge checks the ground truth, and says which of the two good ends it is.
func (w *world) judge(t *testing.T, h *instance, v victim, mustExist bool) string {
	t.Helper()
	live := map[string]bool{}
	for _, p := range w.Directory.Passwords(v.app.ObjectID) {
		live[p.KeyID] = true
	}
	if !live[v.foreign] {
		t.Errorf("%s: the foreign client secret is gone", v.name)
	}
	var one struct{ AppConnection shown }
	status, err := h.call(t.Context(), http.MethodGet, "/azure-client-secrets/connection-name/"+v.name, nil, &one)
	if err != nil {
		t.Fatal(err)
	}
	if status == http.StatusNotFound {
		if mustExist {
			t.Errorf("%s: the connection is gone", v.name)
		}
		if !live[v.app.KeyID] || w.managed(v) != 0 || w.halfMade(v) {
			t.Errorf("%s was undone; original live: %t, managed: %d, vault secret left: %t", v.name, live[v.app.KeyID], w.managed(v), w.halfMade(v))
		}
		return "undone"
	}
	c := one.AppConnection
	if live[v.app.KeyID] || w.managed(v) != 1 || !live[c.Rotation.Current.KeyID] {
		t.Errorf("%s: original live: %t, managed: %d, current live: %t", v.name, live[v.app.KeyID], w.managed(v), live[c.Rotation.Current.KeyID])
	}
	all := w.Vault.Versions(c.VaultSecretName)
	if len(all) == 0 {
		t.Errorf("%s: nothing is published", v.name)
		return "broken"
	}
	last := all[len(all)-1]
	if !last.Enabled || last.Tags["rekey-key-id"] != c.Rotation.Current.KeyID || !w.Directory.Authenticates(v.app.ClientID, last.Value) {
		t.Errorf("%s: what is published is not the current credential, or does not work", v.name)
	}
	return "managed"
}
