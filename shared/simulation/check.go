package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/rotationtest"
	"rekey/shared/vaulttag"
)

// violate notes a broken promise, the first of its kind. The lock is held.
func (w *scene) violate(kind, format string, args ...any) {
	v := Violation{kind, fmt.Sprintf(format, args...), time.Since(w.began)}
	w.trace("VIOLATION %s: %s", kind, v.Detail)
	if !slices.ContainsFunc(w.found, func(o Violation) bool { return o.Kind == kind }) {
		w.found = append(w.found, v)
	}
}

// sent checks a write at the moment at which it reaches the service.
func (w *scene) sent(p *process, c call, ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch c.op {
	case "graph.add":
		v, ok := w.view(c.id)
		if !ok || v.marker != c.keyID {
			w.violate("intent-missing", "addPassword with a marker that is not in the record")
		}
		if until, ok := ctx.Deadline(); !ok || until.Add(p.skew).After(w.records[c.id].Lease.Until.Add(-29*time.Second)) {
			w.violate("lease-outlasted", "addPassword may outlast the lease")
		}
		w.leased(p, c.id, c.op)
	case "graph.remove":
		id, until := w.owner(c.keyID)
		w.leased(p, id, c.op)
		w.checkRetired(id, c.keyID)
		if until.After(time.Now().Add(2 * minute)) {
			w.violate("grace-ignored", "%s is removed %s before its grace period ends", c.keyID, time.Until(until))
		}
	case "vault.publish":
		w.leased(p, c.id, c.op)
		w.publishing(p, c)
	}
}

// owner returns the connection whose record lists a credential for removal, and until when
// it has to stay.
func (w *scene) owner(keyID string) (id string, until time.Time) {
	for _, id := range w.order {
		v, _ := w.view(id)
		for _, o := range v.leaving {
			if o.keyID == keyID {
				return id, o.until
			}
		}
		if slices.ContainsFunc(v.orphans, func(o orphan) bool { return o.keyID == keyID }) {
			return id, time.Time{}
		}
	}
	return "", time.Time{}
}

// leased checks that a pass that writes has the lease (promise P5).
func (w *scene) leased(p *process, id, op string) {
	if v, ok := w.view(id); ok && !strings.HasPrefix(v.lease, p.name) {
		w.violate("lease-not-held", "%s writes (%s) while the lease of %s is %q", p.name, op, id, v.lease)
	}
}

// publishing checks what is about to be published.
func (w *scene) publishing(p *process, c call) {
	v, ok := w.view(c.id)
	if !ok {
		return
	}
	truth, known := w.world.TruthOf(v.clientID, c.value)
	switch {
	case !known: // of an application from before, or of none
		return
	case !w.removed[truth.KeyID].IsZero():
		w.violate("published-again", "%s, which Rekey has removed %s ago, is published again", truth.KeyID, time.Since(w.removed[truth.KeyID]))
	case slices.ContainsFunc(v.leaving, func(o leavingSecret) bool { return o.keyID == truth.KeyID }):
		w.violate("published-retiring", "%s, which waits to be removed, is published again", truth.KeyID)
	}
	seen := 0
	for _, proof := range w.proven[c.value] {
		if proof.by == p && time.Since(proof.at) < 5*minute {
			seen++
		}
	}
	switch {
	case seen == 0:
		w.violate("published-unproven", "%s is published (phase %s), and this process has not seen it work", truth.KeyID, v.phase)
	case seen < 3 && v.publishing:
		w.violate("published-early", "%s is published after %d sign-ins that worked", truth.KeyID, seen)
	}
}

// after checks the promises after a write. The lock is held.
func (w *scene) after(p *process, c call, err error, late bool) {
	if err != nil && !late {
		return
	}
	switch c.op {
	case "graph.remove":
		if err == nil {
			w.removed[c.keyID] = time.Now()
			w.removedBy[c.keyID], _ = w.owner(c.keyID)
		}
	case "graph.add":
		w.adds[c.id] = append(w.adds[c.id], time.Now())
	case "store.commit", "store.create":
		w.checkSize(c.id)
		return
	}
	for _, v := range w.world.Violations() {
		switch kind, detail, _ := strings.Cut(v, ": "); {
		case kind == "P2":
			w.violate("foreign-removed", "%s", detail)
		case strings.Contains(detail, "outgrown"):
			w.violate("record-outgrown", "%s", detail)
		}
	}
	switch c.op {
	case "graph.remove", "vault.publish", "vault.disable", "vault.delete":
		for _, id := range w.order {
			if v, ok := w.view(id); ok {
				w.checkPublished(v, c.op)
				w.checkSignIn(v, c)
			}
		}
	}
}

