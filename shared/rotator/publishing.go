package rotator

import (
	"cmp"
	"context"
	"fmt"

	"rekey/shared/rotation"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"
)

// readStaged reads exactly the staged version of the run, once a pass, and requires
// it to be of the run's credential (rule R4).
func (p *pass) readStaged(ctx context.Context, rec *rotation.Record) (rotation.VaultSecret, error) {
	run := rec.Run
	if p.staged != nil && p.staged.Version == run.StagedVersion {
		return *p.staged, nil
	}
	s, err := p.get(ctx, rec.StagedName(), run.StagedVersion)
	if err != nil {
		return s, err
	}
	if !rec.Owns(p.Deployment, s.Tags) || s.Tags[vaulttag.KeyID] != run.KeyID {
		return s, fmt.Errorf("the staged version is not of this run's credential: %w", serviceerror.ErrNotFound)
	}
	p.staged = &s
	return s, nil
}

// prove reads the staged value and spends it for one fresh token.
func (p *pass) prove(ctx context.Context, rec *rotation.Record) (rotation.VaultSecret, error) {
	staged, err := p.readStaged(ctx, rec)
	if err != nil {
		return staged, err
	}
	_, err = p.token(ctx, rec.Run.Target, staged.Value)
	return staged, err
}

// publish writes under the published name the value that this pass has proven. If we die
// before that is committed, the next pass proves and publishes again: one more version
// of the same value.
func (p *pass) publish(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	staged, err := p.readStaged(ctx, rec)
	if err != nil {
		out.Err = err
		return out
	}
	out.Proven = true
	run := rec.Run
	next := rotation.Credential{
		Target: run.Target, KeyID: run.KeyID, Hint: run.Hint, ExpiresAt: run.ExpiresAt,
		Origin: cmp.Or(run.Origin, rotation.OriginIssued), Marker: run.Marker,
		Digest: run.Target.Digest(rec.ID, staged.Value),
	}
	out.Next = &next
	out.PublishedVersion, out.Err = p.putPublished(ctx, rec, next, staged.Value)
	return out
}

// putPublished writes a version of the published name.
func (p *pass) putPublished(ctx context.Context, rec *rotation.Record, c rotation.Credential, value secret.Value,
) (version string, err error) {
	return p.put(ctx, rotation.VaultSecret{
		Name: rec.VaultName, Value: value, ContentType: vaulttag.ContentType, Enabled: true,
		ExpiresAt: vaulttag.Expiry(p.now(), c.ExpiresAt),
		Tags:      rotation.Tags(p.Deployment, rec, c),
	}, false)
}

// published reads what is published, and reports whether that is current. The secret is
// empty if nothing is published, or nothing that may be read.
func (p *pass) published(ctx context.Context, rec *rotation.Record) (latest rotation.VaultSecret, current bool, err error) {
	latest, err = p.get(ctx, rec.VaultName, "")
	switch {
	case serviceerror.Unreadable(err):
		return rotation.VaultSecret{}, false, nil
	case err != nil:
		return latest, false, err
	}
	return latest, p.isCurrent(latest, rec), nil
}

// republish writes current again under the published name, once it is proven (rule R4):
// every replica knows it, so that its tokens need no spacing.
func (p *pass) republish(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	c := rec.Current
	if _, current, err := p.published(ctx, rec); err != nil || current {
		out.Err = err
		return out
	}
	own, err := p.get(ctx, rec.VaultName, c.VaultVersion)
	for n := 0; err == nil && n < p.Rules.Successes; n++ {
		_, err = p.token(ctx, c.Target, own.Value)
	}
	if err != nil {
		out.Err = err
		return out
	}
	out.Proven = true
	out.PublishedVersion, out.Err = p.putPublished(ctx, rec, *c, own.Value)
	return out
}

// isCurrent reports whether a published version is of the current credential: it is the
// version that the record names, or its tags have the key id. Where current has no key id its
// digest says so: another one that was given has no key id, either.
func (p *pass) isCurrent(v rotation.VaultSecret, rec *rotation.Record) bool {
	c := rec.Current
	same := v.Version == c.VaultVersion || c.KeyID != "" && v.Tags[vaulttag.KeyID] == c.KeyID
	return rec.Owns(p.Deployment, v.Tags) && (same || c.KeyID == "" && c.Digest != "" && v.Tags[vaulttag.Digest] == c.Digest)
}

// withdraw looks whether the attempt's credential is published.
func (p *pass) withdraw(ctx context.Context, rec *rotation.Record) (out rotation.Outcome) {
	if rec.Current == nil || rec.Current.VaultVersion == "" {
		return out
	}
	latest, current, err := p.published(ctx, rec)
	run := rec.Run
	attempt := rec.Owns(p.Deployment, latest.Tags) && latest.Tags[vaulttag.Client] == run.Target.ClientID &&
		latest.Tags[vaulttag.KeyID] == run.KeyID
	out.Err, out.NotCurrent = err, err == nil && !current && attempt
	return out
}
