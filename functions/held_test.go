package functions_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"rekey/shared/auth"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// While another service takes its time nothing is held that others could wait for, no
// transaction and no lock: at each call of a rotation, before it is answered, a caller
// changes the connection, is answered at once, and neither loses anything by it.
func TestNothingIsHeldDuringACall(t *testing.T) {
	t.Parallel()
	const patience = 14 * time.Second // less than the call has, during which the change is made
	w := newWorld(t, options{})
	a, made := w.connected()
	var mu sync.Mutex
	changed, days := map[string]int{}, 30
	w.stack.Break(func(op string, _ *http.Request) *fault.Effect {
		if below("table")(op) {
			return nil // what a change needs itself
		}
		mu.Lock()
		defer mu.Unlock()
		if changed[op] != 0 {
			return nil
		}
		days++
		changed[op] = days
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		got, err := w.try(w.request(auth.Write, http.MethodPatch, secrets+"/"+made.ID,
			object{"rotation": object{"rotationInterval": days}}).WithContext(ctx))
		if err != nil || got.status != http.StatusOK {
			t.Errorf("a change during %s: %v, status %d: %s", op, err, got.status, got.body)
		}
		return nil
	})
	w.rotateNow(made.ID).ok(t)
	w.settle()
	w.stack.Break(nil)
	mu.Lock()
	defer mu.Unlock()
	for _, op := range []string{directory.OpToken, directory.OpAddPassword, directory.OpRemovePassword, "vault.set", "vault.get"} {
		if changed[op] == 0 {
			t.Errorf("there was no call of %s: %v", op, changed)
		}
	}
	after := w.one(w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil))
	if after.Rotation.RotationInterval != days || after.Version != made.Version+int64(len(changed)) {
		t.Errorf("interval %d and version %d after %d changes from version %d on; the last was %d", after.Rotation.RotationInterval,
			after.Version, len(changed), made.Version, days)
	}
	if run := after.Rotation.LastRun; run.Trigger != "manual" || run.Outcome != "success" {
		t.Errorf("the rotation meanwhile: %+v", run)
	}
	w.managed(a, made.VaultSecretName, after.Rotation.Current.KeyID)
}
