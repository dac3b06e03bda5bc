package functions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/rotation"
	"rekey/shared/vaulttag"
)

// truth is everything outside that Rekey could have changed, one line for each
// thing. History is left out: that a caller tried is worth remembering.
func (c *client) truth() map[string]string {
	c.t.Helper()
	all := map[string]string{}
	for _, a := range c.apps {
		for _, p := range c.stack.Directory.Passwords(a.ObjectID) {
			all["client secret "+p.KeyID] = fmt.Sprintf("%s %q", a.ObjectID, p.DisplayName)
		}
	}
	for _, name := range c.stack.Vault.Names() {
		if c.stack.Vault.Deleted(name) {
			continue
		}
		for _, v := range c.stack.Vault.Versions(name) {
			all["vault "+name+" "+v.ID] = fmt.Sprintf("enabled %t, tags %v", v.Enabled, v.Tags)
		}
	}
	for _, row := range c.stack.Table.Rows("") {
		if kind, _, _ := strings.Cut(row.RowKey, "-"); slices.Contains([]string{"hist", "day", "run", "audit", "index"}, kind) {
			continue
		}
		data, err := json.Marshal(row.Properties)
		if err != nil {
			c.t.Fatal(err)
		}
		all["row "+row.RowKey] = string(data)
	}
	return all
}

// changes compares two truths.
func changes(before, after map[string]string) (list []string) {
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if old, ok := before[k]; !ok {
			list = append(list, "new: "+k+" "+after[k])
		} else if old != after[k] {
			list = append(list, "changed: "+k+" from "+old+" to "+after[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[k]; !ok {
			list = append(list, "gone: "+k)
		}
	}
	return list
}

// records returns every connection that has a row, those under way to be undone
// included.
func (w *world) records() []rotation.Record {
	w.Helper()
	records, _, err := w.app.Connections.Records.List(w.Context(), "", 1000)
	if err != nil {
		w.Fatal(err)
	}
	return records
}

func (w *world) record(id string) rotation.Record {
	w.Helper()
	rec, err := w.app.Connections.Records.Load(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

// atRest reports whether nothing is left to be done for rec before its next slot.
func atRest(rec *rotation.Record) bool {
	return rec.Phase == rotation.Idle && rec.Request == nil && rec.Error == nil && rec.Lease.Token == "" &&
		len(rec.Removals) == 0 && len(rec.Stale.Versions) == 0
}

// settle plays the timer until every connection is at rest or gone. In place of
// waiting for the next wake-up it puts the clock forward; not by more than half an
// hour, which nothing here needs and Rekey's own access tokens outlive.
func (w *world) settle() {
	w.Helper()
	const rounds = 80 // each gets something done or comes nearer to when that may be
	limit := w.clock.Now().Add(30 * time.Minute)
	for range rounds {
		if _, err := w.app.Rotator.Sweep(w.Context()); err != nil {
			w.Fatal(err)
		}
		next, busy := w.nextWake()
		if !busy {
			return
		}
		if next.After(limit) {
			break
		}
		if d := next.Sub(w.clock.Now()); d > 0 {
			w.clock.forward(d)
		}
	}
	for _, rec := range w.records() {
		data, err := json.Marshal(rec)
		if err != nil {
			w.Fatal(err)
		}
		w.Logf("not at rest: %s", data)
	}
	w.Fatal("not settled")
}

// nextWake is when the first of the connections that are not at rest can be worked on.
func (w *world) nextWake() (next time.Time, busy bool) {
	w.Helper()
	for _, rec := range w.records() {
		if atRest(&rec) {
			continue
		}
		at := rec.WakeAt
		if rec.Lease.Token != "" { // of a pass that died
			at = rec.Lease.Until.Add(w.app.Rotator.Rules.Skew + time.Millisecond)
		}
		if !busy || at.Before(next) {
			next = at
		}
		busy = true
	}
	return next, busy
}

// published returns the value that consumers read; not ok if there is none.
func (c *client) published(name string) (value, keyID string, ok bool) {
	if c.stack.Vault.Deleted(name) {
		return "", "", false
	}
	versions := c.stack.Vault.Versions(name)
	if len(versions) == 0 {
		return "", "", false
	}
	last := versions[len(versions)-1]
	return last.Value, last.Tags[vaulttag.KeyID], last.Enabled
}

// live returns the key ids of an application's client secrets, sorted.
func (c *client) live(a directory.Application) []string {
	keys := []string{}
	for _, p := range c.stack.Directory.Passwords(a.ObjectID) {
		keys = append(keys, p.KeyID)
	}
	slices.Sort(keys)
	return keys
}

// managed requires that a is managed: what is published is keyID, works, and is the
// only client secret of a besides others.
func (c *client) managed(a directory.Application, vaultName, keyID string, others ...string) {
	c.t.Helper()
	value, published, ok := c.published(vaultName)
	if !ok || published != keyID {
		c.t.Errorf("published: key id %q, enabled %t; want %q", published, ok, keyID)
	}
	if !c.stack.Directory.Authenticates(a.ClientID, value) {
		c.t.Error("what is published does not authenticate")
	}
	want := append([]string{keyID}, others...)
	slices.Sort(want)
	if got := c.live(a); !slices.Equal(got, want) {
		c.t.Errorf("live client secrets %v, want %v", got, want)
	}
}
