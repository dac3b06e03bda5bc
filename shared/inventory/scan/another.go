package scan

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"rekey/shared/connection"
)

// another returns the connection through which the scan goes on where its own is gone, or is one of
// another tenant by now. Empty: its own is there, or there is no other. The one that a person has
// named meanwhile comes first; then the one with the most targets, since that is the most likely to
// read what the last one did. What it may not read is marked as unread.
func (p *pass) another(ctx context.Context) (string, error) {
	sc := p.t.Scan
	tenantID, err := p.tenantOf(ctx, sc.ConnectionID)
	if refused, ok := errors.AsType[*connection.Error](err); err == nil && tenantID == p.id ||
		err != nil && !(ok && refused.Kind == connection.NotFound) {
		return "", nil // where that is not known, the next scan asks again
	}
	of, err := p.managers(ctx)
	if err != nil {
		return "", err
	}
	targets := map[string]int{}
	for _, list := range of.managers {
		for _, m := range list {
			if targets[m.ConnectionID] += 0; m.TargetID != "" {
				targets[m.ConnectionID]++
			}
		}
	}
	ids := slices.SortedFunc(maps.Keys(targets), func(a, b string) int {
		return cmp.Or(cmp.Compare(targets[b], targets[a]), cmp.Compare(a, b))
	})
	for _, id := range append([]string{p.t.ConnectionID}, ids...) {
		if id == sc.ConnectionID {
			continue
		}
		if tenantID, err := p.tenantOf(ctx, id); err == nil && tenantID == p.id {
			return id, nil
		}
	}
	return "", nil
}

func (p *pass) tenantOf(ctx context.Context, connectionID string) (string, error) {
	ctx, cancel := p.within(ctx, p.stop)
	defer cancel()
	return p.Connections.TenantOf(ctx, connectionID)
}
