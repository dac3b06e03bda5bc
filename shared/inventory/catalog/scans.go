package catalog

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

// scanForm is what the id of a scan may be: see [inventory.ScanID].
var scanForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9A-Za-z]{1,64}$`)

// Scan returns a scan by its id.
func (c *Catalog) Scan(ctx context.Context, id string) (inventory.Scan, error) {
	if !scanForm.MatchString(id) {
		return inventory.Scan{}, errNoScan
	}
	s, err := c.Store.Scan(ctx, id)
	if errors.Is(err, serviceerror.ErrNotFound) {
		return s, errNoScan
	}
	if err != nil {
		return s, c.explain(ctx, "reading the scan", err)
	}
	return s, nil
}

// Scans returns up to limit scans of a tenant, or of all of them if tenantID is empty, the newest
// first. The one that is under way is among them.
func (c *Catalog) Scans(ctx context.Context, tenantID string, limit int) ([]inventory.Scan, error) {
	tenants, err := c.tenants(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	var all []inventory.Scan
	for _, t := range tenants {
		scans, err := c.Store.Scans(ctx, t.ID, limit)
		if _, err := c.readable(ctx, err); err != nil {
			return nil, c.explain(ctx, "reading the scans", err)
		}
		if t.Scan != nil && !slices.ContainsFunc(scans, func(s inventory.Scan) bool { return s.ID == t.Scan.ID }) {
			scans = append(scans, *t.Scan)
		}
		all = append(all, scans...)
	}
	slices.SortStableFunc(all, func(a, b inventory.Scan) int { return b.StartedAt.Compare(a.StartedAt) })
	return all[:min(limit, len(all))], nil
}

// RequestScan asks for a scan of a connection's tenant. It returns the one that is under way, if
// there is one; or the one that the same request began before, if in.Random names that.
func (c *Catalog) RequestScan(ctx context.Context, in Request) (inventory.Scan, error) {
	if in.Random != "" {
		s, err := c.Store.Scan(ctx, inventory.ScanID(in.TenantID, in.Random))
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, serviceerror.ErrNotFound) {
			return s, c.explain(ctx, "looking for the scan", err)
		}
	}
	s, err := c.Scanner.Request(ctx, in)
	if err != nil {
		return s, c.explain(ctx, "asking for the scan", err)
	}
	c.log().InfoContext(ctx, "scan requested", "caller", in.Caller, "from", in.From, "connection", in.ConnectionID, "tenant", in.TenantID,
		"scan", s.ID)
	return s, nil
}
