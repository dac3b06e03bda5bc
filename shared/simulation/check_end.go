package simulation

import (
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/vaulttag"
)

type truth = rotationtest.Truth

// checkEnd checks what has to hold once nothing has disturbed Rekey for days.
func (w *scene) checkEnd() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slots {
		for _, id := range s.ids {
			if v, ok := w.view(id); ok {
				w.checkSettled(s, v)
			}
			if oldest, ok := w.world.OldestHistory(id); ok && time.Since(oldest) > 420*day {
				w.violate("history-kept", "%s: history is kept for %s", s.name, time.Since(oldest).Truncate(day))
			}
		}
	}
}

// checkSettled checks one connection.
func (w *scene) checkSettled(s *slot, v view) {
	switch {
	case v.deleting:
		w.violate("end-deleting", "%s: a deletion has not ended after %s of quiet (phase %s)", s.name, quiet, v.phase)
		return
	case s.broken || w.slot("parent").broken:
		return
	case v.lease != "" && !w.dueSoon(v):
		w.violate("end-lease", "%s: the lease was not given back", s.name)
	case w.h.Personal && slices.Contains(v.attention, "failing"): // there is no room
		return
	case w.h.Shape == ShapeOwn && slices.Contains(v.attention, "expired"): // nothing is left to sign in with
		return
	case !v.idle || v.pending != "":
		w.violate("end-unsettled", "%s: phase %s, pending %q, attention %v", s.name, v.phase, v.pending, v.attention)
		return
	}
	if v.clientID == "" {
		return
	}
	if len(v.orphans) > 0 {
		w.violate("end-orphans-listed", "%s: %d attempts that were given up are still listed", s.name, len(v.orphans))
	}
	w.checkOrphans(s, v)
	w.checkRetirement(s, v)
	w.checkVaultEnd(s, v)
}

// dueSoon reports whether a pass is at work just now.
func (w *scene) dueSoon(v view) bool {
	at, ok := w.world.DueAt(v.id)
	return ok && time.Until(at) < 6*minute
}

// checkOrphans looks for credentials that were issued and forgotten.
func (w *scene) checkOrphans(s *slot, v view) {
	for _, t := range w.world.Truths(v.clientID) {
		known := v.current != nil && v.current.keyID == t.KeyID || slices.Contains(v.byHand, t.KeyID) ||
			slices.Contains(v.byHand, t.DisplayName) ||
			slices.ContainsFunc(v.leaving, func(o leavingSecret) bool { return o.keyID == t.KeyID }) ||
			slices.ContainsFunc(v.orphans, func(o orphan) bool { return o.marker == t.DisplayName })
		if t.Issued && t.Live(time.Now()) && !known && strings.HasPrefix(t.DisplayName, rotation.MarkerPrefix(rotationtest.Deployment, v.id)) {
			w.violate("end-orphan", "%s: %s is alive and not in the record", s.name, t.DisplayName)
		}
	}
}

// checkVaultEnd checks that current is what is published and works, and that nothing else
// is enabled.
func (w *scene) checkVaultEnd(s *slot, v view) {
	latest, t, ok := w.published(v)
	switch {
	case v.current == nil:
		if v.enabled && !s.lifetime {
			w.violate("end-nothing", "%s: nothing was published (attention %v)", s.name, v.attention)
		}
		return
	case w.wrote[v.vaultName]: // an operator's version stays until the next removal or rotation
		return
	case !ok:
		w.violate("end-unpublished", "%s: what is published is not a secret of the connection", s.name)
		return
	case v.current.keyID != "" && t.KeyID != v.current.keyID || v.current.keyID == "" && !w.sameValue(v, latest):
		// A write that lands late makes another version of the same value.
		w.violate("end-other-published", "%s: what is published is not current", s.name)
	case !t.RemovedAt.IsZero() && !w.removed[t.KeyID].IsZero():
		w.violate("end-dead", "%s: what is published was removed", s.name)
	case !t.ExpiresAt.After(time.Now()) && v.enabled && !s.lifetime && !w.helpless(s, t.ExpiresAt):
		w.violate("end-expired", "%s: what is published has expired while rotation is on", s.name)
	}
	staged, deleted := w.world.Versions(v.vaultName + "-staged")
	for _, o := range staged {
		if o.Enabled && !deleted {
			w.violate("end-staged-enabled", "%s: a staged version is still enabled (stale %d)", s.name, v.stale)
		}
	}
}

// checkGone checks that nothing is left of what was deleted.
func (w *scene) checkGone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slots {
		for _, id := range s.ids {
			if v, ok := w.view(id); ok {
				w.violate("delete-stuck", "%s: the record is there %s after its deletion (phase %s, pending %q, attention %v)", s.name, quiet,
					v.phase, v.pending, v.attention)
				continue
			}
			w.checkLeft(s, id)
		}
	}
}

// checkLeft looks for what a deleted connection has left.
func (w *scene) checkLeft(s *slot, id string) {
	if at, ok := w.world.DueAt(id); ok {
		w.violate("left-due", "%s: a due row is left: %s", s.name, at)
	}
	kept := "" // what is published stays unless it was to be revoked
	if latest, ok := w.world.Published("rekey-" + id); ok {
		kept = latest.Value.Reveal()
	}
	for _, t := range w.world.Truths(s.app.ClientID) {
		ours := t.Issued && strings.HasPrefix(t.DisplayName, rotation.MarkerPrefix(rotationtest.Deployment, id))
		if ours && t.Live(time.Now()) && t.Value.Reveal() != kept && !s.broken && !w.toldByHand[t.KeyID] &&
			!w.toldByHand[t.DisplayName] && !w.everPublished[t.KeyID] {
			w.violate("left-orphan", "%s: %s is alive after the connection was deleted", s.name, t.DisplayName)
		}
	}
	for _, name := range []string{"rekey-" + id + "-staged", "rekey-" + id + "-auth"} {
		if v, ok := w.world.Published(name); ok && v.Tags[vaulttag.Connection] == id {
			w.violate("left-vault", "%s: the vault secret %s is left", s.name, name)
		}
	}
}

// checkLeaks checks that no value got into the table or the log (promise P4).
func (w *scene) checkLeaks() {
	if w.h.Seed%leakEvery != 0 {
		return
	}
	w.world.CheckLeaks()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.world.Violations() {
		if strings.HasPrefix(v, "P4") {
			w.violate("leak", "%s", v)
		}
	}
}

// sameValue reports whether a version of the published secret has the value of current's.
func (w *scene) sameValue(v view, latest rotation.VaultSecret) bool {
	versions, _ := w.world.Versions(v.vaultName)
	return slices.ContainsFunc(versions,
		func(o rotation.VaultSecret) bool { return o.Version == v.current.version && o.Value == latest.Value })
}