// checkSize checks that the lists of a record stay short (promise P6).
func (w *scene) checkSize(id string) {
	v, ok := w.view(id)
	if !ok {
		return
	}
	if v.stale > 40 {
		w.violate("stale-grows", "%d staged versions wait to be disabled", v.stale)
	}
	if len(v.orphans) > 6 {
		w.violate("orphans-pile-up", "%d attempts that were given up wait to be removed", len(v.orphans))
	}
}

// published returns what is published for a connection, if Rekey has written that.
func (w *scene) published(v view) (latest rotation.VaultSecret, truth rotationtest.Truth, ok bool) {
	if v.clientID == "" {
		return latest, truth, false
	}
	latest, ok = w.world.Published(v.vaultName)
	if !ok || latest.Tags[vaulttag.Connection] != v.id {
		return latest, truth, false
	}
	truth, ok = w.world.TruthOf(v.clientID, latest.Value)
	return latest, truth, ok
}

// checkPublished checks promise P1: what is published was not removed, nor switched off.
func (w *scene) checkPublished(v view, op string) {
	latest, truth, ok := w.published(v)
	if !ok || v.deleting && v.revoke {
		return
	}
	if v.deleting && w.removedBy[truth.KeyID] != v.id {
		return // another connection has taken the application over
	}
	if at, gone := w.removed[truth.KeyID]; gone && latest.Enabled && !truth.RemovedAt.IsZero() {
		w.violate("published-removed", "after %s: what is published for %s was removed %s ago (phase %s)", op, v.id, time.Since(at), v.phase)
	}
	if !latest.Enabled && v.current != nil && v.current.version == latest.Version && !w.wrote[v.vaultName] {
		w.violate("published-disabled", "after %s: what is published for %s is disabled (phase %s)", op, v.id, v.phase)
	}
}

// checkSignIn checks that nothing that a connection signs in with was removed for another.
func (w *scene) checkSignIn(v view, c call) {
	if v.authVersion == "" || c.op != "graph.remove" {
		return
	}
	versions, _ := w.world.Versions(v.authName)
	for _, s := range versions {
		if s.Version != v.authVersion {
			continue
		}
		for _, slot := range w.slots {
			if truth, ok := w.world.TruthOf(slot.app.ClientID, s.Value); ok && truth.KeyID == c.keyID {
				w.violate("sign-in-removed", "what connection %s signs in with was removed", v.id)
			}
		}
	}
}

// answered checks how the API has answered. The lock is held.
func (w *scene) answered(p *process, s *slot, a Action, err error, start time.Time) {
	if took := time.Since(start); took > 65*time.Second && a.Do != "credentials" && w.calm(5*minute) {
		w.violate("request-slow", "%s took %s", a.Do, took)
	}
	switch {
	case a.Do == "create" && isConflict(err) && w.free(s) && w.calm(15*minute):
		w.violate("create-refused", "%s does not exist, and nothing else has its application, but creating it is refused: %v", s.name, err)
	case a.Do == "credentials" && err == nil:
		if s.broken && strings.Contains("new new+key unhinted", a.What) { // any other is known to Rekey and changes nothing
			s.broken, s.mended = false, time.Now()
		}
	case a.Do == "delete" && err == nil && w.calm(0):
		for _, id := range s.ids {
			if v, ok := w.view(id); ok && (v.deleting || v.pending == "delete") {
				w.expects = append(w.expects, expectation{kind: "delete-slow", id: id, from: time.Now()})
			}
		}
	}
	if a.Do == "abandon" || a.Do == "credentials" || a.Do == "rotation-off" {
		w.expects = slices.DeleteFunc(w.expects, func(e expectation) bool { return e.kind != "delete-slow" && slices.Contains(s.ids, e.id) })
	}
}

// free reports whether no record is in the way of creating a slot's connection.
func (w *scene) free(s *slot) bool {
	for _, o := range w.slots {
		for _, id := range o.ids {
			if _, there := w.view(id); there && (o == s || o.app.Same(s.app)) {
				return false
			}
		}
	}
	return true
}
