package scan

import (
	"context"

	"rekey/shared/history"
	"rekey/shared/inventory"
)

// complete ends the scan: from now on the rows show it.
func (p *pass) complete(ctx context.Context) error {
	next := p.next()
	sc := next.Scan
	sc.Phase, sc.FinishedAt = inventory.Complete, p.now()
	p.succeeded(sc)
	next.AsOf, next.Unread, next.Longest, next.Told = sc.StartedAt, sc.Unread, sc.Longest, false
	w := Write{Finished: sc}
	if text := inventory.Words(sc.Result, p.t.AsOf.IsZero()); text != "" {
		w.Notice = &Notice{
			TenantID: p.id, ConnectionID: sc.ConnectionID, ScanID: sc.ID, At: sc.FinishedAt, Kind: history.InventoryFindings, Message: text,
		}
	}
	return p.commit(ctx, next, w)
}

// ended tells of the scan that has ended, if that was in this pass, and clears up behind it. If
// the pass before has died, it may not have come to that.
func (p *pass) ended(ctx context.Context, now bool) {
	if now && p.Observer != nil {
		p.Observer.Ended(ctx, p.t)
	}
	if !now && !p.died {
		return
	}
	p.clean(ctx)
	err := p.insist(ctx, func(ctx context.Context) error { return p.Store.PruneScans(ctx, p.id, manyScans) })
	if err != nil {
		p.logger.Warn("deleting old scans", "reason", err.Error())
	}
}

// clean deletes the pages of all scans but the one under way. What it can't do now the beginning of
// the next scan does.
func (p *pass) clean(ctx context.Context) {
	keep := ""
	if underWay(&p.t) {
		keep = p.t.Scan.ID
	}
	if err := p.insistLong(ctx, func(ctx context.Context) error { return p.Store.DropPages(ctx, p.id, keep) }); err != nil {
		p.logger.Warn("deleting pages of scans", "reason", err.Error())
	}
}
