package rotationtest

import (
	"encoding/json"
	"fmt"
	"strings"

	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/vaulttag"
)

// check checks the promises that hold at every instant. The lock is held.
func (w *World) check(op string) {
	if w.outside || w.AtEnd {
		return
	}
	for id, r := range w.Store.rows {
		rec := r.record()
		s := w.Vault.secrets[strings.ToLower(rec.VaultName)]
		if s == nil || s.deletedAt != nil || len(s.versions) == 0 {
			continue
		}
		latest := s.versions[len(s.versions)-1]
		if latest.Tags[vaulttag.Connection] != id {
			continue
		}
		if rec.Phase == rotation.Deleting && rec.Current == nil {
			continue // everything goes
		}
		if !latest.Enabled && rec.Current == nil {
			continue // nothing was published before, and nothing is now
		}
		if !latest.Enabled || !w.Directory.live(latest.Tags[vaulttag.Client], latest.Value.Reveal()) {
			w.violate(fmt.Sprintf("P1: after %s: what is published for %s does not authenticate (phase %s)", op, id, rec.Phase))
		}
	}
}

// CheckEnd checks what has to hold once nothing is under way for a connection:
// exactly its current credential is live besides what is in its grace period and
// what others put there, it is what is published, and nothing was forgotten.
func (w *World) CheckEnd(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.Store.rows[id]
	if !ok {
		w.violate("P3: the connection is gone: " + id)
		return
	}
	rec := r.record()
	if rec.Phase != rotation.Idle || rec.Request != nil || len(rec.Orphans()) > 0 || rec.Stale.Pending() || rec.Run != nil {
		w.violate(fmt.Sprintf("P3: not settled: phase %s, request %v, orphans %d, stale %+v",
			rec.Phase, rec.Request, len(rec.Orphans()), rec.Stale))
	}
	if rec.Lease.Token != "" {
		w.violate("P5: the lease was not given back")
	}
	w.checkAuth(&rec)
	if rec.Target.ClientID == "" {
		return // it rotates nothing
	}
	if rec.Current == nil {
		w.violate("P3: no current credential")
		return
	}
	if due, ok := w.Store.due[id]; ok != !rec.WakeAt.IsZero() || ok && !due.Equal(roundUp(rec.WakeAt)) {
		w.violate("P6: the due row is not where the record says")
	}
	keep := map[string]bool{rec.Current.KeyID: true}
	for _, o := range rec.Replaced() {
		keep[o.KeyID] = true
	}
	app := w.Directory.byClient(rec.Target.ClientID)
	for _, c := range app.passwords {
		if c.removedAt == nil && c.issued && !keep[c.KeyID] {
			w.violate("P3: an orphan: " + c.DisplayName)
		}
		if c.removedAt != nil && !c.issued && !c.named {
			w.violate("P2: a foreign credential was removed")
		}
	}
	s := w.Vault.secrets[strings.ToLower(rec.VaultName)]
	if s == nil || s.deletedAt != nil || !publishes(s.versions[len(s.versions)-1], rec.Current) {
		w.violate("P1: current is not what is published")
	}
	if s := w.Vault.secrets[strings.ToLower(rec.StagedName())]; s != nil {
		for _, v := range s.versions {
			if v.Enabled {
				w.violate("R4: a staged version is still enabled")
			}
		}
	}
}

// publishes reports whether a version is of c.
func publishes(v rotation.VaultSecret, c *rotation.Credential) bool {
	return v.Version == c.VaultVersion || c.KeyID != "" && v.Tags[vaulttag.KeyID] == c.KeyID
}

// checkAuth checks that exactly what the connection authenticates with is enabled.
// The lock is held.
func (w *World) checkAuth(rec *rotation.Record) {
	s := w.Vault.secrets[strings.ToLower(rec.AuthName())]
	if rec.Auth == nil {
		if s != nil && s.deletedAt == nil {
			w.violate("P3: credentials that nothing uses are in the vault")
		}
		return
	}
	used := false
	for _, v := range s.versions {
		if v.Version == rec.Auth.VaultVersion {
			used = v.Enabled
		} else if v.Enabled {
			w.violate("R4: replaced credentials are still enabled")
		}
	}
	if !used {
		w.violate("P3: what the connection authenticates with is not there")
	}
}

// CheckGone checks that nothing of ours is left of a connection, and that the
// credential it was given is untouched. Reservations may be left by a process that died
// before the record was written: they are void.
func (w *World) CheckGone(id string, given secret.Value) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.Store.rows[id]; ok {
		w.violate("P3: the record is still there: " + id)
	}
	if _, ok := w.Store.due[id]; ok {
		w.violate("P3: the due row is still there")
	}
	for _, a := range w.Directory.apps {
		for _, c := range a.passwords {
			if c.removedAt == nil && c.issued && strings.HasPrefix(c.DisplayName, rotation.MarkerPrefix(Deployment, id)) {
				w.violate("P3: an orphan: " + c.DisplayName)
			}
			if c.value == given.Reveal() && c.removedAt != nil {
				w.violate("P2: the given credential was removed")
			}
		}
	}
	for name, s := range w.Vault.secrets {
		if s.deletedAt == nil && len(s.versions) > 0 && s.versions[len(s.versions)-1].Tags[vaulttag.Connection] == id {
			w.violate("P3: a vault secret is left: " + name)
		}
	}
}

// CheckLeaks checks that no value got into the table or the log (promise P4).
func (w *World) CheckLeaks() {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows, err := json.Marshal(w.Store.history)
	if err != nil {
		w.violate("encoding history: " + err.Error())
	}
	notices, err := json.Marshal(w.Store.notices)
	if err != nil {
		w.violate("encoding notices: " + err.Error())
	}
	all := string(rows) + string(notices) + w.Log.String()
	for _, r := range w.Store.rows {
		all += string(r.data)
	}
	for _, a := range w.Directory.apps {
		for _, c := range a.passwords {
			if strings.Contains(all, c.value) {
				w.violate("P4: the value of " + c.KeyID + " leaked")
			}
		}
	}
	for value := range w.Directory.signIns {
		if strings.Contains(all, value) {
			w.violate("P4: what a person signs in with leaked")
		}
	}
	if strings.Contains(all, tokenPrefix) {
		w.violate("P4: an access token leaked")
	}
}

// CheckClaims checks that every record has claimed what it needs, that the rows of what it
// lists are there, and that no two records list claims which exclude each other (rule R11).
func (w *World) CheckClaims() {
	w.mu.Lock()
	defer w.mu.Unlock()
	listed := map[string][]rotation.ClaimRow{}
	for id, r := range w.Store.rows {
		rec := r.record()
		if missing := rec.Unclaimed(); len(missing) > 0 {
			w.violate(fmt.Sprintf("R11: %s (phase %s) has not claimed %v", id, rec.Phase, missing))
		}
		for _, c := range rec.Claimed {
			if _, ok := w.Store.claims[c.ID]; !ok && rec.Phase != rotation.Deleting {
				w.violate(fmt.Sprintf("R11: %s (phase %s) lists a claim that is gone: %v", id, rec.Phase, c))
			}
			listed[c.App] = append(listed[c.App], rec.ClaimRow(c))
		}
	}
	for _, rows := range listed {
		for i, a := range rows {
			for _, b := range rows[i+1:] {
				if a.Excludes(b) {
					w.violate(fmt.Sprintf("R11: %s and %s have claims that exclude each other: %v, %v", a.Owner, b.Owner, a.Claim, b.Claim))
				}
			}
		}
	}
}
