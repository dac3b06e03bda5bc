package connection

import (
	"context"
	"errors"
	"slices"

	"rekey/shared/claim"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// prepareReconnect proves new credentials and stores them; the record takes them over
// when the change is applied.
func (s *Service) prepareReconnect(ctx context.Context, rec *rotation.Record, e *edit) error {
	c := e.Credentials
	if c.TenantID != rec.Actor.TenantID {
		return invalid("The credentials are of another tenant. Create another connection for it.")
	}
	value, auth, err := c.material(ctx, s.Rotator.Clock())
	if err != nil {
		return err
	}
	token, err := s.authenticate(ctx, c, value)
	if err != nil {
		return err
	}
	if e.actor = c.app(); c.Method == ClientSecret {
		auth.ExpiresAt, _ = s.endOf(ctx, token, e.actor, c.ClientSecret, c.ClientSecretKeyID)
	}
	if err := s.scheduleStaleLook(ctx, rec.ID); err != nil {
		return err
	}
	next := rec.Clone()
	next.Actor, next.Auth = e.actor, &auth
	if e.claims, err = s.claim(ctx, &next, next.Unclaimed()...); err != nil {
		return err
	}
	if auth.VaultVersion, err = s.stage(ctx, authSecret(s.Rotator.Clock(), s.Rotator.Deployment, &next, value)); err != nil {
		return err
	}
	auth.SavedAt = s.Rotator.Clock()
	e.auth = &auth
	return nil
}

// prepareRebind proves the new client secret of a connection that rotates its own, and
// stages it.
func (s *Service) prepareRebind(ctx context.Context, rec *rotation.Record, e *edit) error {
	c := e.Credentials
	if err := s.allowed(c.ClientID); err != nil {
		return err
	}
	rotates := rec.Policy.Enabled && (e.Rotate == nil || *e.Rotate) || e.Rotate != nil && *e.Rotate
	v, err := s.verify(ctx, &Input{Credentials: *c, Rotate: rotates})
	if err != nil {
		return err
	}
	next := rec.Clone()
	next.Actor, next.Target, next.Policy.Enabled = v.app, v.app, rotates
	current := rotation.Credential{Target: v.app, KeyID: v.keyID, Hint: v.hint, ExpiresAt: v.ends, Origin: v.origin}
	if rec.Current != nil && v.app.Same(rec.Target) && v.keyID != "" && v.keyID == rec.Current.KeyID {
		current.Origin = rec.Current.Origin // it is what Rekey has; given back, it is no stranger
	}
	next.Current = &current
	if err := s.scheduleStaleLook(ctx, rec.ID); err != nil {
		return err
	}
	if err := s.claimRebind(ctx, rec, v.app, rotates, e); err != nil {
		return err
	}
	staged := rotation.VaultSecret{
		Name: rec.StagedName(), Value: c.ClientSecret, ContentType: vaulttag.ContentType, Enabled: true,
		ExpiresAt: vaulttag.Expiry(s.Rotator.Clock(), v.ends),
		Tags:      rotation.Tags(s.Rotator.Deployment, &next, current),
	}
	if current.VaultVersion, err = s.stage(ctx, staged); err != nil {
		return err
	}
	e.request = &rotation.Request{
		Kind: rotation.AskRebind, ID: e.id, By: e.By, At: s.Rotator.Clock(), Target: v.app, Digest: e.given, Next: &current,
	}
	return nil
}

// claimRebind claims the application that a connection goes over to, and what it needs if
// rotation is on from now on. Without rotation, what it leaves is claimed as well if Rekey
// has issued it and no other connection uses the application; otherwise it is left to a
// person.
func (s *Service) claimRebind(ctx context.Context, rec *rotation.Record, app rotation.Application, rotates bool, e *edit) (err error) {
	next := rec.Clone()
	next.Policy.Enabled = rotates
	next.Request = &rotation.Request{Kind: rotation.AskRebind, Target: app}
	wanted := next.Unclaimed()
	if e.claims, err = s.claim(ctx, rec, wanted...); err != nil {
		return err
	}
	left := rec.Current
	if left == nil || left.Origin != rotation.OriginIssued || rec.Claims(rotation.Exclusive, left.Target) {
		return nil
	}
	old := rotation.Claim{Kind: rotation.Exclusive, App: left.Target.Key()}
	if slices.Contains(wanted, old) {
		return nil
	}
	rows := s.newClaims(rec, old)
	err = s.claims().Take(ctx, rows...)
	if _, taken := errors.AsType[*claim.TakenError](err); taken {
		return nil
	}
	if err != nil {
		return s.explainClaim(ctx, err)
	}
	e.claims = append(e.claims, rows...)
	return nil
}

// scheduleStaleLook says on the record that new credentials are about to be stored, so that they are
// found and disabled if this process dies before the record takes them over.
func (s *Service) scheduleStaleLook(ctx context.Context, id string) error {
	now := s.Rotator.Clock()
	err := s.Actors.change(ctx, id, rotation.Event{}, func(rec *rotation.Record) bool {
		was := rec.Stale.LookAt
		rec.Replace(now)
		return !rec.Stale.LookAt.Equal(was)
	})
	if err != nil {
		return s.explainStore(ctx, "writing the connection", err)
	}
	return nil
}

// stage stores new credentials that were announced.
func (s *Service) stage(ctx context.Context, version rotation.VaultSecret) (string, error) {
	// A value that exists nowhere else is not cut off halfway.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.Rotator.Rules.CallTimeout)
	defer cancel()
	stored, _, err := s.store(ctx, version)
	if err != nil {
		return "", s.explain(ctx, "storing the new credentials in Key Vault", err)
	}
	return stored, nil
}
