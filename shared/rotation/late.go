package rotation

import (
	"time"

	"rekey/shared/serviceerror"
)

// Unsettled says that a write of the published name was announced. Until it has a definite
// answer, or the time is over in which it could still land, no other value is published
// and nothing that was ever published is removed (rule R8).
type Unsettled struct {
	Until   time.Time `json:"until,omitzero"`
	Of      string    `json:"of,omitempty"`      // the version that has the value; empty: what was given
	Unknown bool      `json:"unknown,omitempty"` // an earlier write of the same value has no answer
	Before  time.Time `json:"before,omitzero"`   // until when an earlier write of another value may land
}

// announce says that the value of a version is about to be written under the lease. What was
// announced before and has no answer may still land.
func (t *transition) announce(version string) {
	was := t.rec.Unsettled
	next := Unsettled{Until: t.rec.Lease.Until.Add(t.Late), Of: version, Before: was.Before}
	switch {
	case !was.Until.After(t.now):
	case was.Of == version:
		next.Unknown = true
	default:
		next.Before = later(was.Before, was.Until)
	}
	if !next.Before.After(t.now) {
		next.Before = time.Time{}
	}
	t.rec.Unsettled = next
}

// settle records the answer to the write that was announced last.
func (t *transition) settle(err error) {
	u := &t.rec.Unsettled
	switch {
	case err != nil && serviceerror.UnknownOutcome(err):
		u.Unknown = true
	case !u.Unknown:
		*u = Unsettled{Until: u.Before}
	}
}

// settlesAt is from when on another value than that of version may be published; with an
// empty version, from when on something that was published may be removed.
func (r *Record) settlesAt(version string) time.Time {
	u := r.Unsettled
	if version != "" && u.Of == version {
		return u.Before
	}
	return u.Until
}
