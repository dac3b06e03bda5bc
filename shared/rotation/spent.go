package rotation

import (
	"context"
	"errors"
	"slices"

	"rekey/shared/serviceerror"
)

// disable switches a staged version off whose attempt is over (rule R4).
func (p *pass) disable(ctx context.Context, rec Record, i int) (Record, error) {
	err := p.switchOff(ctx, &rec, rec.Spent[i])
	if errors.Is(err, errNoTime) || ctx.Err() != nil {
		return rec, errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		p.log.Warn("disabling a staged version", "reason", serviceerror.Explain(err))
	}
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		if err != nil {
			s := &rec.Spent[i]
			s.Tries++
			s.NextAt = now.Add(backoff(rec.ID, serviceerror.ClassOf(err), s.Tries, serviceerror.RetryAfterOf(err)))
			return
		}
		rec.Spent = slices.Delete(rec.Spent, i, i+1)
	})
}

// switchOff disables one version, or all that bear the marker of an attempt of
// which nobody knows whether it staged anything, or all credentials that were
// replaced.
func (p *pass) switchOff(ctx context.Context, rec *Record, spent Spent) error {
	name := rec.StagedName()
	if spent.Auth {
		name = rec.AuthName()
	}
	if spent.VaultVersion != "" {
		return p.disableVersion(ctx, name, spent.VaultVersion)
	}
	versions, err := p.versions(ctx, name)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Enabled && p.ours(v.Tags, rec) && !rec.inUse(v.Version) && p.isSpent(rec, spent, v) {
			if err := p.disableVersion(ctx, name, v.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

// isSpent reports whether a version that is not in use is what spent means. Of what
// was replaced, one that is young may be about to be used, and so may one whose marker
// is listed.
func (p *pass) isSpent(rec *Record, spent Spent, v VaultSecret) bool {
	marker := v.Tags[TagMarker]
	if spent.Marker != "" {
		return marker == spent.Marker
	}
	listed := slices.ContainsFunc(rec.Spent, func(o Spent) bool { return o.Marker != "" && o.Marker == marker })
	return !listed && !v.CreatedAt.After(p.now().Add(-Replaced))
}

func (p *pass) disableVersion(ctx context.Context, name, version string) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	if err := p.Vault.Disable(cctx, name, version); !errors.Is(err, serviceerror.ErrNotFound) {
		return err
	}
	return nil
}
