package rotationtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"rekey/shared/reservation"
	"rekey/shared/secret"

	"rekey/shared/rotation"
)

// LoseTable takes rows away as a disaster does: the records that keep does not say to
// keep, with their wake-ups, history and reservations. A nil keep keeps nothing.
// Processes that are alive go on, with what they have in memory.
func (w *World) LoseTable(keep func(id string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lost := func(id string) bool { return keep == nil || !keep(id) }
	maps.DeleteFunc(w.Store.rows, func(id string, _ row) bool { return lost(id) })
	maps.DeleteFunc(w.Store.due, func(id string, _ time.Time) bool { return lost(id) })
	maps.DeleteFunc(w.Store.history, func(id string, _ []historyRow) bool { return lost(id) })
	maps.DeleteFunc(w.Store.former, func(id string, _ formerRow) bool { return lost(id) })
	maps.DeleteFunc(w.Store.reserved, func(_ string, r reservation.Row) bool { return lost(r.Owner) })
}

// Purge takes a soft-deleted secret away for good, as the end of its retention does.
func (w *World) Purge(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.Vault.secrets[strings.ToLower(name)]; s != nil && s.deletedAt != nil {
		delete(w.Vault.secrets, strings.ToLower(name))
	}
}

// Reserved returns who holds the reservations, by what they are of, without those that
// many may have.
func (w *World) Reserved() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]string{}
	for key, r := range w.Store.reserved {
		if !r.Kind.Shared() {
			all[key] = r.Owner
		}
	}
	for _, c := range w.Store.claims {
		all[string(c.Kind)+" "+c.App+" "+c.Owner] = c.Owner
	}
	return all
}

// AddMarked gives an application a client secret that bears a marker of ours and of
// which nothing but that name tells that Rekey issued it.
func (w *World) AddMarked(clientID, marker string) (keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ago := time.Now().Add(-time.Hour)
	return w.Directory.add(w.Directory.byClient(clientID), marker, ago, ago.AddDate(1, 0, 0)).KeyID
}

// IsLive reports whether a client secret is there, by ground truth.
func (w *World) IsLive(keyID string) (live bool) {
	w.changePassword(keyID, func(p *password) { live = p.removedAt == nil && p.ExpiresAt.After(time.Now()) })
	return live
}

// WholeVault is a vault that can be listed.
type WholeVault interface {
	VaultPort
	// All returns the latest version of every secret that is not deleted, without
	// values and version ids.
	All(ctx context.Context) ([]rotation.VaultSecret, error)
}

// WholeVault returns the vault as the process that is alive sees it.
func (w *World) WholeVault() WholeVault {
	w.mu.Lock()
	defer w.mu.Unlock()
	return vaultPort{w.Vault, port{w, w.process}}
}

// All implements [WholeVault].
func (v vaultPort) All(ctx context.Context) (all []rotation.VaultSecret, err error) {
	err = v.p.read(ctx, "vault.all", "", func() error {
		if err := v.check("listing the vault's secrets", "any"); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(v.v.secrets)) {
			have := v.v.secrets[name]
			if have.deletedAt != nil || len(have.versions) == 0 {
				continue
			}
			s := have.versions[len(have.versions)-1]
			s.Value, s.Version, s.Tags = secret.Value{}, "", maps.Clone(s.Tags)
			all = append(all, s)
		}
		return nil
	})
	return all, err
}
