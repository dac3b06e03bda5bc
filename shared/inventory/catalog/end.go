package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"rekey/shared/inventory"
)

// EndQuery is a range of ends.
type EndQuery struct {
	TenantID string    // empty: of all tenants
	From, To time.Time // To is zero: to the last of them, [Never] included
	After    *End      // where to go on, behind this one
}

// End is a place in the order of ends: that of the credential that ends next. What never ends, and
// an application without credentials, stands at [Never].
type End struct {
	At time.Time // whole seconds
	inventory.Key
	KeyID string // empty: the application has no credential
}

// Never is where in the order of ends stands what does not end.
var Never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Compare is the order of ends.
func (e End) Compare(o End) int {
	return cmp.Or(e.At.Compare(o.At), strings.Compare(e.TenantID, o.TenantID), strings.Compare(e.ClientID, o.ClientID),
		strings.Compare(e.KeyID, o.KeyID))
}

// Place is where a list that is made at a moment has an application: at what
// [inventory.Application.EndsAt] says, and of several credentials that end in that second at the
// one whose key id comes first.
func Place(app *inventory.Application, now time.Time) End {
	place := End{At: endOf(app.EndsAt(now)), Key: app.Key}
	for _, c := range app.Credentials {
		if endOf(c.EndsAt).Equal(place.At) && (place.KeyID == "" || c.KeyID < place.KeyID) {
			place.KeyID = c.KeyID
		}
	}
	return place
}

// endOf is when something ends, in UTC and whole seconds, between the year 1 and [Never].
func endOf(end time.Time) time.Time {
	at := end.UTC().Truncate(time.Second)
	switch {
	case end.IsZero(), at.After(Never):
		return Never
	case at.Year() < 1:
		return time.Time{}
	}
	return at
}

// skew is by how much the clock that reads a row may be behind the one that wrote it.
const skew = 10 * time.Minute

// Ends returns where an application stands in the order of ends, in that order: once for each
// credential, and once if it has none. What had ended before something that ended later, when a
// scan found it so, is left out: no list has the application there any more, and would have to
// go past it.
func Ends(app *inventory.Application) []End {
	if len(app.Credentials) == 0 {
		return []End{{At: Never, Key: app.Key}}
	}
	since, last := app.ChangedAt.Add(-skew), time.Time{}
	for _, c := range app.Credentials {
		if c.EndsAt.After(last) {
			last = c.EndsAt
		}
	}
	ends := make([]End, 0, len(app.Credentials))
	for _, c := range app.Credentials {
		at := endOf(c.EndsAt)
		if c.EndsAt.IsZero() || c.EndsAt.After(since) || !at.Before(endOf(last)) {
			ends = append(ends, End{At: at, Key: app.Key, KeyID: c.KeyID})
		}
	}
	slices.SortFunc(ends, End.Compare)
	return slices.Compact(ends)
}
