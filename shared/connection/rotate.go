package connection

import (
	"cmp"
	"context"
	"errors"
	"time"

	"rekey/shared/history"
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
	wanted, err := rotatable(&rec)
	if err != nil {
		return rec, err
	}
	rows, err := s.claim(asking, &rec, wanted...)
	if err != nil {
		return rec, err
	}
	ask := s.request(opts)
	if rec, err = s.askIf(ctx, id, ask, rows, unconditional); err != nil {
		return rec, err
	}
	if rec, err = s.drive(ctx, rec, until); err != nil {
		return rec, err
	}
	if opts.Emergency {
		return rec, nil
	}
	return rec, refusedToIdentify(&rec, ask.ID)
}

// answered reports whether the run under way is the answer already. One that pauses after a
// failure is asked to go on at once.
func answered(rec *rotation.Record, opts RotateOptions) bool {
	return rec.Run != nil && rec.Error == nil && !opts.Emergency
}

// request is what Rotate asks for.
func (s *Service) request(opts RotateOptions) rotation.Request {
	ask := rotation.Request{
		Kind: rotation.AskRotate, ID: cmp.Or(opts.ID, s.Rotator.NewID()), By: opts.By, At: s.Rotator.Clock(), Grace: opts.Grace,
	}
	if opts.Emergency {
		ask.Kind = rotation.AskEmergency
	}
	return ask
}

// roomFor refuses to begin a rotation by hand while too many old client secrets are
// waiting. An emergency ends their grace periods.
func roomFor(rec *rotation.Record, opts RotateOptions) error {
	if advice := rec.Crowded(); advice != "" && rec.Run == nil && !opts.Emergency {
		return &Error{Kind: Conflict, Message: advice, RetryAfter: time.Hour}
	}
	return nil
}

// rotatable refuses a connection that has nothing to rotate, and says what it has to claim
// before it is rotated by hand. What it is going over to takes the place of what is
// published before that.
func rotatable(rec *rotation.Record) (wanted []rotation.Claim, err error) {
	if rec.Target.ClientID == "" {
		return nil, invalid("This connection rotates nothing by itself. Give it an application to rotate: "+
			"POST .../azure-client-secrets/%s/targets.", rec.ID)
	}
	next := rec.Clone()
	next.Policy.Enabled = true
	return next.Unclaimed(), nil
}

// identifyByPass lets a pass find out which credential is the one that was given, if that is not
// known (rule R14). It changes nothing else, so that it may stay if the request ends here.
func (s *Service) identifyByPass(ctx context.Context, rec rotation.Record, by string, until time.Time) (rotation.Record, error) {
	if !rec.Unidentified() {
		return rec, nil
	}
	ask := rotation.Request{Kind: rotation.AskIdentify, ID: s.Rotator.NewID(), By: by, At: s.Rotator.Clock()}
	rec, err := s.ask(ctx, rec.ID, ask)
	if err == nil {
		rec, err = s.drive(ctx, rec, until)
	}
	switch {
	case err != nil || !rec.Unidentified():
		return rec, err
	case rec.Error != nil && rec.Request != nil:
		return rec, &Error{
			Kind: Unavailable, RetryAfter: time.Minute,
			Message: "Which client secret is published could not be found out yet: " + rec.Error.Message + " Try again.",
		}
	}
	if err := refusedToIdentify(&rec, ask.ID); err != nil {
		return rec, err
	}
	return rec, errOvertaken
}

// refusedToIdentify returns why a request was refused that needed to know which credential
// is the one that was given.
func refusedToIdentify(rec *rotation.Record, request string) error {
	if last := rec.LastRun; rec.Unidentified() && last != nil && last.ID == request && last.Outcome == "failed" {
		return invalid("%s", last.Message)
	}
	return nil
}

// ask writes a request on the record, without costing a pass its work.
func (s *Service) ask(ctx context.Context, id string, ask rotation.Request) (rotation.Record, error) {
	return s.askIf(ctx, id, ask, nil, unconditional)
}

func unconditional(context.Context, *rotation.Record) error { return nil }

// askIf is ask if check has no objection to the record that the request is written on,
// which lists the claims in rows from then on.
func (s *Service) askIf(
	ctx context.Context, id string, ask rotation.Request, rows []rotation.ClaimRow, check func(context.Context, *rotation.Record) error,
) (rotation.Record, error) {
	var dropped []rotation.ClaimRow
	rec, err := amend(ctx, s.Records, id, func(rec *rotation.Record) ([]rotation.Event, error) {
		dropped = nil
		if rec.Gone() {
			return nil, errNoConnection
		}
		if err := check(ctx, rec); err != nil {
			return nil, err
		}
		was := rec.Clone()
		if !rec.Ask(ask) {
			return nil, rotator.ErrUnchanged
		}
		if err := s.listClaims(&was, rec, rows); err != nil {
			return nil, err
		}
		dropped = was.Dropped(rec)
		rec.WakeAt = s.Rotator.Clock()
		return []rotation.Event{{
			At: ask.At, Kind: history.Requested, By: ask.By, From: origin(ctx), RunID: ask.ID, Message: ask.Asked(),
		}}, nil
	})
	if errors.Is(err, rotator.ErrGone) && ask.Kind == rotation.AskDelete {
		return rec, nil
	}
	s.unclaimUnlisted(ctx, &rec, rows, err)
	if err != nil {
		return rec, s.explainStore(ctx, "writing the request", err)
	}
	s.unclaim(ctx, dropped)
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
