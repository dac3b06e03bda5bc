package lifecycle_test

import (
	"net/http"
	"slices"
	"testing"

	"rekey/shared/emulator/fault"
)

// Services that fail while a connection is made: it is refused as the services' fault, nothing
// is left of it, and once they are back it can be made.
func TestServicesDownDuringCreation(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]fault.Rule{
		"vault down":    {Op: "vault.set", Kind: fault.BusySilently},
		"vault refuses": {Op: "vault.*", Kind: fault.PermissionRemoved},
		"Graph down":    {Op: "graph.*", Kind: fault.BusySilently},
		"table down":    {Op: "table.*", Kind: fault.BusySilently},
		"Entra down":    {Op: "entra.token", Kind: fault.BusySilently},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, []string{builtIn}, options{}, func(w *world) {
				a := w.sample()
				w.faults(rule)
				got := w.call("rotate", http.MethodPost, secrets, creation(a, object{"vaultSecretName": "billing-secret"}))
				if got.status < 500 && rule.Kind != fault.PermissionRemoved || got.status < 400 {
					t.Errorf("a service's fault is answered with %d: %s", got.status, got.body)
				}
				w.exactly(a, a.KeyID)
				if w.published("billing-secret") != "" {
					t.Error("something is published")
				}
				w.faults()
				var made view
				w.until("the creation after all", func() bool {
					got := w.call("rotate", http.MethodPost, secrets, creation(a, object{"vaultSecretName": "billing-secret"}))
					if got.status == http.StatusOK {
						made = w.one(got)
					}
					return got.status == http.StatusOK
				})
				now := w.settled(secrets + "/" + made.ID)
				w.exactly(a, now.key())
				w.dead(a, a.Secret)
				w.works(a, "billing-secret")
				if names := w.names(); !slices.Equal(names, []string{"billing"}) {
					t.Errorf("there are %v", names)
				}
			})
		})
	}
}

// Services that fail in the middle of a rotation: what is published works all the time, the
// connection says that something is wrong, and a request after they are back ends it.
func TestServicesDownDuringRotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule fault.Rule
		says bool // the connection shows the failure
	}{
		"Graph down":                      {fault.Rule{Op: "graph.addPassword", Kind: fault.BusySilently}, true},
		"permission taken away":           {fault.Rule{Op: "graph.*", Kind: fault.PermissionRemoved}, true},
		"policy forbids":                  {fault.Rule{Op: "graph.addPassword", Kind: fault.PolicyForbidden}, true},
		"vault down":                      {fault.Rule{Op: "vault.set", Kind: fault.BusySilently}, true},
		"new client secret refused twice": {fault.Rule{Op: "entra.token", Kind: fault.SecretRefused, Nth: 2, Count: 2}, false},
		"one lost answer of the vault":    {fault.Rule{Op: "vault.set", Kind: fault.LostResponse, Nth: 2}, false},
		"removal refused once":            {fault.Rule{Op: "graph.removePassword", Kind: fault.BusySilently, Nth: 1}, false},
		"one lost answer to a removal":    {fault.Rule{Op: "graph.removePassword", Kind: fault.LostResponse, Nth: 1}, false},
		"one lost answer of the table":    {fault.Rule{Op: "table.batch", Kind: fault.TimeoutAfterCommit, Nth: 2}, false},
		"one slow answer":                 {fault.Rule{Op: "graph.addPassword", Kind: fault.SlowAnswer, Nth: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, []string{builtIn}, options{}, func(w *world) {
				a := w.sample()
				foreign, _ := w.password(a, inAYear())
				path, made := w.connect(a, object{"rotation": daily()})
				w.guard(a, made.VaultSecretName, foreign)
				w.faults(c.rule)
				w.call("rotate", http.MethodPost, path+"/rotate-credentials", nil)
				if c.says {
					w.says(path, made.key())
					if w.works(a, made.VaultSecretName); !slices.Contains(w.live(a), made.key()) {
						t.Error("the current client secret is gone")
					}
				}
				w.settledOr(path, c.says)
				w.faults()
				if w.get(path).key() == made.key() {
					w.rotate(path, nil)
				}
				now := w.settled(path)
				w.exactly(a, now.key(), foreign)
				w.works(a, made.VaultSecretName)
				if now.key() == made.key() {
					t.Error("nothing was rotated")
				}
				if runs, _ := w.history(path); len(runs) < 2 || runs[len(runs)-1].Outcome != "success" {
					t.Errorf("history %+v", runs)
				}
			})
		})
	}
}

// says waits until the connection shows that its rotation has failed or is held up.
func (w *world) says(path, current string) {
	w.Helper()
	w.until("the failure shows", func() bool {
		now := w.get(path)
		if now.key() != current {
			w.Fatalf("rotated in spite of the fault: %+v", now.Rotation)
		}
		return now.Rotation.RotationStatus != nil && *now.Rotation.RotationStatus != "success" || len(now.Attention) > 0 || !now.Rotation.Settled
	})
}

// settledOr lets the timer run until the connection is settled, unless a fault that lasts is in
// the way.
func (w *world) settledOr(path string, lasts bool) {
	w.Helper()
	if !lasts {
		w.settled(path)
		return
	}
	w.tick()
}
