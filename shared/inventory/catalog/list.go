package catalog

import (
	"context"
	"slices"
	"time"

	"rekey/shared/inventory"
)

// Page is a part of a list.
type Page struct {
	Items   []Item
	Tenants []inventory.Tenant // those that were asked about, by id
	Next    string             // the cursor of the next page; empty: this is the last one
	LeftOut int                // rows that could not be read: damaged, or of a newer Rekey
}

// maxWeight is how much a page has at most, in credentials, findings, owners and the like, beyond its
// first application: hosts bound the size of an answer. One of them takes up to half a kilobyte.
const maxWeight = 10_000

// List returns applications in the order of their ends, those that end first first. A page may
// have fewer than the limit, also none, and still not be the last.
//
// Without filters but tenant, range of ends and a finding about the next 90 days it walks the order
// of ends. That costs a range query in each partition for as many ends as the page has
// applications, a read of each application on the way, and of what [Managers.Of] reads for it. It
// does not depend on the size of the tenant: on the way are the ends of other credentials of the
// same applications, and before what ends in 30 or 90 days what ends sooner. Any other filter
// costs a read of all rows of the tenants that are asked about, and of all connections, for each
// page.
func (c *Catalog) List(ctx context.Context, q Query) (Page, error) {
	if err := q.clean(); err != nil {
		return Page{}, err
	}
	now, after, err := q.begin(c.now())
	if err != nil {
		return Page{}, err
	}
	tenants, err := c.tenants(ctx, q.TenantID)
	if err != nil {
		return Page{}, err
	}
	l := list{c: c, q: &q, now: now, ends: q.ends(now), tenants: map[string]*inventory.Tenant{}}
	l.ends.After = after
	for i := range tenants {
		l.tenants[tenants[i].ID] = &tenants[i]
	}
	if q.indexed() {
		err = l.walk(ctx)
	} else {
		err = l.pass(ctx)
	}
	if err != nil {
		return Page{}, err
	}
	p := Page{Tenants: tenants, LeftOut: l.leftOut}
	for _, e := range l.page() {
		p.Items = append(p.Items, e.Item)
	}
	if l.more {
		p.Next = q.next(now, l.last)
	}
	return p, nil
}

// list is a page in the making.
type list struct {
	c       *Catalog
	q       *Query
	now     time.Time
	ends    EndQuery
	tenants map[string]*inventory.Tenant
	entries []entry // in order
	last    End     // what the next page comes behind
	more    bool
	leftOut int
}

// entry is an application at its place in the list.
type entry struct {
	place End
	Item
}

// page cuts what was found to what a page has.
func (l *list) page() []entry {
	weight := 0
	for i := range l.entries {
		e := &l.entries[i]
		weight += len(e.Credentials) + len(e.Findings) + len(e.Owners) + len(e.Federated)
		if i == l.q.Limit || i > 0 && weight > maxWeight {
			l.more, l.last = true, l.entries[i-1].place
			return l.entries[:i]
		}
	}
	return l.entries
}

// settle makes the row what its managers have made of the application since the scan, and returns its place in the
// list. Where the order of ends has no such place, that is the one of before. Not ok: it is not in the list.
func (l *list) settle(row *Row, managers []inventory.Manager) (place End, ok bool) {
	scanned := row.Application
	row.Application = inventory.Since(scanned, l.tenants[row.TenantID].AsOf, managers)
	place = Place(&row.Application, l.now)
	ends := place.At
	if !slices.Contains(Ends(&scanned), place) {
		place = Place(&scanned, l.now)
	}
	return place, l.ends.has(ends) && l.ends.within(place)
}

// keep adds the application if it is what is asked for.
func (l *list) keep(place End, row Row, managers []inventory.Manager, known bool) {
	e := entry{place, l.c.item(row, l.tenants[place.TenantID], managers, known, l.now)}
	if l.q.finds(&e.Item) {
		l.entries = append(l.entries, e)
	}
}

// pass reads all rows. It never has more of them in memory than two pages.
func (l *list) pass(ctx context.Context) error {
	enough := l.q.Limit + 1
	sorted := func() {
		slices.SortFunc(l.entries, func(a, b entry) int { return a.place.Compare(b.place) })
		l.entries = l.entries[:min(enough, len(l.entries))]
	}
	var worst *End // of as many as are enough
	for _, t := range l.tenants {
		managers, known, err := l.c.Managers.All(ctx, t.ID)
		if err != nil {
			return l.c.explain(ctx, "reading the connections", err)
		}
		err = l.c.Store.Rows(ctx, t.ID, func(row Row) error {
			place, ok := l.settle(&row, managers[row.ClientID])
			if !ok || worst != nil && place.Compare(*worst) >= 0 || !l.q.names(&row.Application) {
				return nil
			}
			l.keep(place, row, managers[row.ClientID], known)
			if len(l.entries) >= 2*enough {
				sorted()
				worst = new(l.entries[enough-1].place)
			}
			return nil
		})
		n, err := l.c.readable(ctx, err)
		if err != nil {
			return l.c.explain(ctx, "reading the inventory", err)
		}
		l.leftOut += n
	}
	sorted()
	return nil
}
