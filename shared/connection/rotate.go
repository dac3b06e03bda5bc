package connection

import (
	"cmp"
	"context"
	"errors"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// RotateOptions are what a caller may say of a rotation by hand.
type RotateOptions struct {
	Grace     *time.Duration // nil: the connection's
	Emergency bool           // no grace, everything old goes now
	By        string
	ID        string // of the request; empty: a new one. See [Service.Once]
}

// Rotate asks for a rotation and works on it as far as the request's time goes.
// While a run is under way, that run is the answer; an emergency upgrades it.
func (s *Service) Rotate(ctx context.Context, id string, opts RotateOptions) (rotation.Record, error) {
	asking, ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	if opts.Grace != nil && (*opts.Grace < 0 || *opts.Grace > maxGrace) {
		return rotation.Record{}, invalid("gracePeriodHours must be 0 to %d.", int(maxGrace.Hours()))
	}
	rec, err := s.Get(asking, id)
	if err != nil {
		return rec, err
	}
	if answered(&rec, opts) {
		return rec, nil
	}
	if err := roomFor(&rec, opts); err != nil {
		return rec, err
	}
	keyID, err := s.rotatable(asking, &rec)
	if err != nil {
		return rec, err
	}
	ask := s.request(&rec, opts, keyID)
	looked := rec.Clone()
	rec, err = s.askIf(ctx, id, ask, func(_ context.Context, rec *rotation.Record) error {
		if !rec.Rotates() && !looked.Rotates() && !sameToRotate(&looked, rec) {
			return errOvertaken
		}
		return nil
	})
	if err != nil {
		return rec, err
	}
	return s.drive(ctx, rec, until)
}

// answered reports whether the run under way is the answer already. One that pauses after a
// failure is asked to go on at once (rule R9).
func answered(rec *rotation.Record, opts RotateOptions) bool {
	return rec.Run != nil && rec.Error == nil && !opts.Emergency
}

// request is what Rotate asks for on rec; keyID is what was found for what is published.
func (s *Service) request(rec *rotation.Record, opts RotateOptions, keyID string) rotation.Request {
	ask := rotation.Request{Kind: rotation.AskRotate, ID: cmp.Or(opts.ID, s.Rotator.NewID()), By: opts.By, At: s.Rotator.Clock(), Grace: opts.Grace}
	if opts.Emergency {
		ask.Kind = rotation.AskEmergency
	}
	if keyID != "" {
		ask.KeyID, ask.KeyIDOf = keyID, rec.Current.VaultVersion
	}
	return ask
}

// sameToRotate reports whether what a rotation by hand takes the place of is on rec what
// it was on the record for which that was looked into, or nobody else's anyhow.
func sameToRotate(looked, rec *rotation.Record) bool {
	was, is := going(looked), going(rec)
	if len(was) == 0 || len(is) == 0 {
		return len(was) == len(is)
	}
	a, b := was[len(was)-1], is[len(is)-1]
	return b.Origin == rotation.OriginIssued || a.Target.Same(b.Target) && a.KeyID == b.KeyID && a.Hint == b.Hint
}

// roomFor refuses to begin a rotation by hand while too many old client secrets are
// waiting. An emergency ends their grace periods.
func roomFor(rec *rotation.Record, opts RotateOptions) error {
	if advice := rec.Crowded(); advice != "" && rec.Run == nil && !opts.Emergency {
		return &Error{Kind: Conflict, Message: advice, RetryAfter: time.Hour}
	}
	return nil
}

// rotatable makes sure that a connection may be rotated by hand: its key id is
// known, and the application is its own. It returns the key id if it had to be
// found, which is that of the published version that rec names and of no other.
func (s *Service) rotatable(ctx context.Context, rec *rotation.Record) (keyID string, err error) {
	switch {
	case rec.Target.ClientID == "":
		return "", invalid("This connection rotates nothing by itself. Give it an application to rotate: POST .../azure-client-secrets/%s/targets.", rec.ID)
	case rec.Phase == rotation.Creating || rec.Policy.Enabled && !unidentified(rec) || rec.Delegated():
		return "", nil
	}
	// What it is going over to takes the place of what is published before it rotates.
	next, over := rec.Clone(), goingOver(rec)
	if len(over) > 0 {
		next.Target, next.Current = over[0].Target, over[0]
	}
	res := rotation.ApplicationReservation(next.Target, rec.ID)
	if unidentified(rec) && len(over) == 0 {
		if keyID, err = s.find(ctx, rec); err != nil {
			return "", err
		}
		next.Current.KeyID = keyID
	}
	if err := s.Reservations.Reserve(ctx, res, s.void); errors.Is(err, serviceerror.ErrExists) {
		return "", s.taken(ctx, rec, res)
	} else if err != nil {
		return "", s.explainStore(ctx, "reserving the application", err)
	}
	if err := s.usedByAnother(ctx, &next); err != nil {
		s.giveBack(ctx, rec.ID, []rotation.Reservation{res})
		return "", err
	}
	return keyID, nil
}

// unidentified reports whether nobody has said yet which credential the published client
// secret is.
func unidentified(rec *rotation.Record) bool {
	return rec.Current != nil && rec.Current.Origin == rotation.OriginGiven
}

// find identifies the published secret of a connection that was given without a
// key id.
func (s *Service) find(ctx context.Context, rec *rotation.Record) (keyID string, err error) {
	secret, err := s.Vault.Get(ctx, rec.VaultName, rec.Current.VaultVersion)
	if err != nil {
		return "", s.explain(ctx, "reading the client secret", err)
	}
	v, err := s.verify(ctx, &Input{
		Credentials: Credentials{TenantID: rec.Target.TenantID, ClientID: rec.Target.ClientID, ClientSecret: secret.Value}, Rotate: true,
	})
	return v.keyID, err
}

// ask writes a request on the record, without costing a pass its work.
func (s *Service) ask(ctx context.Context, id string, ask rotation.Request) (rotation.Record, error) {
	return s.askIf(ctx, id, ask, func(context.Context, *rotation.Record) error { return nil })
}

// askIf is ask if check has no objection to the record that the request is written on.
func (s *Service) askIf(ctx context.Context, id string, ask rotation.Request, check func(context.Context, *rotation.Record) error) (rotation.Record, error) {
	rec, err := amend(ctx, s.Records, id, func(rec *rotation.Record) ([]rotation.Event, error) {
		if gone(rec) {
			return nil, errNoConnection
		}
		if err := check(ctx, rec); err != nil {
			return nil, err
		}
		if !rec.Ask(ask) {
			return nil, rotator.ErrUnchanged
		}
		rec.WakeAt = s.Rotator.Clock()
		return []rotation.Event{{At: ask.At, Kind: rotation.EventRequested, By: ask.By, From: origin(ctx), RunID: ask.ID, Message: string(ask.Kind)}}, nil
	})
	if errors.Is(err, rotator.ErrGone) && ask.Kind == rotation.AskDelete {
		return rec, nil
	}
	if err != nil {
		return rec, s.explainStore(ctx, "writing the request", err)
	}
	s.Rotator.Nudge(id)
	return rec, nil
}

// try is one pass of a change that is made already, if no other pass is at the connection.
func (s *Service) try(ctx context.Context, rec *rotation.Record, until time.Time) {
	got, err := s.Rotator.Pass(ctx, rec.ID, rotator.PassOptions{Until: until, Brief: true})
	switch {
	case err == nil:
		*rec = got
	case !errors.Is(err, rotator.ErrLeased) && !errors.Is(err, rotator.ErrLeaseLost):
		s.log().WarnContext(ctx, "the timer goes on", "connection", rec.ID, "reason", err.Error())
	}
}

// drive works on a connection until the request's time is over. If another pass is
// at it, it watches.
func (s *Service) drive(ctx context.Context, rec rotation.Record, until time.Time) (rotation.Record, error) {
	for {
		got, err := s.Rotator.Pass(ctx, rec.ID, rotator.PassOptions{Until: until, Acknowledge: true, Brief: true})
		switch {
		case err == nil:
			return got, nil
		case errors.Is(err, serviceerror.ErrNotFound):
			return got, errNoConnection
		case !errors.Is(err, rotator.ErrLeased) && !errors.Is(err, rotator.ErrLeaseLost):
			s.log().WarnContext(ctx, "rotation was interrupted", "connection", rec.ID, "reason", err.Error())
			return rec, nil // it is on the record; the timer goes on
		}
		if !s.Rotator.Clock().Add(time.Second).Before(until) {
			break
		}
		if err := pause(ctx, time.Second); err != nil {
			break
		}
	}
	return s.Get(ctx, rec.ID)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
