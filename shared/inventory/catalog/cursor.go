package catalog

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"rekey/shared/inventory"
)

// cursor is where a list goes on. It has the moment of the first page, so that what ends between
// two pages is on one of them, and once.
type cursor struct {
	Now    int64  `json:"n"` // Unix time
	Query  string `json:"q"` // a digest of what was asked for
	At     int64  `json:"a"` // Unix time; the place of the last application, or of what was walked last
	Tenant string `json:"t"`
	Client string `json:"c"`
	KeyID  string `json:"k,omitempty"`
}

// For how long a list can be gone on with.
const cursorLife = 24 * time.Hour

// digest tells queries apart; how many applications are on a page may change.
func (q *Query) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d %d %t %t", q.TenantID, q.Finding, q.Owner, q.Text,
		q.EndsAfter.Unix(), q.EndsBefore.Unix(), q.IncludeAccepted, q.OnlyAccepted))
	return hex.EncodeToString(sum[:8])
}

// begin returns the moment of the list and where it goes on; nil: at the beginning.
func (q *Query) begin(now time.Time) (at time.Time, after *End, err error) {
	now = now.UTC().Truncate(time.Second)
	if q.Cursor == "" {
		return now, nil, nil
	}
	var c cursor
	data, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || json.Unmarshal(data, &c) != nil || c.Query != q.digest() || !inventory.ValidID(c.Tenant) || !inventory.ValidID(c.Client) {
		return now, nil, invalid("cursor is none that this list gave out for these filters. Begin again without it.")
	}
	at = time.Unix(c.Now, 0).UTC()
	if age := now.Sub(at); age > cursorLife || age < -skew {
		return now, nil, invalid("cursor is older than a day. Begin again without it.")
	}
	return at, &End{At: time.Unix(c.At, 0).UTC(), Key: inventory.Key{TenantID: c.Tenant, ClientID: c.Client}, KeyID: c.KeyID}, nil
}

// next is the cursor of the page behind a place.
func (q *Query) next(now time.Time, last End) string {
	data, err := json.Marshal(cursor{now.Unix(), q.digest(), last.At.Unix(), last.TenantID, last.ClientID, last.KeyID})
	if err != nil { // texts and numbers
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}
