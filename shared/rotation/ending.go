package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"rekey/shared/serviceerror"
)

// beginRebind starts to prove the new credential that the caller gave. It is
// staged already, in a version of its own.
func (p *pass) beginRebind(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	asked := rec.Request
	next := asked.Next
	run := Run{
		ID: asked.ID, Trigger: OnRebind, By: asked.By, StartedAt: now, Attempt: 1, Target: asked.Target, Grace: rec.Policy.Grace, Keep: asked.Keep,
		KeyID: next.KeyID, StagedVersion: next.VaultVersion, Hint: next.Hint, ExpiresAt: next.ExpiresAt, Origin: next.Origin,
		IssuedAt: asked.At, NextCheck: now, Deadline: now.Add(p.Rules.Attempt),
	}
	return p.commit(ctx, rec, func(rec *Record) {
		r := run
		rec.Run, rec.Phase = &r, Rebinding
		clearRequest(rec, asked)
		retryNow(rec, now)
	}, Event{Kind: EventCredentialGiven, RunID: run.ID, KeyID: run.KeyID, By: run.By})
}

// beginDelete turns to deleting. From here on the connection does not exist for
// the API, and its name is free.
func (p *pass) beginDelete(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	asked := rec.Request
	got, err := p.commit(ctx, rec, func(rec *Record) {
		rec.Undo = rec.Undo || rec.Phase == Creating
		rec.Revoke = rec.Revoke || asked.Revoke
		if rec.Run != nil {
			p.dropRun(rec, now, "abandoned", "the connection was deleted")
		}
		rec.Phase, rec.Error, rec.Request = Deleting, nil, nil
		hasten(rec, now)
	}, Event{Kind: EventDeleting, By: asked.By})
	if err == nil {
		p.releaseReservation(ctx, NameReservation(rec.Project, rec.Name, rec.ID)) // if we die here, purge does it
	}
	return got, err
}

// revokeCurrent gives up the last credential. Nothing is left to do but this.
func (p *pass) revokeCurrent(ctx context.Context, rec Record) (Record, error) {
	now := p.now()
	return p.commit(ctx, rec, func(rec *Record) {
		p.retire(rec, *rec.Current, now, !rec.Delegated()) // else who acts for it can look whether it is gone
		rec.Current = nil
	})
}

// purge ends the connection: vault, reservations, rows, in this order, so that
// dying between them leaves a row that the next pass goes on with.
func (p *pass) purge(ctx context.Context, rec Record) (Record, error) {
	err := p.purgeVault(ctx, &rec)
	for _, res := range rec.Reservations() {
		if err == nil {
			err = p.release1(ctx, res)
		}
	}
	if err == nil && !rec.Rotates() { // it may have rotated before
		err = p.release1(ctx, ApplicationReservation(rec.Target, rec.ID))
	}
	if err != nil {
		return p.fail(ctx, rec, err, nil)
	}
	kind := EventDeleted
	if rec.Undo {
		kind = EventUndone
	}
	rec = rec.Clone()
	rec.CommitID = p.NewID()
	rec.Version++
	cctx, cancel := context.WithTimeout(ctx, p.Rules.CallTimeout)
	defer cancel()
	err = p.Store.Remove(cctx, rec, Event{Kind: kind, At: p.now()})
	if err != nil {
		fresh, lerr := p.load(ctx)
		switch {
		case lerr == nil && fresh.Lease.Token != p.lease.Token:
			return fresh, ErrLeaseLost
		case lerr == nil:
			return p.fail(ctx, fresh, err, nil)
		}
		err = lerr
		if !errors.Is(err, serviceerror.ErrNotFound) {
			return rec, fmt.Errorf("removing the record: %w", err)
		}
	}
	return rec, serviceerror.ErrNotFound
}

// purgeVault takes out of the vault what is not to stay: the staged values always,
// the published one when creation is undone or everything is revoked. By default
// what is published stays, since consumers read it.
func (p *pass) purgeVault(ctx context.Context, rec *Record) error {
	for _, name := range []string{rec.StagedName(), rec.AuthName()} {
		if err := p.deleteOurs(ctx, rec, name); err != nil {
			return err
		}
	}
	switch {
	case rec.Undo && rec.Takeover != "":
		return p.giveBack(ctx, rec)
	case rec.Undo, rec.Revoke:
		return p.deleteOurs(ctx, rec, rec.VaultName)
	}
	return nil
}

// deleteOurs deletes a secret if its versions are ours.
func (p *pass) deleteOurs(ctx context.Context, rec *Record, name string) error {
	found, err := p.find(ctx, name, func(v VaultSecret) bool { return p.ours(v.Tags, rec) })
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

// giveBack publishes again what a deleted connection had left under the name that
// this one took over.
func (p *pass) giveBack(ctx context.Context, rec *Record) error {
	latest, err := p.get(ctx, rec.VaultName, "")
	switch {
	case serviceerror.IsDisabled(err): // ours or not, it is not what was there
	case errors.Is(err, serviceerror.ErrNotFound):
		return nil
	case err != nil || !p.ours(latest.Tags, rec):
		return err
	}
	before, err := p.get(ctx, rec.VaultName, rec.Takeover)
	if errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err) {
		return nil // nothing to give back
	}
	if err != nil {
		return err
	}
	before.Version, before.Tags = "", maps.Clone(before.Tags)
	_, err = p.put(ctx, before, false)
	return err
}

func (p *pass) release1(ctx context.Context, res Reservation) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	return p.Store.Release(cctx, res)
}

// releaseReservation gives a reservation up for the sake of who waits for it; what
// fails here is made up for later.
func (p *pass) releaseReservation(ctx context.Context, res Reservation) {
	if err := p.release1(ctx, res); err != nil {
		p.log.Warn("releasing a reservation", "kind", string(res.Kind), "reason", serviceerror.ClassOf(err))
	}
}

// warn says that current is about to expire and no rotation prevents it.
func (p *pass) warn(ctx context.Context, rec Record) (Record, error) {
	days, _ := warning(p.now(), &rec)
	if days == 0 {
		return rec, nil
	}
	left := rec.Current.ExpiresAt.Sub(p.now()).Round(time.Hour)
	message := fmt.Sprintf("the client secret expires in %s and no rotation is going to replace it before", left)
	p.log.Warn("credential expires", "key", rec.Current.KeyID, "expiresAt", rec.Current.ExpiresAt, "days", days)
	return p.commit(ctx, rec, func(rec *Record) {
		if slices.Contains(WarnDays, days) {
			rec.WarnedAt = days
		}
	}, Event{Kind: EventExpiring, KeyID: rec.Current.KeyID, Message: message, Notice: true})
}
