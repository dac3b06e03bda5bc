package catalog

import (
	"context"
	"slices"
	"time"

	"rekey/shared/inventory"
)

// Summary counts what a tenant has.
type Summary struct {
	Tenant       inventory.Tenant
	Applications int
	Credentials  int
	Federated    int
	LeftOut      int // rows that could not be read: damaged, or of a newer Rekey
	// Findings counts the applications that have a finding which is not accepted; Accepted those
	// that have it, and all of it is accepted.
	Findings, Accepted map[inventory.FindingKind]int
	// Ends counts credentials by what they have left. Each is counted once.
	Ends map[inventory.Left]int
	// Managed counts those among them that a rotation has on its record.
	Managed map[inventory.Left]int
	// Weeks counts the credentials that end within each of the next weeks, from now on.
	Weeks [weeks]int
}

// weeks is how far ahead a summary counts week by week: a quarter of a year.
const weeks = 13

// Summarize counts what one tenant has, or each of them if tenantID is empty. It costs a read of all
// rows of these, and of all connections.
func (c *Catalog) Summarize(ctx context.Context, tenantID string) ([]Summary, error) {
	tenants, err := c.tenants(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	all := make([]Summary, 0, len(tenants))
	for _, t := range tenants {
		s, err := c.summarize(ctx, t)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (c *Catalog) summarize(ctx context.Context, t inventory.Tenant) (Summary, error) {
	s := Summary{Tenant: t, Findings: map[inventory.FindingKind]int{}, Accepted: map[inventory.FindingKind]int{},
		Ends: map[inventory.Left]int{}, Managed: map[inventory.Left]int{}}
	managers, known, err := c.Managers.All(ctx, t.ID)
	if err != nil {
		return s, c.explain(ctx, "reading the connections", err)
	}
	now := c.now()
	err = c.Store.Rows(ctx, t.ID, func(row Row) error {
		s.count(c.item(row, &t, managers[row.ClientID], known, now), now)
		return nil
	})
	if s.LeftOut, err = c.readable(ctx, err); err != nil {
		return s, c.explain(ctx, "reading the inventory", err)
	}
	return s, nil
}

func (s *Summary) count(i Item, now time.Time) {
	s.Applications++
	s.Credentials += len(i.Credentials) + i.MoreCredentials
	s.Federated += len(i.Federated)
	for _, cred := range i.Credentials {
		s.countEnd(&i, cred, now)
	}
	if i.MoreCredentials > 0 { // they are those that end last
		s.Ends[inventory.LeftMore] += i.MoreCredentials
	}
	open := map[inventory.FindingKind]bool{}
	for _, f := range i.Findings {
		open[f.Kind] = open[f.Kind] || f.Accepted == nil
	}
	for kind, still := range open {
		if still {
			s.Findings[kind]++
		} else {
			s.Accepted[kind]++
		}
	}
}

func (s *Summary) countEnd(i *Item, c inventory.Credential, now time.Time) {
	left := c.LeftAt(now)
	s.Ends[left]++
	for _, m := range i.Managers {
		if m.Rotates && slices.Contains(m.KeyIDs, c.KeyID) {
			s.Managed[left]++
			break
		}
	}
	if c.EndsAt.After(now) {
		if n := int(c.EndsAt.Sub(now) / (7 * 24 * time.Hour)); n < weeks {
			s.Weeks[n]++
		}
	}
}

// maxCounted is how many ends are counted at most.
const maxCounted = 20_000

// Ends returns when what the inventories of all tenants have ends, from a moment on until another, in order. It
// costs what there is between: a range query in each partition for each thousand ends there, and is not whole if there
// are more than twenty thousand.
func (c *Catalog) Ends(ctx context.Context, from, to time.Time) (ends []End, whole bool, err error) {
	ends, more, err := c.Store.Ending(ctx, EndQuery{From: from, To: to}, maxCounted)
	if _, err := c.readable(ctx, err); err != nil {
		return nil, false, c.explain(ctx, "reading the order of ends", err)
	}
	return ends, !more, nil
}
