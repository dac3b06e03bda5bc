package rotation

import (
	"slices"
	"strings"
	"time"
)

// ClaimKind says how a connection uses an application (rule R11).
type ClaimKind string

// The kinds of claims. An exclusive one excludes every claim of another connection on the
// application; any number of connections may have shared ones.
const (
	Exclusive ClaimKind = "exclusive" // it removes client secrets of the application, or may
	Shared    ClaimKind = "shared"    // it signs in with a client secret of the application
)

// Claim is what a record lists of a claim. The claim itself is a row of its own: it is
// written before the record lists it, and removed after the record has dropped it.
type Claim struct {
	ID   string    `json:"id"` // of the row; claiming the same again makes another row
	Kind ClaimKind `json:"kind"`
	App  string    `json:"app"` // see [Application.Key]
}

// ClaimRow is a claim as all connections see it.
type ClaimRow struct {
	Claim
	Owner string    // the connection
	Via   string    // the connection that authenticates for the owner, if another one does
	At    time.Time // when it was made, or renewed
}

// ClaimRow returns the row of a claim of r.
func (r *Record) ClaimRow(c Claim) ClaimRow { return ClaimRow{Claim: c, Owner: r.ID, Via: r.Via} }

// Excludes reports whether a and b can't both be. A connection's own targets may have its
// application: if what it signs in with is removed, it is told so like a person would be.
func (a ClaimRow) Excludes(b ClaimRow) bool {
	switch {
	case a.App != b.App || a.Owner == b.Owner:
		return false
	case a.Kind == Exclusive && b.Kind == Exclusive:
		return true
	case a.Kind == Exclusive:
		return a.Via != b.Owner
	case b.Kind == Exclusive:
		return b.Via != a.Owner
	}
	return false
}

// Key is what claims of the application bear.
func (a Application) Key() string { return strings.ToLower(a.TenantID + " " + a.ClientID) }

// Claims reports whether the record lists a claim of that kind on an application.
func (r *Record) Claims(kind ClaimKind, app Application) bool {
	return slices.ContainsFunc(r.Claimed, func(c Claim) bool { return c.Kind == kind && c.App == app.Key() })
}

// Uses lists the claims that the record must have as it is, without ids, the exclusive ones
// first. A pass may rely on them: whatever makes a record need one more writes the claim before.
func (r *Record) Uses() (list []Claim) {
	use := func(kind ClaimKind, app Application) {
		c := Claim{Kind: kind, App: app.Key()}
		if app.ClientID != "" && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	over := r.goesOverTo()
	if r.Rotates() {
		use(Exclusive, r.Target)
		for _, app := range over {
			use(Exclusive, app)
		}
	}
	if r.Run != nil && r.Run.Trigger != OnRebind {
		use(Exclusive, r.Run.Target)
	}
	revoke := r.Revoke
	if q := r.Request; q != nil {
		switch q.Kind {
		case AskRotate, AskEmergency: // also where it does not rotate by itself
			use(Exclusive, r.Target)
			for _, app := range over {
				use(Exclusive, app)
			}
		case AskDelete:
			revoke = revoke || q.Revoke
		}
	}
	if revoke && r.Current != nil && r.Current.Origin == OriginIssued {
		use(Exclusive, r.Current.Target)
	}
	for _, m := range r.Removals {
		use(Exclusive, m.Target)
	}
	if r.Via == "" && (r.Auth == nil || r.Method == MethodSecret) {
		use(Shared, r.Actor)
		for _, app := range over {
			use(Shared, app)
		}
	}
	return list
}

// goesOverTo lists the applications of credentials that were given and are not current yet.
func (r *Record) goesOverTo() (apps []Application) {
	if r.Run != nil && r.Run.Trigger == OnRebind {
		apps = append(apps, r.Run.Target)
	}
	if q := r.Request; q != nil && q.Kind == AskRebind {
		apps = append(apps, q.Target)
	}
	return apps
}

// Unclaimed lists what the record must have claimed and has not.
func (r *Record) Unclaimed() []Claim {
	return slices.DeleteFunc(r.Uses(), func(use Claim) bool { return r.lists(use) })
}

func (r *Record) lists(use Claim) bool {
	return slices.ContainsFunc(r.Claimed, func(c Claim) bool { return c.Kind == use.Kind && c.App == use.App })
}

// AddClaims lists claims whose rows were written.
func (r *Record) AddClaims(rows []ClaimRow) {
	for _, row := range rows {
		r.Claimed = append(slices.Clone(r.Claimed), row.Claim)
	}
}

// DropClaims takes what the record does not need any more off its list. Its rows are
// removed after this is committed; until then, and for some time after it if that fails,
// they keep others away for no reason, which harms nothing.
func (r *Record) DropClaims() {
	uses := r.Uses()
	if r.Current != nil && len(r.goesOverTo()) > 0 {
		// The credential that is current is removed when its successor has taken its place.
		uses = append(uses, Claim{Kind: Exclusive, App: r.Current.Target.Key()})
	}
	r.Claimed = slices.DeleteFunc(slices.Clone(r.Claimed), func(c Claim) bool {
		return !slices.Contains(uses, Claim{Kind: c.Kind, App: c.App})
	})
}

// Dropped lists the rows of claims that next lists no more.
func (r *Record) Dropped(next *Record) (rows []ClaimRow) {
	for _, c := range r.Claimed {
		if !slices.Contains(next.Claimed, c) {
			rows = append(rows, r.ClaimRow(c))
		}
	}
	return rows
}

// Lists reports whether the record lists that very claim.
func (r *Record) Lists(c Claim) bool { return slices.Contains(r.Claimed, c) }
