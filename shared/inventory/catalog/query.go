package catalog

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rekey/shared/index"
	"rekey/shared/inventory"
)

// Query chooses applications. What is zero chooses all of them.
type Query struct {
	TenantID string
	Finding  inventory.FindingKind // only those that have it
	Owner    string                // in the id, the name or the principal name of an owner, in any case
	Text     string                // in the name, the client id, or the name or key id of a credential, in any case
	// EndsAfter and EndsBefore are a range of [inventory.Application.EndsAt]; the latter is not in it.
	// What does not end stands behind all that does, so that only EndsBefore leaves it out.
	EndsAfter, EndsBefore time.Time
	// IncludeAccepted: a finding that is accepted counts for Finding.
	IncludeAccepted bool
	// OnlyAccepted: only what has a finding that is accepted; with Finding, one of that kind.
	OnlyAccepted bool

	Limit  int    // at most [MaxLimit]; 0: [DefaultLimit]
	Cursor string // [Page.Next] of the page before; empty: from the beginning
}

// How many applications a page has, and how many characters a text.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	maxText      = 256
)

// horizons are the findings that only an application can have which ends within that time, so
// that the order of ends finds them.
var horizons = map[inventory.FindingKind]time.Duration{
	inventory.EndsIn7Days:     7 * day,
	inventory.EndsIn30Days:    30 * day,
	inventory.OwnerlessEnding: 30 * day,
	inventory.EndsIn90Days:    90 * day,
}

const day = 24 * time.Hour

// clean checks what a caller may get wrong.
func (q *Query) clean() error {
	switch {
	case q.Finding != "" && !slices.Contains(inventory.Kinds, q.Finding):
		return invalid("finding must be one of %s.", kinds(inventory.Kinds))
	case q.Limit < 0 || q.Limit > MaxLimit:
		return invalid("limit must be 1 to %d.", MaxLimit)
	case !q.EndsBefore.IsZero() && !q.EndsAfter.IsZero() && !q.EndsAfter.Before(q.EndsBefore):
		return invalid("endsAfter must be before endsBefore.")
	}
	q.Limit = cmp.Or(q.Limit, DefaultLimit)
	q.EndsAfter, q.EndsBefore = q.EndsAfter.UTC().Truncate(time.Second), q.EndsBefore.UTC().Truncate(time.Second)
	for name, text := range map[string]*string{"owner": &q.Owner, "text": &q.Text} {
		if *text = index.Fold(strings.TrimSpace(*text)); utf8.RuneCountInString(*text) > maxText {
			return invalid("%s must be at most %d characters.", name, maxText)
		}
	}
	return nil
}

// kinds lists findings for a person.
func kinds(all []inventory.FindingKind) string {
	names := make([]string, 0, len(all))
	for _, k := range all {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// indexed reports whether the order of ends answers the query.
func (q *Query) indexed() bool {
	_, horizon := horizons[q.Finding]
	return q.Owner == "" && q.Text == "" && !q.OnlyAccepted && (q.Finding == "" || horizon)
}

// ends is the range of ends that the query is about, at a moment.
func (q *Query) ends(now time.Time) EndQuery {
	r := EndQuery{TenantID: q.TenantID, From: q.EndsAfter, To: q.EndsBefore}
	if d, ok := horizons[q.Finding]; ok {
		if r.From.Before(now) {
			r.From = now.Truncate(time.Second)
		}
		if end := now.Add(d).Add(time.Second); r.To.IsZero() || end.Before(r.To) {
			r.To = end
		}
	}
	return r
}

// within reports whether a place is in the range.
func (r *EndQuery) within(p End) bool {
	return r.has(p.At) && (r.After == nil || p.Compare(*r.After) > 0)
}

// has reports whether an end is in the range, wherever the list goes on.
func (r *EndQuery) has(at time.Time) bool {
	return !at.Before(r.From) && (r.To.IsZero() || at.Before(r.To))
}

// names reports whether the row has the owner and the text that are asked for.
func (q *Query) names(a *inventory.Application) bool {
	if q.Owner != "" && !slices.ContainsFunc(a.Owners, func(o inventory.Owner) bool {
		return has(q.Owner, o.ID, o.Name, o.PrincipalName)
	}) {
		return false
	}
	return q.Text == "" || has(q.Text, a.Name, a.ClientID) ||
		slices.ContainsFunc(a.Credentials, func(c inventory.Credential) bool { return has(q.Text, c.Name, c.KeyID) })
}

// has reports whether a folded text is a part of one of the others, whatever their case.
func has(part string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(index.Fold(text), part) })
}

// finds reports whether the item has the finding that is asked for.
func (q *Query) finds(i *Item) bool {
	if q.OnlyAccepted {
		return slices.ContainsFunc(i.Findings, func(f inventory.Finding) bool {
			return f.Accepted != nil && (q.Finding == "" || f.Kind == q.Finding)
		})
	}
	return q.Finding == "" || slices.ContainsFunc(i.Findings, func(f inventory.Finding) bool {
		return f.Kind == q.Finding && (f.Accepted == nil || q.IncludeAccepted)
	})
}
