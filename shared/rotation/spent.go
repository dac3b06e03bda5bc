package rotation

import (
	"context"
	"errors"
	"slices"
)

// disable switches a staged version off whose attempt is over (rule R4).
func (p *pass) disable(ctx context.Context, rec Record, i int) (Record, error) {
	err := p.switchOff(ctx, &rec, rec.Spent[i])
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		p.log.Warn("disabling a staged version", "reason", Explain(err))
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		if err != nil {
			s := &rec.Spent[i]
			s.Tries++
			s.NextAt = now.Add(backoff(rec.ID, ClassOf(err), s.Tries, retryAfter(err)))
			return
		}
		rec.Spent = slices.Delete(rec.Spent, i, i+1)
	})
}

// switchOff disables one version, or all that bear the marker of an attempt of
// which nobody knows whether it staged anything.
func (p *pass) switchOff(ctx context.Context, rec *Record, spent Spent) error {
	if spent.VaultVersion != "" {
		return p.disableVersion(ctx, rec.StagedName(), spent.VaultVersion)
	}
	versions, err := p.versions(ctx, rec.StagedName())
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Enabled && p.ours(v.Tags, rec) && v.Tags[TagMarker] == spent.Marker {
			if err := p.disableVersion(ctx, rec.StagedName(), v.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pass) disableVersion(ctx context.Context, name, version string) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	if err := p.Vault.Disable(cctx, name, version); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
