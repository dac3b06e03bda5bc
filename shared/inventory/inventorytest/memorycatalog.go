package inventorytest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/serviceerror"
)

// Tenants implements [catalog.Store].
func (s *MemoryStore) Tenants(context.Context) (all []inventory.Tenant, err error) {
	err = s.call("Tenants", func() error {
		for _, row := range s.tenants {
			all = append(all, row.tenant())
		}
		return nil
	})
	slices.SortFunc(all, func(a, b inventory.Tenant) int { return cmp.Compare(a.ID, b.ID) })
	return all, err
}

// Row implements [catalog.Store].
func (s *MemoryStore) Row(_ context.Context, key inventory.Key) (row catalog.Row, err error) {
	err = s.call("Row", func() error {
		if _, ok := s.rows[key]; !ok {
			return fmt.Errorf("reading an application: %w", serviceerror.ErrNotFound)
		}
		row = s.row(key)
		return nil
	})
	return row, err
}

func (s *MemoryStore) row(key inventory.Key) catalog.Row {
	row := catalog.Row{Application: decode[inventory.Application](s.rows[key].data)}
	if accepted, ok := s.accepted[key]; ok {
		row.Accepted = decode[[]inventory.Acceptance](accepted.data)
	}
	return row
}

// Rows implements [catalog.Store] and [scan.Store]. It goes through the rows without the lock, so
// that the visitor may use the store.
func (s *MemoryStore) Rows(_ context.Context, tenantID string, visit func(catalog.Row) error) error {
	var rows []catalog.Row
	err := s.call("Rows", func() error {
		for key := range s.rows {
			if key.TenantID == tenantID {
				rows = append(rows, s.row(key))
			}
		}
		return nil
	})
	for _, row := range rows {
		if err != nil {
			break
		}
		err = visit(row)
	}
	return err
}

// Ending implements [catalog.Store].
func (s *MemoryStore) Ending(_ context.Context, q catalog.EndQuery, limit int) (ends []catalog.End, more bool, err error) {
	err = s.call("Ending", func() error {
		for key, row := range s.rows {
			for _, end := range row.ends {
				if (q.TenantID == "" || q.TenantID == key.TenantID) && !end.At.Before(q.From) && (q.To.IsZero() || end.At.Before(q.To)) &&
					(q.After == nil || end.Compare(*q.After) > 0) {
					ends = append(ends, end)
				}
			}
		}
		return nil
	})
	slices.SortFunc(ends, catalog.End.Compare)
	limit = min(max(limit, 0), len(ends))
	return ends[:limit], limit < len(ends), err
}

// Accept implements [catalog.Store].
func (s *MemoryStore) Accept(_ context.Context, key inventory.Key,
	change func([]inventory.Acceptance) ([]inventory.Acceptance, error)) error {
	var was []inventory.Acceptance
	var etag int
	err := s.call("Row", func() error {
		if _, ok := s.rows[key]; !ok {
			return fmt.Errorf("reading an application: %w", serviceerror.ErrNotFound)
		}
		was, etag = s.row(key).Accepted, s.accepted[key].etag
		return nil
	})
	if err != nil {
		return err
	}
	is, err := change(was)
	if err != nil {
		return err
	}
	data := encode(is)
	return s.call("Accept", func() error {
		if _, ok := s.rows[key]; !ok {
			return fmt.Errorf("accepting a finding: %w", serviceerror.ErrNotFound)
		}
		if s.accepted[key].etag != etag {
			return fmt.Errorf("accepting a finding: %w", serviceerror.ErrConflict)
		}
		if len(is) == 0 {
			delete(s.accepted, key)
			return nil
		}
		s.etags++
		set(&s.accepted, key, acceptedRow{s.etags, data})
		return nil
	})
}

// Scan implements [catalog.Store].
func (s *MemoryStore) Scan(_ context.Context, scanID string) (found inventory.Scan, err error) {
	err = s.call("Scan", func() error {
		tenantID, _ := inventory.TenantOfScan(scanID)
		if row, ok := s.tenants[tenantID]; ok {
			if last := row.tenant().Scan; last != nil && last.ID == scanID {
				found = *last
				return nil
			}
		}
		data, ok := s.finished[scanID]
		if !ok {
			return fmt.Errorf("reading a scan: %w", serviceerror.ErrNotFound)
		}
		found = decode[inventory.Scan](data)
		return nil
	})
	return found, err
}

// Scans implements [catalog.Store].
func (s *MemoryStore) Scans(_ context.Context, tenantID string, limit int) (all []inventory.Scan, err error) {
	err = s.call("Scans", func() error {
		all = s.scansOf(tenantID)
		return nil
	})
	return all[:min(max(limit, 0), len(all))], err
}
