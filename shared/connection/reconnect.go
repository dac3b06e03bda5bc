package connection

import (
	"context"
	"errors"
	"slices"
	"time"

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
	if !e.actor.Same(rec.Actor) {
		was := rotation.ActorNote(rec.Actor, rec.ID)
		is := rotation.ActorNote(e.actor, rec.ID)
		if err := s.Reservations.Reserve(ctx, is, nil); err != nil {
			return s.explainStore(ctx, "reserving the application", err)
		}
		e.reserved, e.obsolete = append(e.reserved, is), append(e.obsolete, was)
	}
	if err := s.announce(ctx, rec.ID, e.id); err != nil {
		return err
	}
	next := rec.Clone()
	next.Actor, next.Auth = e.actor, &auth
	if err := s.inTheWay(ctx, &next, c.secret()); err != nil {
		return err
	}
	if auth.VaultVersion, err = s.stage(ctx, authSecret(s.Rotator.Deployment, &next, value)); err != nil {
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
	if err := s.announce(ctx, rec.ID, e.id); err != nil {
		return err
	}
	if err := s.reserveRebind(ctx, rec, &next, rotates, e); err != nil {
		return err
	}
	kept, err := s.shared(ctx, rec)
	if err != nil {
		return err
	}
	staged := rotation.VaultSecret{
		Name: rec.StagedName(), Value: c.ClientSecret, ContentType: rotation.ContentType, Enabled: true, ExpiresAt: v.ends,
		Tags: rotation.Tags(s.Rotator.Deployment, &next, current),
	}
	if current.VaultVersion, err = s.stage(ctx, staged); err != nil {
		return err
	}
	e.request = &rotation.Request{Kind: rotation.AskRebind, ID: e.id, By: e.By, At: s.Rotator.Clock(), Target: v.app, Next: &current, Keep: kept}
	return nil
}

// shared reports whether another connection has the client secret that is to be replaced.
func (s *Service) shared(ctx context.Context, rec *rotation.Record) (bool, error) {
	if rec.Rotates() || rec.Current == nil || rec.Current.Origin == rotation.OriginGiven {
		return false, nil // it is nobody else's, or stays
	}
	err := s.usedByAnother(ctx, rec)
	if errors.Is(err, errUsed) {
		return true, nil
	}
	return false, err
}

// announcedFor is how long an announcement holds: longer than any request lasts.
const announcedFor = 10 * time.Minute

// maxAnnounced is how many changes of a connection's credentials may be under way.
const maxAnnounced = 8

// announce says on the record, before that of any other connection is looked at, that new
// credentials are coming: a request that looks at this one meanwhile has to see that (see
// [Service.inTheWay]). It also has stale versions looked for, in case this process dies
// between storing the credentials and making the change.
func (s *Service) announce(ctx context.Context, id, change string) error {
	now, full := s.Rotator.Clock(), false
	err := s.Actors.change(ctx, id, rotation.Event{}, func(rec *rotation.Record) bool {
		rec.Announced = slices.DeleteFunc(rec.Announced, func(o rotation.Announced) bool { return o.ID == change || !o.Until.After(now) })
		if full = len(rec.Announced) >= maxAnnounced; full {
			return false
		}
		rec.Announced = append(rec.Announced, rotation.Announced{ID: change, Until: now.Add(announcedFor)})
		rec.Replace(now)
		return true
	})
	switch {
	case err != nil:
		return s.explainStore(ctx, "writing the connection", err)
	case full:
		return &Error{Kind: Conflict, Message: "Other changes of this connection's credentials are under way. Try again in a few minutes.", RetryAfter: time.Minute}
	}
	return nil
}

// renounce takes an announcement back whose change was refused. Where it may have been
// made, the announcement ends by itself.
func (s *Service) renounce(ctx context.Context, id string, e *edit, cause error) {
	if refused, ok := errors.AsType[*Error](cause); e.Credentials == nil || !ok || refused.Kind == Unavailable {
		return
	}
	err := s.Actors.change(ctx, id, rotation.Event{}, func(rec *rotation.Record) bool { return e.unannounce(rec) })
	if err != nil {
		s.log().WarnContext(ctx, "taking an announcement back", "connection", id, "class", string(serviceerror.ClassOf(err)))
	}
}

// unannounce takes the announcement of the change off the record.
func (e *edit) unannounce(rec *rotation.Record) (was bool) {
	n := len(rec.Announced)
	rec.Announced = slices.DeleteFunc(rec.Announced, func(o rotation.Announced) bool { return o.ID == e.id })
	return len(rec.Announced) < n
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

// reserveRebind reserves the application that a connection goes over to.
func (s *Service) reserveRebind(ctx context.Context, rec, next *rotation.Record, rotates bool, e *edit) error {
	var wanted []rotation.Reservation
	if rotates {
		wanted = append(wanted, rotation.ApplicationReservation(next.Target, rec.ID))
	}
	for _, res := range append(wanted, rotation.ActorNote(next.Actor, rec.ID)) {
		e.reserved = append(e.reserved, res) // also if nobody knows whether it was made
		err := s.Reservations.Reserve(ctx, res, s.void)
		if errors.Is(err, serviceerror.ErrExists) {
			return s.taken(ctx, next, res)
		}
		if err != nil {
			return s.explainStore(ctx, "reserving the application", err)
		}
	}
	return s.inTheWay(ctx, next, next.Current)
}
