package rotator

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// adoptGiven looks whether the record's claims still stand, since its row may have been
// written long after them, and whether what the caller gave has reached the vault.
func (p *pass) adoptGiven(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	if out.Unclaimed, out.Err = p.renewClaims(ctx, rec); out.Unclaimed || out.Err != nil {
		return out
	}
	name := rec.VaultName
	if rec.Auth != nil {
		name = rec.AuthName()
	}
	out.Settled = p.settled
	out.Found, out.Err = p.find(ctx, name, func(v rotation.VaultSecret) bool { return v.Enabled && rec.Owns(p.Deployment, v.Tags) })
	return out
}

// issueCredential asks the directory for a new credential and stages its value.
//
// The probe comes first: a vault that would refuse the value must do so while
// there is none. What fails before addPassword issued nothing, so that the intent is taken
// back. If the pass dies before addPassword, nothing was issued and the marker is looked for
// in vain. If it dies after it, the value is lost, and the marker, which is in the record,
// leads to the credential. If it dies after the value is staged, the next pass adopts it by
// its tags. Without an answer to addPassword, Apply forbids this lease to send again, and
// Reconcile goes on as after a death (rules R1 and R3).
func (p *pass) issueCredential(ctx context.Context, rec *rotation.Record) rotation.Outcome {
	notSent := func(err error) rotation.Outcome { return rotation.Outcome{NotSent: true, Err: err} }
	token, app, err := p.prepare(ctx, rec)
	if err != nil {
		p.denied(rec, err)
		out := notSent(err)
		out.Stray = serviceerror.UnknownOutcome(err) // the probe may be on its way
		return out
	}
	// Last, so that what is booked is when it is sent. It is free while there is room.
	if err := p.pace(ctx, rec, p.issueNeeds()); err != nil {
		return notSent(err)
	}
	cctx, cancel, err := p.call(ctx, p.Rules.IssueTimeout)
	if err != nil {
		return notSent(err)
	}
	defer cancel()
	out := rotation.Outcome{SentAt: p.now(), Application: &app}
	target := rec.Run.Target
	target.ObjectID = app.ObjectID
	expires := out.SentAt.Add(rec.Lifetime()).Truncate(time.Second)
	issued, err := p.Directory.AddPassword(cctx, token, target, rec.Run.Marker, expires)
	p.written(rec, err)
	if err != nil {
		out.Err = err
		return out
	}
	out.IssuedAt = p.now()
	p.stage(ctx, rec, issued, &out)
	return out
}

// prepare makes sure of everything that can be known before a credential is issued.
func (p *pass) prepare(ctx context.Context, rec *rotation.Record) (token rotation.Token, app rotation.ApplicationState, err error) {
	if err = p.paceable(rec, p.issueNeeds()); err != nil {
		return token, app, err
	}
	token, err = p.tokenFor(ctx, rec, rec.Target)
	if err != nil {
		return token, app, lostFor(rec.Run, err)
	}
	app, err = p.application(ctx, token, rec.Run.Target)
	if err != nil {
		return token, app, err
	}
	if app.PersonalAccounts() && len(app.Passwords) >= 2 {
		return token, app, &serviceerror.Error{
			Op: "adding a password", Class: serviceerror.Full, Detail: "two client secrets at most where personal accounts may sign in",
		}
	}
	if rec.VaultDoubtful() {
		if _, err = p.put(ctx, p.probe(rec), false); err != nil {
			return token, app, err
		}
	}
	if !p.Rules.Fits(p.now(), p.lease, p.issueNeeds()) {
		return token, app, errNoTime
	}
	return token, app, nil
}

// issueNeeds is the time that issuing takes at most: the value must find time to be
// staged.
func (p *pass) issueNeeds() time.Duration { return p.Rules.IssueTimeout + 2*p.Rules.CallTimeout }

// lostFor says of a recovery run that found no credential that works what it means.
func lostFor(run *rotation.Run, err error) error {
	e, ok := errors.AsType[*serviceerror.Error](err)
	if ok && run.Trigger == rotation.OnLoss && serviceerror.RefusesCredential(err) {
		lost := *e
		lost.Class = serviceerror.CredentialLost
		return &lost
	}
	return err
}

// stage puts the new value where a later pass finds it. Until then it is in this function
// only; so it does not give up easily, and it does not mind the end of the request that
// it may serve.
func (p *pass) stage(ctx context.Context, rec *rotation.Record, issued rotation.Issued, out *rotation.Outcome) {
	value := issued.Value
	issued.Value = secret.Value{}
	out.Issued, out.Digest = &issued, rec.Run.Target.Digest(rec.ID, value)
	version := p.stagedVersion(rec, issued, out.Application.ObjectID, value)
	for try := 1; ; try++ {
		out.StagedVersion, out.Err = p.put(ctx, version, true)
		if out.Err == nil {
			return
		}
		if serviceerror.UnknownOutcome(out.Err) { // it may be there: one version is enough
			isIt := func(v rotation.VaultSecret) bool { return v.Tags[vaulttag.KeyID] == issued.KeyID && v.Enabled }
			if found, err := p.find(ctx, version.Name, isIt); err == nil && found != nil {
				out.StagedVersion, out.Err = found.Version, nil
				return
			}
			out.Stray = true
		}
		out.StagedVersion = ""
		if try == 4 || !p.Rules.Fits(p.now(), p.lease, 2*p.Rules.CallTimeout) {
			return
		}
		if _, err := p.wait(ctx, time.Duration(try)*time.Second); err != nil {
			out.Err = err
			return
		}
	}
}

// stagedVersion is the version that holds the value of what was issued.
func (p *pass) stagedVersion(rec *rotation.Record, issued rotation.Issued, objectID string, value secret.Value) rotation.VaultSecret {
	target := rec.Run.Target
	target.ObjectID = cmp.Or(objectID, target.ObjectID)
	return rotation.VaultSecret{
		Name: rec.StagedName(), Value: value, ContentType: vaulttag.ContentType, Enabled: true,
		ExpiresAt: vaulttag.Expiry(p.now(), issued.ExpiresAt),
		Tags: rotation.Tags(p.Deployment, rec, rotation.Credential{Target: target,
			KeyID: issued.KeyID, Marker: rec.Run.Marker, Origin: rotation.OriginIssued}),
	}
}

// probe is a version that shows whether the vault takes one. It ends when the credential
// would, since a policy may look at that.
func (p *pass) probe(rec *rotation.Record) rotation.VaultSecret {
	ends := p.now().Add(rec.Lifetime()).Truncate(time.Second)
	s := p.stagedVersion(rec, rotation.Issued{ExpiresAt: ends}, "", secret.New("probe"))
	s.Enabled, s.Tags = false, maps.Clone(s.Tags)
	s.Tags[vaulttag.Probe] = "true"
	return s
}

// reconcile looks for a staged version of what may have been issued under the marker by a
// pass that is gone.
func (p *pass) reconcile(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	marker := rec.Run.Marker
	out.Found, out.Err = p.find(ctx, rec.StagedName(), func(v rotation.VaultSecret) bool {
		return v.Enabled && rec.Owns(p.Deployment, v.Tags) && v.Tags[vaulttag.Marker] == marker && v.Tags[vaulttag.KeyID] != ""
	})
	return out
}
