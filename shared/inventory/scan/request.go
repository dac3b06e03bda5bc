package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// brief is how long a request works on the scan that it begins: what is small is ready by then,
// and what is refused shows.
const brief = 10 * time.Second

// Request implements [catalog.Scanner].
func (s *Scanner) Request(ctx context.Context, in catalog.Request) (inventory.Scan, error) {
	tenantID, err := s.Connections.TenantOf(ctx, in.ConnectionID)
	if err != nil {
		return inventory.Scan{}, err
	}
	sc, began, err := s.ask(ctx, tenantID, in)
	if err != nil || !began {
		return sc, err
	}
	if err := s.Pass(ctx, tenantID, s.now().Add(cmp.Or(s.Brief, brief))); err != nil {
		s.log().WarnContext(ctx, "scan of a request left to the timer", "tenant", tenantID, "reason", err.Error())
	}
	if t, err := s.Store.Tenant(ctx, tenantID); err == nil && t.Scan != nil && t.Scan.ID == sc.ID {
		sc = *t.Scan
	}
	return sc, nil
}

// ask writes the request on the tenant. Of two callers at once one begins a scan, and the other
// gets it.
func (s *Scanner) ask(ctx context.Context, tenantID string, in catalog.Request) (sc inventory.Scan, began bool, err error) {
	id := "" // of what this request begins, or has begun
	if in.Random != "" {
		id = inventory.ScanID(tenantID, in.Random)
	}
	for try := 1; ; try++ {
		t, err := s.Store.Tenant(ctx, tenantID)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound):
			t = inventory.Tenant{ID: tenantID, Daily: true, Since: s.now()}
		case err != nil:
			return sc, false, fmt.Errorf("reading the tenant: %w", err)
		case t.Scan != nil && t.Scan.ID == id: // an answer was lost
			return *t.Scan, true, nil
		}
		next := t
		next.ConnectionID = in.ConnectionID
		if in.Daily != nil {
			next.Daily = *in.Daily
		}
		began = !underWay(&t)
		if began {
			now := s.now()
			next.Scan = s.newScan(&next, now, rotation.OnRequest)
			next.Scan.RequestedBy, next.WakeAt = in.By, now
			next.Scan.ID = cmp.Or(id, next.Scan.ID)
			if !t.Daily { // none was to come until now
				next.Since, next.Told = now, false
			}
			id = next.Scan.ID
		} else if next.ConnectionID == t.ConnectionID && next.Daily == t.Daily {
			return *t.Scan, false, nil
		}
		next.Version++
		_, err = s.Store.Commit(ctx, next, Write{})
		switch {
		case err == nil:
			return *next.Scan, began, nil
		case try == tries:
			return sc, false, fmt.Errorf("writing the tenant: %w", err)
		}
		select {
		case <-time.After(pause(try)):
		case <-ctx.Done():
			return sc, false, context.Cause(ctx)
		}
	}
}
