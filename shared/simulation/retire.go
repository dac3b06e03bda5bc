package simulation

import (
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
)

// retirement is what is remembered of a target that was created to retire client secrets.
type retirement struct {
	keyIDs    []string
	grace     time.Duration
	hurried   bool      // a caller has asked for what may end the grace period, or make it shorter
	published time.Time // what takes their place; zero: nothing so far
	unwanted  bool      // a deletion was asked for before
}

// follow takes note of a record as it was stored.
func (r *retirement) follow(v view) {
	switch {
	case !r.published.IsZero():
	case v.current != nil:
		r.published = time.Now()
	default:
		r.unwanted = r.unwanted || v.pending == "delete" || v.deleting
	}
}

// retire chooses what a target retires: half of what its application has. Rekey may remove that
// for this connection from now on.
func (w *scene) retire(s *slot, id string, grace time.Duration) (keyIDs []string) {
	for _, t := range w.world.Truths(s.app.ClientID) {
		if t.Live(time.Now()) && w.draw("retire", id, t.KeyID)%2 == 0 {
			keyIDs = append(keyIDs, t.KeyID)
			w.world.Name(t.KeyID)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retirements[id] = &retirement{keyIDs: keyIDs, grace: grace}
	return keyIDs
}

// hurry notes a request that may make a grace period shorter.
func (w *scene) hurry(id, do string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.retirements[id]; a != nil && slices.Contains([]string{"rotate", "emergency", "grace", "delete"}, do) {
		a.hurried = true
	}
}

// checkRetired checks a removal for a target: of what Rekey did not issue for it, it removes what its
// creator has named, once the grace period after its first publication is over. The lock is held.
func (w *scene) checkRetired(id, keyID string) {
	s := w.slotOf(id)
	if s == nil || s.name != "target" && s.name != "other" {
		return
	}
	ours := rotation.MarkerPrefix(rotationtest.Deployment, id)
	if slices.ContainsFunc(w.world.Truths(s.app.ClientID), func(t truth) bool {
		return t.KeyID == keyID && strings.HasPrefix(t.DisplayName, ours)
	}) {
		return
	}
	a := w.retirements[id]
	switch {
	case a == nil || !slices.Contains(a.keyIDs, keyID):
		w.violate("retired-unasked", "%s: %s is removed, which was not issued for it and not named", s.name, keyID)
	case a.published.IsZero() || a.unwanted:
		w.violate("retired-early", "%s: %s is removed, and nothing has taken its place", s.name, keyID)
	case !a.hurried && time.Since(a.published) < a.grace-2*minute: // by clocks that differ
		w.violate("retired-early", "%s: %s is removed %s after the first publication, with a grace period of %s", s.name, keyID,
			time.Since(a.published), a.grace)
	}
}

// checkRetirement checks that what a target retires is gone, or is known to be on its way.
func (w *scene) checkRetirement(s *slot, v view) {
	a := w.retirements[v.id]
	if a == nil || v.current == nil || a.unwanted {
		return
	}
	if len(v.retires) > 0 {
		w.violate("retired-never", "%s: it has published and still waits to retire %v", s.name, v.retires)
	}
	for _, t := range w.world.Truths(v.clientID) {
		known := slices.Contains(v.byHand, t.KeyID) || slices.ContainsFunc(v.leaving, func(o leavingSecret) bool { return o.keyID == t.KeyID })
		if slices.Contains(a.keyIDs, t.KeyID) && t.RemovedAt.IsZero() && !known {
			w.violate("retired-never", "%s: %s is alive and not in the record", s.name, t.KeyID)
		}
	}
}
