package rotator

import (
	"context"
	"errors"
	"fmt"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// remove asks the directory to remove a credential, behind the gate. If we die after the
// call, it is made again, and answered with "no such credential".
func (p *pass) remove(ctx context.Context, rec *rotation.Record, m *rotation.Removal) (out rotation.Outcome) {
	if rec.MustStay(m) {
		return rotation.Outcome{Err: rotation.ErrNotRemovable}
	}
	if out.Err = p.pace(ctx, rec, 2*p.Rules.CallTimeout); out.Err != nil {
		return out
	}
	if !p.gate(ctx, rec, m, &out) {
		return out
	}
	token, err := p.tokenFor(ctx, rec, m.Target)
	if err != nil {
		out.Err = err
		return out
	}
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		out.Err = err
		return out
	}
	defer cancel()
	err = p.Directory.RemovePassword(cctx, token, m.Target, m.KeyID)
	p.written(rec, err)
	if err != nil && serviceerror.ClassOf(err) != serviceerror.CredentialMissing { // that there is none is confirmed by reads
		out.Err = err
	}
	return out
}

// gate is in front of every removal (rule R6). Not open: out says why.
func (p *pass) gate(ctx context.Context, rec *rotation.Record, m *rotation.Removal, out *rotation.Outcome) (open bool) {
	if !m.Published {
		if open, err := p.neverPublished(ctx, rec, m); err != nil || open {
			out.Err = err
			return open && err == nil
		}
	}
	if rec.Current == nil {
		// Consumers may read from the vault what is to be removed. An attempt that was
		// published and never became current is taken out of it first. Where everything is
		// to be revoked, the published secret goes with it.
		if !rec.Revoke {
			out.Err = p.unpublish(ctx, rec, m.KeyID)
		}
		return out.Err == nil
	}
	latest, current, err := p.published(ctx, rec)
	if err == nil && !current {
		out.NotCurrent = true // it is published again first
		return false
	}
	var token rotation.Token
	if err == nil { // it was proven before it was published: one token shows that it still works
		token, err = p.token(ctx, rec.Current.Target, latest.Value)
	}
	if err == nil {
		out.GateOpen = true
		p.keep(rec.Current.Target, token)
		return true
	}
	out.Err = err
	if serviceerror.RefusesCredential(err) && serviceerror.ClassOf(err) != serviceerror.ApplicationMissing {
		_, terr := p.tokenFor(ctx, rec, m.Target)
		out.OtherWorks = terr == nil
	}
	return false
}

// neverPublished reports whether what is published shows that an orphan which was never
// published is not in use: it is Rekey's and has another key id, or nothing is published.
func (p *pass) neverPublished(ctx context.Context, rec *rotation.Record, m *rotation.Removal) (open bool, err error) {
	latest, err := p.get(ctx, rec.VaultName, "")
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return true, nil
	case serviceerror.IsDisabled(err):
		return false, nil
	case err != nil:
		return false, err
	}
	return rec.Owns(p.Deployment, latest.Tags) && latest.Tags[vaulttag.KeyID] != m.KeyID, nil
}

// unpublish switches off what is published of a credential that never became
// current. Before a first run ends nothing of Rekey's is published that a consumer could
// rely on; what a deleted connection had left there is restored.
func (p *pass) unpublish(ctx context.Context, rec *rotation.Record, keyID string) error {
	latest, err := p.get(ctx, rec.VaultName, "")
	switch {
	case serviceerror.Unreadable(err):
		return nil
	case err != nil:
		return err
	case !rec.Owns(p.Deployment, latest.Tags) || latest.Tags[vaulttag.KeyID] != keyID:
		return nil
	case rec.Takeover != "":
		return p.restore(ctx, rec)
	}
	return p.disableVersion(ctx, rec.VaultName, latest.Version)
}

// ownToken gets a token with the value of the credential that is to be removed.
func (p *pass) ownToken(ctx context.Context, rec *rotation.Record, m *rotation.Removal) (rotation.Token, error) {
	if m.VaultVersion == "" {
		return rotation.Token{}, fmt.Errorf("reading the old value: %w", serviceerror.ErrNotFound)
	}
	old, err := p.get(ctx, rec.VaultName, m.VaultVersion)
	if err != nil {
		return rotation.Token{}, err
	}
	return p.token(ctx, m.Target, old.Value)
}

// confirmRemoved reads an application once. One that is missing shows no credentials.
func (p *pass) confirmRemoved(ctx context.Context, rec *rotation.Record, m *rotation.Removal) (out rotation.Outcome) {
	target := m.Target
	token, err := p.tokenFor(ctx, rec, target)
	var app rotation.ApplicationState
	if err == nil {
		app, err = p.application(ctx, token, target)
		p.denied(rec, err)
	}
	if err != nil && serviceerror.ClassOf(err) != serviceerror.ApplicationMissing || token.Value.IsZero() {
		out.Err = err
		return out
	}
	for _, keyID := range rec.Strangers(p.Deployment, app) {
		p.log.Warn("a client secret bears our marker but is not in the record; it is left alone", "key", keyID)
	}
	out.Application = &app
	return out
}

// renewSignIn renews a refresh token that was not used for long.
func (p *pass) renewSignIn(ctx context.Context, rec *rotation.Record) error {
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		return err
	}
	defer cancel()
	return p.Actors.Renew(cctx, rec.ID)
}
