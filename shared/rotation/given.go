package rotation

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"rekey/shared/secret"
)

// Digest tells one value from others without keeping it (rule R13): SHA-256 over the
// connection's id, the tenant, the client id and the value, as 43 characters of base64url.
// The id keeps digests of two connections apart.
func Digest(connectionID string, app Application, value secret.Value) string {
	h := sha256.New()
	for _, part := range []string{connectionID, strings.ToLower(app.TenantID), strings.ToLower(app.ClientID), value.Reveal()} {
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
	if m.Digest == "" {
		return
	}
	rec := t.rec
	rec.Removed = append(rec.Removed, removed{m.Digest, t.now})
	rec.Removed = rec.Removed[max(0, len(rec.Removed)-maxRemoved):]
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
