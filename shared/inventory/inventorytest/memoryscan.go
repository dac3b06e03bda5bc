package inventorytest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rekey/shared/index"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

// Tenant implements [scan.Store].
func (s *MemoryStore) Tenant(_ context.Context, tenantID string) (t inventory.Tenant, err error) {
	err = s.call("Tenant", func() error {
		row, ok := s.tenants[tenantID]
		if !ok {
			return fmt.Errorf("reading a tenant: %w", serviceerror.ErrNotFound)
		}
		t = row.tenant()
		return nil
	})
	return t, err
}

func (r tenantRow) tenant() inventory.Tenant {
	t := decode[inventory.Tenant](r.data)
	t.Handle = inventory.Handle{ETag: r.etag, Wake: t.WakeAt}
	return t
}

// Commit implements [scan.Store].
func (s *MemoryStore) Commit(_ context.Context, t inventory.Tenant, w scan.Write) (inventory.Tenant, error) {
	if err := checkCommit(t, w); err != nil {
		return t, err
	}
	t.WakeAt = roundUp(t.WakeAt)
	saved, data := t, encode(t)
	page, finished := encodePage(w.Page), encode(w.Finished)
	err := s.call("Commit", func() error {
		if row, ok := s.tenants[t.ID]; ok != (t.Handle.ETag != "") || row.etag != t.Handle.ETag {
			return fmt.Errorf("committing a tenant: %w", serviceerror.ErrConflict)
		}
		s.etags++
		saved.Handle = inventory.Handle{ETag: strconv.Itoa(s.etags), Wake: t.WakeAt}
		set(&s.tenants, t.ID, tenantRow{saved.Handle.ETag, data})
		if w.Page != nil {
			set(&s.pages, pageID{w.Page.ScanID, w.Page.Number}, page)
		}
		if w.Finished != nil {
			set(&s.finished, w.Finished.ID, finished)
		}
		if w.Notice != nil && !s.Silent {
			s.notices = append(s.notices, *w.Notice)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	return saved, nil
}

// checkCommit refuses what a table would: its keys would not be those of the tenant.
func checkCommit(t inventory.Tenant, w scan.Write) error {
	of := func(scanID string) bool {
		tenantID, ok := inventory.TenantOfScan(scanID)
		return ok && tenantID == t.ID
	}
	switch {
	case !inventory.ValidID(t.ID):
		return refused("a tenant's id is a GUID in lower case")
	case w.Page != nil && (!of(w.Page.ScanID) || w.Page.Number < 0),
		w.Finished != nil && !of(w.Finished.ID), w.Notice != nil && w.Notice.TenantID != t.ID:
		return refused("what goes with a commit is of the same tenant")
	}
	return nil
}

func encodePage(p *scan.KeptPage) []byte {
	if p == nil {
		return nil
	}
	stored := *p
	stored.Applications = nil
	for _, app := range p.Applications {
		stored.Applications = append(stored.Applications, app.Storable())
	}
	return encode(stored)
}

// Due returns what is due, as [rotator.Store] does.
func (s *MemoryStore) Due(_ context.Context, until time.Time, limit int) (due []index.Due, err error) {
	err = s.call("Due", func() error {
		for id, row := range s.tenants {
			if wake := row.tenant().WakeAt; !wake.IsZero() && !wake.After(until) {
				due = append(due, index.Due{ID: inventory.DueID(id), Wake: wake})
			}
		}
		return nil
	})
	slices.SortFunc(due, func(a, b index.Due) int { return cmp.Or(a.Wake.Compare(b.Wake), cmp.Compare(a.ID, b.ID)) })
	return due[:min(limit, len(due))], err
}

// Pages implements [scan.Store].
func (s *MemoryStore) Pages(_ context.Context, scanID string,
	visit func(number int, list inventory.List, apps []inventory.Application) error) error {
	var pages [][]byte
	err := s.call("Pages", func() error {
		var ids []pageID
		for id := range s.pages {
			if id.scanID == scanID {
				ids = append(ids, id)
			}
		}
		slices.SortFunc(ids, func(a, b pageID) int { return cmp.Compare(a.number, b.number) })
		for _, id := range ids {
			pages = append(pages, s.pages[id])
		}
		return nil
	})
	for _, data := range pages {
		if err != nil {
			break
		}
		page := decode[scan.KeptPage](data)
		err = visit(page.Number, page.List, page.Applications)
	}
	return err
}

// DropPages implements [scan.Store].
func (s *MemoryStore) DropPages(_ context.Context, tenantID, keep string) error {
	return s.call("DropPages", func() error {
		maps.DeleteFunc(s.pages, func(id pageID, _ []byte) bool {
			return strings.HasPrefix(id.scanID, tenantID+"-") && id.scanID != keep
		})
		return nil
	})
}

// Put implements [scan.Store].
func (s *MemoryStore) Put(_ context.Context, write []inventory.Application, gone []inventory.Key) (rows int, err error) {
	if err := checkPut(write, gone); err != nil {
		return 0, err
	}
	for _, app := range write {
		app = app.Storable()
		if err := s.putOne(app.Key, &appRow{encode(app), catalog.Ends(&app)}, &rows); err != nil {
			return rows, err
		}
	}
	for _, key := range gone {
		if err := s.putOne(key, nil, &rows); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// putOne writes one application, or deletes it. It counts the rows that a table would have
// written: that of the application, those by end, and what was accepted.
func (s *MemoryStore) putOne(key inventory.Key, is *appRow, rows *int) error {
	written := 0
	err := s.call("Put", func() error {
		was, there := s.rows[key]
		if is == nil && !there || is != nil && there && string(was.data) == string(is.data) {
			return nil
		}
		var ends []catalog.End
		if is != nil {
			ends = is.ends
		}
		written = 1 + missing(ends, was.ends) + missing(was.ends, ends)
		if is != nil {
			set(&s.rows, key, *is)
			return nil
		}
		if _, ok := s.accepted[key]; ok {
			written++
		}
		delete(s.rows, key)
		delete(s.accepted, key)
		return nil
	})
	*rows += written
	return err
}

// missing counts the ends that are not among others.
func missing(ends, others []catalog.End) (n int) {
	in := map[catalog.End]bool{}
	for _, end := range others {
		in[end] = true
	}
	for _, end := range ends {
		if !in[end] {
			n++
		}
	}
	return n
}

// checkPut refuses what a table would.
func checkPut(write []inventory.Application, gone []inventory.Key) error {
	seen := map[inventory.Key]bool{}
	for _, app := range write {
		gone = append(gone[:len(gone):len(gone)], app.Key)
	}
	for _, key := range gone {
		if !inventory.ValidID(key.TenantID) || !inventory.ValidID(key.ClientID) {
			return refused("the ids of a tenant and of an application are GUIDs in lower case")
		}
		if seen[key] {
			return refused("an application is named twice")
		}
		seen[key] = true
	}
	return nil
}

// PruneScans implements [scan.Store].
func (s *MemoryStore) PruneScans(_ context.Context, tenantID string, keep int) error {
	return s.call("PruneScans", func() error {
		for i, one := range s.scansOf(tenantID) {
			if i >= keep {
				delete(s.finished, one.ID)
			}
		}
		return nil
	})
}

// scansOf returns the finished scans of a tenant, the newest first.
func (s *MemoryStore) scansOf(tenantID string) (all []inventory.Scan) {
	for id, data := range s.finished {
		if of, ok := inventory.TenantOfScan(id); ok && of == tenantID {
			all = append(all, decode[inventory.Scan](data))
		}
	}
	slices.SortFunc(all, func(a, b inventory.Scan) int {
		return cmp.Or(b.StartedAt.Truncate(time.Second).Compare(a.StartedAt.Truncate(time.Second)), cmp.Compare(a.ID, b.ID))
	})
	return all
}
