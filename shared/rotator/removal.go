package rotator

import (
	"context"
	"errors"
	"fmt"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// removeReplaced removes an old credential whose time has come. If we die after the call,
// it is made again, and answered with "no such credential".
func (p *pass) removeReplaced(ctx context.Context, rec *rotation.Record, step rotation.RemoveReplaced) (out rotation.Outcome) {
	if rec.NotRemovable(step.Index) {
		return rotation.Outcome{Err: rotation.ErrNotRemovable}
	}
	o := rec.Retiring[step.Index]
	p.remove(ctx, rec, o.Target, o.KeyID, &out, func(gate rotation.Token) (rotation.Token, error) {
		if !rec.Delegated() { // every replica knows the old credential; it may be dead, though
			if own, err := p.ownToken(ctx, rec, o); err == nil {
				return own, nil
			}
		}
		return p.otherToken(ctx, rec, gate, o.Target)
	})
	return out
}

// removeOrphan removes what an attempt that was given up has issued.
func (p *pass) removeOrphan(ctx context.Context, rec *rotation.Record, step rotation.RemoveOrphan) (out rotation.Outcome) {
	o := rec.Abandoned[step.Index]
	p.remove(ctx, rec, o.Target, o.KeyID, &out, func(gate rotation.Token) (rotation.Token, error) {
		return p.otherToken(ctx, rec, gate, o.Target)
	})
	return out
}

// remove asks the directory to remove a credential, behind the gate, with the token that
// tokenOf gets; gate is the one that the published credential got.
func (p *pass) remove(ctx context.Context, rec *rotation.Record, target rotation.Application, keyID string, out *rotation.Outcome, tokenOf func(gate rotation.Token) (rotation.Token, error)) {
	if out.Err = p.pace(ctx, rec, 2*p.Rules.CallTimeout); out.Err != nil {
		return
	}
	gate, ok := p.gate(ctx, rec, target, keyID, out)
	if !ok {
		return
	}
	token, err := tokenOf(gate)
	if err != nil {
		out.Err = err
		return
	}
	cctx, cancel, err := p.call(ctx, p.Rules.CallTimeout)
	if err != nil {
		out.Err = err
		return
	}
	defer cancel()
	err = p.Directory.RemovePassword(cctx, token, target, keyID)
	p.written(rec, err)
	if serviceerror.ClassOf(err) != serviceerror.CredentialMissing || err == nil { // that there is none is confirmed by reads
		out.Err = err
	}
}

// gate is in front of every removal (rule R6): what is published is current, is not what
// is to be removed, and gets fresh tokens with the value just read. It returns the last of
// them, and none if nothing is published: before a target's first run, and at the very
// end. Not ok: the gate stays closed, and out says why.
func (p *pass) gate(ctx context.Context, rec *rotation.Record, target rotation.Application, keyID string, out *rotation.Outcome) (token rotation.Token, ok bool) {
	if rec.Current == nil {
		// What is to be removed may be read from the vault by its consumers. An attempt
		// that was published and never became current is taken out of it first. Where
		// everything is to be revoked, the published secret goes with it.
		if !rec.Revoke {
			out.Err = p.unpublish(ctx, rec, keyID)
		}
		return rotation.Token{}, out.Err == nil
	}
	latest, written, err := p.republish(ctx, rec)
	if err == nil && written != "" {
		out.PublishedVersion = written // the gate looks again
		return token, false
	}
	if err == nil && (latest.Version == "" || rec.Current.KeyID == keyID) {
		err = &serviceerror.Error{
			Op: "checking what is published", Class: serviceerror.VaultConflict,
			Detail: "the credential to be removed is the published one, or nothing is published",
		}
	}
	for n := 0; err == nil && n < p.Rules.Successes; n++ {
		token, err = p.token(ctx, rec.Current.Target, latest.Value)
	}
	if err == nil {
		out.GateOpen = true
		return token, true
	}
	out.Err = err
	if serviceerror.RefusesCredential(err) && serviceerror.ClassOf(err) != serviceerror.ApplicationMissing {
		_, terr := p.tokenFor(ctx, rec, target)
		out.OtherWorks = terr == nil
	}
	return token, false
}

// unpublish switches off what is published of a credential that never became
// current. Before a first run ends nothing of Rekey's is published that a consumer could
// rely on; what a deleted connection had left there is restored.
func (p *pass) unpublish(ctx context.Context, rec *rotation.Record, keyID string) error {
	latest, err := p.get(ctx, rec.VaultName, "")
	switch {
	case errors.Is(err, serviceerror.ErrNotFound) || serviceerror.IsDisabled(err):
		return nil
	case err != nil:
		return err
	case !rec.Owns(p.Deployment, latest.Tags) || latest.Tags[rotation.TagKeyID] != keyID:
		return nil
	case rec.Takeover != "":
		return p.restore(ctx, rec)
	}
	return p.disableVersion(ctx, rec.VaultName, latest.Version)
}

// ownToken gets a token with the value of the credential that is to be removed.
func (p *pass) ownToken(ctx context.Context, rec *rotation.Record, o rotation.Retiring) (rotation.Token, error) {
	if o.VaultVersion == "" {
		return rotation.Token{}, fmt.Errorf("reading the old value: %w", serviceerror.ErrNotFound)
	}
	old, err := p.get(ctx, rec.VaultName, o.VaultVersion)
	if err != nil {
		return rotation.Token{}, err
	}
	return p.token(ctx, o.Target, old.Value)
}

// otherToken returns token, which is the published credential's, if that is of
// target; else it gets one with whatever credential of target still works.
func (p *pass) otherToken(ctx context.Context, rec *rotation.Record, token rotation.Token, target rotation.Application) (rotation.Token, error) {
	if !rec.Delegated() && !token.Value.IsZero() && rec.Current.Target.Same(target) {
		return token, nil
	}
	return p.tokenFor(ctx, rec, target)
}

// confirmRemoved reads an application once. One that is missing shows no credentials.
func (p *pass) confirmRemoved(ctx context.Context, rec *rotation.Record, step rotation.ConfirmRemoved) (out rotation.Outcome) {
	target, _ := rec.Removes(step)
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

// disable switches off one version, or all that bear the marker of an attempt of which it
// is unknown whether it staged anything, or all credentials that were replaced.
func (p *pass) disable(ctx context.Context, rec *rotation.Record, spent rotation.Spent) error {
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
		if v.Enabled && rec.Owns(p.Deployment, v.Tags) && rec.IsSpent(p.now(), spent, v) {
			if err := p.disableVersion(ctx, name, v.Version); err != nil {
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
	if err := p.Vault.Disable(cctx, name, version); !errors.Is(err, serviceerror.ErrNotFound) {
		return err
	}
	return nil
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
