package scan

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// writeRows brings the rows to what the pages say, one part of the applications after another. A
// part is first compared, and what has changed in it is committed; then its rows are written.
// A pass that finds a part compared writes what is not written of it yet, and compares it no more.
func (p *pass) writeRows(ctx context.Context) error {
	sc := p.t.Scan
	if p.written == sc.Parts {
		return p.complete(ctx)
	}
	if !acquire(ctx, p.merging, p.stop.Sub(p.now())) {
		return errNoTime
	}
	defer func() { <-p.merging }()
	part, err := p.merge(ctx, p.written)
	if err != nil {
		return p.startOver(ctx, err)
	}
	if part.number == sc.Part {
		next := p.next()
		next.Scan.Part++
		next.Scan.Result = part.comparison.Result()
		if err := p.commit(ctx, next, Write{}); err != nil {
			return err
		}
	}
	slices.SortFunc(part.write, func(a, b inventory.Application) int { return strings.Compare(a.ClientID, b.ClientID) })
	for apps := range slices.Chunk(part.write, putAtOnce) {
		if err := p.put(ctx, apps, nil); err != nil {
			return err
		}
	}
	for keys := range slices.Chunk(part.gone, putAtOnce) {
		if err := p.put(ctx, nil, keys); err != nil {
			return err
		}
	}
	p.written++
	return nil
}

// putAtOnce is for how many applications the store is asked at once, in the order of their ids, since it
// looks for those that are there by ranges.
const putAtOnce = 500

// put writes rows.
func (p *pass) put(ctx context.Context, write []inventory.Application, gone []inventory.Key) error {
	err := p.insist(ctx, func(ctx context.Context) error {
		rows, err := p.Store.Put(ctx, write, gone)
		p.rows += rows
		return err
	})
	if err != nil {
		return fmt.Errorf("writing rows: %w", err)
	}
	return nil
}

// part is a part of a tenant's applications, on its way into the rows.
type part struct {
	number     int
	comparison *inventory.Comparison
	write      []inventory.Application
	gone       []inventory.Key
}

// merge reads the pages and the rows, and puts together what they say about the applications of
// one part.
func (p *pass) merge(ctx context.Context, number int) (*part, error) {
	if err := p.readManagers(ctx); err != nil {
		return nil, err
	}
	var m *merging
	err := p.insistLong(ctx, func(ctx context.Context) error {
		m = p.newPart(number)
		if err := p.pages(ctx, m.page); err != nil {
			return fmt.Errorf("reading the pages: %w", err)
		}
		if err := p.eachRow(ctx, m.row); err != nil {
			return fmt.Errorf("reading the rows: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, app := range m.apps {
		m.conclude(nil, app, nil)
	}
	return m.part, nil
}

func (p *pass) newPart(number int) *merging {
	sc := p.t.Scan
	m := &merging{
		pass: p, part: &part{number: number, comparison: inventory.Compare(p.t.AsOf, sc.StartedAt, sc.Result)},
		apps: map[string]*inventory.Application{},
	}
	for _, u := range sc.Unread {
		m.refused = append(m.refused, u.List)
	}
	return m
}

// merging is what is known of the applications of a part while its pages and rows are read.
type merging struct {
	*pass
	part    *part
	refused []inventory.List
	apps    map[string]*inventory.Application // by client id, without those that are done
}

// in reports whether an application is of this part.
func (m *merging) in(clientID string) bool {
	if m.t.Scan.Parts == 1 {
		return true
	}
	h := fnv.New32a()
	h.Write([]byte(clientID)) // never fails
	return int(h.Sum32()%uint32(m.t.Scan.Parts)) == m.part.number
}

// page takes up what a page says.
func (m *merging) page(list inventory.List, apps []inventory.Application) {
	for i := range apps {
		id := apps[i].ClientID
		if !m.in(id) {
			continue
		}
		if m.apps[id] == nil {
			m.apps[id] = &inventory.Application{Key: apps[i].Key}
		}
		inventory.Merge(m.apps[id], list, apps[i])
	}
}

// row concludes what is said about an application that has a row.
func (m *merging) row(row *catalog.Row) {
	if !m.in(row.ClientID) {
		return
	}
	app := m.apps[row.ClientID]
	if app == nil {
		app = &inventory.Application{Key: row.Key}
	}
	delete(m.apps, row.ClientID)
	m.conclude(&row.Application, app, row.Accepted)
}

// conclude counts an application, and notes whether its row has to be written or deleted.
func (m *merging) conclude(former, app *inventory.Application, accepted []inventory.Acceptance) {
	write := app.Conclude(former, m.refused, m.t.Scan.StartedAt)
	facts := m.facts(app.ClientID)
	switch {
	case app.Kept():
		m.part.comparison.Add(former, app, facts, accepted)
		if write || !slices.Equal(app.Noted, former.Noted) {
			m.part.write = append(m.part.write, *app)
		}
	case former != nil:
		m.part.comparison.Add(former, nil, facts, accepted)
		m.part.gone = append(m.part.gone, former.Key)
	}
}

// facts are what findings about an application rest on.
func (p *pass) facts(clientID string) inventory.Facts {
	return inventory.Facts{
		Deployment: p.Deployment, Longest: p.t.Scan.Longest, Activity: !p.refused(inventory.Activity), Owners: true,
		Known: p.known.all, Managers: p.known.managers[clientID],
	}
}

// known are the managers of the tenant's applications.
type known struct {
	managers map[string][]inventory.Manager
	all      bool // every record could be read
}

// readManagers reads them once the pages are there: what a rotation issues before the directory
// was read must be on a record by then.
func (p *pass) readManagers(ctx context.Context) (err error) {
	if p.known == nil {
		p.known, err = p.managers(ctx)
	}
	return err
}

func (p *pass) managers(ctx context.Context) (*known, error) {
	k := &known{}
	err := p.insistLong(ctx, func(ctx context.Context) (err error) {
		k.managers, k.all, err = p.Managers.All(ctx, p.id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading who manages applications: %w", err)
	}
	return k, nil
}
