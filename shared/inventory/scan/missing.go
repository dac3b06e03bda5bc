package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// survey is what the pages of all lists show, and what they do not show of the rows.
type survey struct {
	applications int
	// missing are rows of which the directory had something that no list shows and that was not
	// looked for yet: with the id of the registration, of the service principal, or both.
	missing []inventory.Application
}

// shown says which lists show an application.
type shown struct{ registration, principal, lookedFor bool }

// look goes through the pages and the rows.
func (p *pass) look(ctx context.Context) (*survey, error) {
	found := map[string]shown{}
	err := p.pages(ctx, func(list inventory.List, apps []inventory.Application) {
		for i := range apps {
			s := found[apps[i].ClientID]
			s.registration = s.registration || list == inventory.Applications
			s.principal = s.principal || list == inventory.Principals
			s.lookedFor = s.lookedFor || list == inventory.Missing
			found[apps[i].ClientID] = s
		}
	})
	if err != nil {
		return nil, err
	}
	v := &survey{applications: len(found)}
	refused := p.refused(inventory.Principals)
	err = p.eachRow(ctx, func(row *catalog.Row) {
		s := found[row.ClientID]
		m := inventory.Application{Key: row.Key}
		if !s.registration {
			m.ObjectID = row.ObjectID
		}
		if !s.principal && !refused {
			m.PrincipalID = row.PrincipalID
		}
		if !s.lookedFor && (m.ObjectID != "" || m.PrincipalID != "") {
			v.missing = append(v.missing, m)
		}
		if s == (shown{}) {
			v.applications++
		}
	})
	slices.SortFunc(v.missing, func(a, b inventory.Application) int { return strings.Compare(a.ClientID, b.ClientID) })
	return v, err
}

// errPagesLost says that a page of the scan is not there.
var errPagesLost = errors.New("a page of the scan is not there any more")

// pages calls visit with every page of the scan. One that is not there would make applications
// look as if they were gone.
func (p *pass) pages(ctx context.Context, visit func(inventory.List, []inventory.Application)) error {
	n := 0
	err := p.Store.Pages(ctx, p.t.Scan.ID, func(number int, list inventory.List, apps []inventory.Application) error {
		switch {
		case number >= p.t.Scan.Pages: // of a list that has begun again since
			return nil
		case number != n:
			return errPagesLost
		}
		n++
		visit(list, apps)
		return nil
	})
	if err == nil && n < p.t.Scan.Pages {
		err = errPagesLost
	}
	return err
}

// eachRow calls visit with every row of the tenant that can be read; the others are written anew.
func (p *pass) eachRow(ctx context.Context, visit func(*catalog.Row)) error {
	err := p.Store.Rows(ctx, p.id, func(row catalog.Row) error {
		visit(&row)
		return nil
	})
	if some, ok := errors.AsType[leftOut](err); ok {
		p.logger.Warn("rows of an inventory can't be read, as after a rollback", "rows", some.LeftOut())
		return nil
	}
	return err
}

// leftOut is the error of a list of rows of which some could not be read.
type leftOut interface {
	error
	LeftOut() int
}

// refused reports whether a list was left unread.
func (p *pass) refused(list inventory.List) bool {
	return slices.ContainsFunc(p.t.Scan.Unread, func(u inventory.Unread) bool { return u.List == list })
}

const (
	// lookAtOnce is for how many applications the pass looks between two commits, and askAtOnce for
	// how many at the same time.
	lookAtOnce = 40
	askAtOnce  = 4
)

// lookForMissing looks for some of what no list showed, and keeps the answers.
func (p *pass) lookForMissing(ctx context.Context) error {
	if p.seen == nil {
		err := p.insistLong(ctx, func(ctx context.Context) (err error) {
			p.seen, err = p.look(ctx)
			return err
		})
		if err != nil {
			p.seen = nil
			return p.startOver(ctx, fmt.Errorf("looking for what no list shows: %w", err))
		}
	}
	next := p.next()
	if len(p.seen.missing) == 0 {
		p.advance(next.Scan)
		return p.commit(ctx, next, Write{})
	}
	n := min(len(p.seen.missing), lookAtOnce)
	answered, left, err := p.exist(ctx, p.seen.missing[:n])
	if len(answered) == 0 {
		return p.failed(ctx, inventory.Missing, err)
	}
	p.succeeded(next.Scan)
	page := &KeptPage{ScanID: next.Scan.ID, Number: next.Scan.Pages, List: inventory.Missing, Applications: answered}
	next.Scan.Pages++
	if failed := p.commit(ctx, next, Write{Page: page}); failed != nil {
		p.seen = nil
		return failed
	}
	p.seen.missing = append(left, p.seen.missing[n:]...)
	if err != nil { // for some of them
		return p.failed(ctx, inventory.Missing, err)
	}
	return nil
}

// exist looks for applications. It returns those for which the directory has answered, with the
// ids of what is there, and those for which it has not, with one of the reasons.
func (p *pass) exist(ctx context.Context, apps []inventory.Application) (answered, left []inventory.Application, err error) {
	token, err := p.signIn(ctx)
	if err != nil {
		return nil, apps, err
	}
	found, errs := slices.Clone(apps), make([]error, len(apps))
	all := errgroup.Group{}
	all.SetLimit(askAtOnce)
	for i := range apps {
		all.Go(func() error {
			errs[i] = p.send(ctx, inventory.Missing, func(ctx context.Context) error {
				registration, principal, err := p.Directory.Exists(ctx, token, apps[i].ClientID)
				if !registration {
					found[i].ObjectID = ""
				}
				if !principal {
					found[i].PrincipalID = ""
				}
				return err
			})
			return nil
		})
	}
	_ = all.Wait() // each has its own error
	p.calls += 2 * len(apps)
	for i := range apps {
		if errs[i] == nil {
			answered = append(answered, found[i])
		} else {
			left, err = append(left, apps[i]), errs[i]
		}
	}
	return answered, left, err
}

// parts is in how many parts the applications fit into memory.
func (p *pass) parts() int {
	size := p.PartSize
	if size <= 0 {
		size = manyApplications
	}
	return max(1, (p.seen.applications+size-1)/size)
}
