package rotation

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"rekey/shared/secret"
)

// Digest tells one value from others without keeping it (rule R13): SHA-256 over the
// connection's id, the tenant, the client id and the value, as 43 characters of base64url.
// The id keeps digests of two connections apart.
func (a Application) Digest(connectionID string, value secret.Value) string {
	h := sha256.New()
	for _, part := range []string{connectionID, strings.ToLower(a.TenantID), strings.ToLower(a.ClientID), value.Reveal()} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// removed is a credential that Rekey has removed.
type removed struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
}

// maxRemoved is how many of them a record remembers.
const maxRemoved = 32

// remember keeps in mind that a credential was removed, in case it is given again.
func (t *transition) remember(m *Removal) {
	t.rememberKey(m.KeyID)
	if m.Digest == "" {
		return
	}
	rec := t.rec
	// A directory that goes on showing it has it removed once more, any number of times.
	rec.Removed = slices.DeleteFunc(rec.Removed, func(o removed) bool { return o.Digest == m.Digest })
	rec.Removed = append(rec.Removed, removed{m.Digest, t.now})
	for i := 0; len(rec.Removed) > maxRemoved; {
		if d := rec.Removed[i].Digest; d == rec.Given || d == rec.GivenBefore {
			i++ // clients that keep their own state send it for ever
			continue
		}
		rec.Removed = slices.Delete(rec.Removed, i, i+1)
	}
}

// removedKey is the key id of a client secret that Rekey has removed, and when.
type removedKey struct {
	KeyID string    `json:"keyId"`
	At    time.Time `json:"at"`
}

// rememberKey keeps as many as may be removed at once: an inventory that was read before still has them.
func (t *transition) rememberKey(keyID string) {
	if keyID == "" {
		return
	}
	keys := slices.DeleteFunc(t.rec.RemovedKeys, func(k removedKey) bool { return k.KeyID == keyID })
	keys = append(keys, removedKey{keyID, t.now})
	t.rec.RemovedKeys = keys[max(0, len(keys)-maxRemovals):]
}

// Former is what is kept of a connection that is gone, in case a client secret is given for
// another one that this one has removed.
type Former struct {
	ID        string    `json:"id"`
	VaultName string    `json:"vaultName"` // where what it has left is published; empty: it has left nothing
	Removed   []removed `json:"removed"`
}

// Former returns what is to be kept of a record that is about to go; not ok if it has removed
// nothing.
func (r *Record) Former() (f Former, ok bool) {
	f = Former{ID: r.ID, Removed: r.Removed}
	if r.Current != nil && !r.Revoke && !r.Undo {
		f.VaultName = r.VaultName
	}
	return f, len(r.Removed) > 0
}

// RemovedAt is when the connection has removed a client secret of app; not ok if it has not.
func (f Former) RemovedAt(app Application, value secret.Value) (at time.Time, ok bool) {
	digest := app.Digest(f.ID, value)
	i := slices.IndexFunc(f.Removed, func(o removed) bool { return o.Digest == digest })
	if i < 0 {
		return time.Time{}, false
	}
	return f.Removed[i].At, true
}

// Again says what credentials are that a caller gives.
type Again int

// What they are.
const (
	New          Again = iota
	GivenLast          // those that the caller gave last
	Published          // what is current
	BeingRemoved       // a credential that was replaced and waits for its removal
	WasRemoved         // one that Rekey has removed
)

// Recognise compares what a caller gives with what the record remembers. at is when it
// is going to be removed, or when it was.
func (r *Record) Recognise(digest string) (again Again, at time.Time) {
	for i := range r.Removals {
		if m := &r.Removals[i]; m.Digest == digest {
			at = later(m.After, m.RemovedAt)
			again = BeingRemoved
		}
	}
	for _, o := range r.Removed {
		if o.Digest == digest {
			again, at = WasRemoved, o.At
		}
	}
	switch {
	case r.Current != nil && r.Current.Digest == digest:
		return Published, time.Time{}
	case r.Given == digest:
		return GivenLast, at
	}
	return again, at
}

// restoreGiven restores what was given before, since the new credentials were not accepted.
func (t *transition) restoreGiven() {
	t.rec.Given, t.rec.GivenBefore = t.rec.GivenBefore, ""
}
