package rotator

import (
	"context"
	"errors"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// renewClaims makes the rows of the record's claims young again. It reports whether one is
// gone: then another connection may have claimed the application meanwhile.
func (p *pass) renewClaims(ctx context.Context, rec *rotation.Record) (gone bool, err error) {
	for _, c := range rec.Claimed {
		row := rec.ClaimRow(c)
		row.At = p.now()
		cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
		if err != nil {
			return false, err
		}
		err = p.Store.RenewClaim(cctx, row)
		cancel()
		if errors.Is(err, serviceerror.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// unclaim removes the rows of claims that a record has dropped, or goes with. A row is of
// one claim for ever, so that this takes nothing away that was claimed again since.
func (p *pass) unclaim(ctx context.Context, rows []rotation.ClaimRow) error {
	for _, row := range rows {
		cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
		if err != nil {
			return err
		}
		err = p.Store.Unclaim(cctx, row)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// tryUnclaim is unclaim where nothing depends on it: the rows become void by themselves.
func (p *pass) tryUnclaim(ctx context.Context, rows []rotation.ClaimRow) {
	if err := p.unclaim(ctx, rows); err != nil {
		p.log.Warn("removing claims", "class", string(serviceerror.ClassOf(err)))
	}
}
