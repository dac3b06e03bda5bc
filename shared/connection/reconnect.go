package connection

import (
	"context"
	"errors"
	"maps"
	"slices"

	"rekey/shared/claim"
	"rekey/shared/serviceerror"

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
	if _, err := s.authenticate(ctx, c, value); err != nil {
		return err
	}
	e.actor = c.app()
	if err := s.announce(ctx, rec.ID, e.id, true); err != nil {
		return err
	}
	next := rec.Clone()
	next.Actor, next.Auth = e.actor, &auth
	if e.claims, err = s.claim(ctx, &next, next.Unclaimed()...); err != nil {
		return err
	}
	if auth.VaultVersion, err = s.stage(ctx, e.id, authSecret(s.Rotator.Deployment, &next, value)); err != nil {
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
	if err := s.announce(ctx, rec.ID, e.id, false); err != nil {
		return err
	}
	if err := s.claimRebind(ctx, rec, v.app, rotates, e); err != nil {
		return err
	}
	staged := rotation.VaultSecret{
		Name: rec.StagedName(), Value: c.ClientSecret, ContentType: rotation.ContentType, Enabled: true, ExpiresAt: v.ends,
		Tags: rotation.Tags(s.Rotator.Deployment, &next, current),
	}
	if current.VaultVersion, err = s.stage(ctx, e.id, staged); err != nil {
		return err
	}
	e.request = &rotation.Request{Kind: rotation.AskRebind, ID: e.id, By: e.By, At: s.Rotator.Clock(), Target: v.app, Next: &current}
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

// announce says on the record that new credentials are coming. They bear the marker, so
// that they are disabled if this process dies before the record takes them over, or if it
// never does.
func (s *Service) announce(ctx context.Context, id, marker string, auth bool) error {
	announce := rotation.Spent{Marker: marker, Auth: auth, NextAt: s.Rotator.Clock().Add(rotation.Replaced)}
	err := s.Actors.change(ctx, id, rotation.Event{}, func(rec *rotation.Record) bool {
		known := slices.ContainsFunc(rec.Spent, func(o rotation.Spent) bool { return o.Marker == marker })
		if !known {
			rec.Spent = append(rec.Spent, announce)
		}
		if rec.WakeAt.IsZero() || announce.NextAt.Before(rec.WakeAt) {
			rec.WakeAt = announce.NextAt
		}
		return !known
	})
	if err != nil {
		return s.explainStore(ctx, "writing the connection", err)
	}
	return nil
}

// renounce takes an announcement back whose change was refused, so that what was staged is
// disabled at once. Where it may have been made, the announcement ends by itself.
func (s *Service) renounce(ctx context.Context, id string, e *edit, cause error) {
	if refused, ok := errors.AsType[*Error](cause); e.Credentials == nil || !ok || refused.Kind == Unavailable {
		return
	}
	now := s.Rotator.Clock()
	err := s.Actors.change(ctx, id, rotation.Event{}, func(rec *rotation.Record) bool {
		i := slices.IndexFunc(rec.Spent, func(o rotation.Spent) bool { return o.Marker == e.id })
		if i < 0 {
			return false
		}
		rec.Spent[i].NextAt, rec.WakeAt = now, now
		return true
	})
	if err != nil {
		s.log().WarnContext(ctx, "taking an announcement back", "connection", id, "class", string(serviceerror.ClassOf(err)))
	}
}

// stage stores new credentials that were announced.
func (s *Service) stage(ctx context.Context, marker string, version rotation.VaultSecret) (string, error) {
	// A value that exists nowhere else is not cut off halfway.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.Rotator.Rules.CallTimeout)
	defer cancel()
	version.Tags = maps.Clone(version.Tags)
	version.Tags[rotation.TagMarker] = marker
	stored, _, err := s.store(ctx, version)
	if err != nil {
		return "", s.explain(ctx, "storing the new credentials in Key Vault", err)
	}
	return stored, nil
}

// reconnected wakes what waited for new credentials. What fails here is made up for:
// the targets try again by themselves.
func (s *Service) reconnected(ctx context.Context, rec *rotation.Record) {
	list, _, err := s.targets(ctx, rec.ID)
	if err != nil {
		s.log().WarnContext(ctx, "waking targets", "connection", rec.ID, "reason", err.Error())
		return
	}
	for _, t := range append(list, *rec) {
		s.wake(ctx, &t, rec.Actor)
	}
}

// wake lets a record that waits because of who acts for it go on at once, and tells it
// who that is by now.
func (s *Service) wake(ctx context.Context, rec *rotation.Record, actor rotation.Application) {
	now := s.Rotator.Clock()
	err := s.Actors.change(ctx, rec.ID, rotation.Event{}, func(rec *rotation.Record) bool {
		waits := rec.Error != nil && rec.Error.RetryAt.After(now)
		told := rec.Via == "" || rec.Actor.Same(actor) // its own is what its credentials are of
		if !waits && told {
			return false
		}
		if waits {
			rec.Error.RetryAt = now
		}
		if rec.WakeAt = now; !told {
			rec.Actor = actor
		}
		return true
	})
	if err != nil {
		s.log().WarnContext(ctx, "waking a target", "connection", rec.ID, "class", string(serviceerror.ClassOf(err)))
	}
}
