package rotator

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// purge ends what a connection has in the vault and gives its claims and reservations
// back, in this order, so that dying in between leaves a record that the next pass goes on with.
func (p *pass) purge(ctx context.Context, rec *rotation.Record) error {
	err := p.purgeVault(ctx, rec)
	if err == nil {
		err = p.unclaim(ctx, rec.Dropped(&rotation.Record{}))
	}
	for _, res := range rec.Reservations() {
		if err == nil {
			err = p.releaseReservation(ctx, res)
		}
	}
	return err
}

// purgeVault takes out of the vault what is not to stay: the staged values always,
// the published one when creation is undone or everything is revoked. By default
// what is published stays, since consumers read it.
func (p *pass) purgeVault(ctx context.Context, rec *rotation.Record) error {
	for _, name := range []string{rec.StagedName(), rec.AuthName()} {
		if err := p.deleteOwned(ctx, rec, name); err != nil {
			return err
		}
	}
	switch {
	case rec.Undo && rec.Takeover != "":
		return p.restore(ctx, rec)
	case rec.Undo, rec.Revoke:
		return p.deleteOwned(ctx, rec, rec.VaultName)
	}
	return nil
}

// deleteOwned deletes a vault secret if it has versions of this connection.
func (p *pass) deleteOwned(ctx context.Context, rec *rotation.Record, name string) error {
	found, err := p.find(ctx, name, func(v rotation.VaultSecret) bool { return rec.Owns(p.Deployment, v.Tags) })
	if err != nil || found == nil {
		return err
	}
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	return p.Vault.Delete(cctx, name)
}

// restore publishes again what a deleted connection had left under the name that
// this one has adopted, if it still works.
func (p *pass) restore(ctx context.Context, rec *rotation.Record) error {
	latest, err := p.get(ctx, rec.VaultName, "")
	switch {
	case serviceerror.IsDisabled(err): // Rekey or not, it is not what was there
	case errors.Is(err, serviceerror.ErrNotFound):
		return nil
	case err != nil || !rec.Owns(p.Deployment, latest.Tags):
		return err
	}
	before, err := p.get(ctx, rec.VaultName, rec.Takeover)
	if serviceerror.Unreadable(err) {
		return nil // nothing to restore
	}
	if err != nil {
		return err
	}
	app := rotation.Application{TenantID: before.Tags[vaulttag.Tenant], ClientID: before.Tags[vaulttag.Client]}
	for n := 0; err == nil && n < p.Rules.Successes; n++ { // a value that does not work is not published again
		_, err = p.token(ctx, app, before.Value)
	}
	switch {
	case serviceerror.RefusesCredential(err):
		return p.disableVersion(ctx, rec.VaultName, latest.Version)
	case err != nil:
		return err
	}
	before.Version, before.Tags = "", maps.Clone(before.Tags)
	before.ExpiresAt = vaulttag.Expiry(p.now(), before.ExpiresAt)
	_, err = p.put(ctx, before, false)
	return err
}

func (p *pass) releaseReservation(ctx context.Context, res reservation.Row) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	return p.Store.Release(cctx, res)
}

// tryRelease gives a reservation up early; what fails here is made up for.
func (p *pass) tryRelease(ctx context.Context, res reservation.Row) {
	if err := p.releaseReservation(ctx, res); err != nil {
		p.log.Warn("releasing a reservation", "kind", string(res.Kind), "class", string(serviceerror.ClassOf(err)))
	}
}

// removeRecord deletes the record, after everything else of the connection.
func (p *pass) removeRecord(ctx context.Context, rec rotation.Record) (rotation.Record, error) {
	kind := history.Deleted
	if rec.Undo {
		kind = history.Undone
	}
	last := rec.Clone()
	last.CommitID = p.NewID()
	last.Version++
	cctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
	defer cancel()
	err := p.Store.Remove(cctx, last, rotation.Event{Kind: kind, At: p.now()})
	if err == nil {
		return rec, serviceerror.ErrNotFound
	}
	fresh, lerr := p.load(ctx)
	switch {
	case errors.Is(lerr, serviceerror.ErrNotFound):
		return rec, serviceerror.ErrNotFound
	case lerr != nil:
		return rec, fmt.Errorf("removing the record: %w", lerr)
	case fresh.Lease.Token != p.lease.Token:
		return fresh, ErrLeaseLost
	}
	return p.apply(ctx, fresh, rotation.Purge{}, rotation.Outcome{Err: err})
}
