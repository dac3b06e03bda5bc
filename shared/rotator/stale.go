package rotator

import (
	"context"
	"errors"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// disableStale switches off the versions that are known to be done with and, when it is
// time to look, those that are found.
func (p *pass) disableStale(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	for _, version := range rec.Stale.Versions {
		if out.Err = p.disableVersion(ctx, rec.StagedName(), version); out.Err != nil {
			return out
		}
		out.Disabled = append(out.Disabled, version)
	}
	if at := rec.Stale.LookAt; !at.IsZero() && !at.After(p.now()) {
		out.Looked = at
		out.LookAgainAt, out.Err = p.disableFound(ctx, rec)
	}
	return out
}

// disableFound lists what the connection has staged or authenticated with and disables what
// is stale. Of what is too young yet it returns when it no longer is.
func (p *pass) disableFound(ctx context.Context, rec *rotation.Record) (again time.Time, err error) {
	for _, name := range rec.StaleNames() {
		versions, err := p.versions(ctx, name)
		if err != nil {
			return again, err
		}
		for _, v := range versions {
			if !v.Enabled || !rec.Owns(p.Deployment, v.Tags) || rec.InUse(v) {
				continue
			}
			if old := v.CreatedAt.Add(rotation.StaleAge); old.After(p.now()) {
				if old.After(again) {
					again = old
				}
				continue
			}
			if err := p.disableVersion(ctx, name, v.Version); err != nil {
				return again, err
			}
		}
	}
	return again, nil
}

// disableVersion switches off one version; one that is gone is as good as that.
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
