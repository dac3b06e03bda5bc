package rotation

import (
	"cmp"
	"slices"
	"time"

	"rekey/shared/serviceerror"
)

// RemovalKind says why a credential is to be removed.
type RemovalKind string

// The kinds of removals.
const (
	RemoveReplaced RemovalKind = "replaced" // another one took its place; it stays for its grace period
	RemoveOrphan   RemovalKind = "orphan"   // an attempt that was given up may have issued it
	// RemoveLast is the last one that Rekey knows of an application. Nothing is left to read
	// the application with, so that its going is proven by refusals (rule R7).
	RemoveLast RemovalKind = "last"
)

// Removal is a credential that is to be removed, and how far that has come: wait until it
// may go, remove it, confirm that it is gone.
type Removal struct {
	Kind         RemovalKind `json:"kind"`
	Target       Application `json:"target"`
	KeyID        string      `json:"keyId,omitempty"`        // empty: an orphan that has not been found
	Marker       string      `json:"marker,omitempty"`       // of an orphan: its display name
	VaultVersion string      `json:"vaultVersion,omitempty"` // published version that holds its value
	Digest       string      `json:"digest,omitempty"`       // of its value
	Published    bool        `json:"published,omitempty"`    // it may have been published, so that the whole gate is in front of it
	Since        time.Time   `json:"since,omitzero"`         // of an orphan: when it may have been issued
	After        time.Time   `json:"after,omitzero"`         // not to be removed before; the end of its grace period

	Tries        int                `json:"tries,omitempty"`    // in a row that failed
	RemovedAt    time.Time          `json:"removedAt,omitzero"` // when the directory accepted, or denied knowing it
	GoneReads    int                `json:"goneReads,omitempty"`
	NextAt       time.Time          `json:"nextAt,omitzero"`
	RefusedSince time.Time          `json:"refusedSince,omitzero"` // since when no known credential is of use
	Problem      serviceerror.Class `json:"problem,omitempty"`     // of the last try; empty after one that worked
}

// ID names a removal among those of its record, whatever else is added or finished.
func (m *Removal) ID() string { return cmp.Or(m.Marker, m.KeyID) }

// Replaced lists the credentials that another one took the place of.
func (r *Record) Replaced() []Removal { return r.removalsBut(RemoveOrphan, false) }

// Orphans lists what attempts that were given up may have issued.
func (r *Record) Orphans() []Removal { return r.removalsBut(RemoveOrphan, true) }

func (r *Record) removalsBut(kind RemovalKind, is bool) (list []Removal) {
	for _, m := range r.Removals {
		if (m.Kind == kind) == is {
			list = append(list, m)
		}
	}
	return list
}

// Removal returns the removal with that id, nil if there is none.
func (r *Record) Removal(id string) *Removal {
	for i := range r.Removals {
		if r.Removals[i].ID() == id {
			return &r.Removals[i]
		}
	}
	return nil
}

// ByHand is a credential that only a person can remove any more.
type ByHand struct {
	Target Application `json:"target"`
	KeyID  string      `json:"keyId"` // empty: not known
	Since  time.Time   `json:"since"`
	Reason string      `json:"reason"`
	Hint   string      `json:"hint,omitempty"`

	// Unlisted: it works, and no read of its application has shown one that it could be. It may be of the service
	// principal, so that such reads do not tell when it is gone.
	Unlisted bool `json:"unlisted,omitempty"`
}

// planRemovals plans Removals, each in its turn.
func (r Rules) planRemovals(p *sidePlan, rec *Record) {
	var relied time.Time // from when on current is old enough to rely on
	if rec.Current != nil {
		relied = rec.Current.Since.Add(r.RevokeMinAge)
	}
	for i := range rec.Removals {
		m := &rec.Removals[i]
		switch {
		case m.Kind == RemoveLast && rec.othersOf(m):
			// they need its token
		case m.RemovedAt.IsZero() && m.KeyID != "":
			at := later(later(m.NextAt, m.After), relied)
			if m.Published {
				at = later(at, later(rec.settlesAt(""), rec.RepublishAt))
			}
			p.add(at, Remove{m.ID()})
		case m.Kind == RemoveLast:
			p.add(m.NextAt, ConfirmRefused{m.ID()})
		default:
			p.add(m.NextAt, ConfirmRemoved{m.ID()})
		}
	}
}

// othersOf reports whether anything else of m's application is left to do.
func (r *Record) othersOf(m *Removal) bool {
	return slices.ContainsFunc(r.Removals, func(o Removal) bool { return o.Kind != RemoveLast && o.Target.Same(m.Target) })
}

// RemovalOf returns the removal that a step is about; nil if there is none.
func (r *Record) RemovalOf(step Step) *Removal {
	switch step := step.(type) {
	case Remove:
		return r.Removal(step.ID)
	case ConfirmRemoved:
		return r.Removal(step.ID)
	case ConfirmRefused:
		return r.Removal(step.ID)
	}
	return nil
}

// MustStay reports whether a credential must not be removed: it is what is published, or
// about to be.
func (r *Record) MustStay(m *Removal) bool {
	return r.Current != nil && r.Current.KeyID == m.KeyID || r.Run != nil && r.Run.KeyID == m.KeyID
}
