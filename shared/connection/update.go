package connection

import (
	"context"
	"errors"
	"time"

	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/schedule"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// Change is what a caller wants to be different about a connection. What is nil stays
// as it is.
type Change struct {
	// Version, if not nil, is the revision that the caller has seen; another one
	// is refused with [Conflict].
	Version *int64

	Name, Description    *string
	Rotate               *bool
	Schedule             *schedule.Schedule
	Grace, OriginalGrace *time.Duration
	Credentials          *Credentials     // of the connection's own method
	Labels               *rotation.Labels // all of them

	By string
}

func (c *Change) clean() error {
	var m mistakes
	if c.Name != nil {
		m.name(c.Name)
	}
	if c.Description != nil {
		m.description(*c.Description)
	}
	if c.Schedule != nil {
		m.schedule(*c.Schedule)
	}
	m.grace("gracePeriodHours", c.Grace)
	m.grace("originalGracePeriodHours", c.OriginalGrace)
	if c.Credentials != nil {
		c.Credentials.clean(&m)
	}
	m.labels(c.Labels)
	return m.err()
}

// Update changes a connection. Everything is checked before anything is changed. A
// schedule takes effect at once. New credentials are proven first; where they are
// what is rotated, the old ones go once the new ones are published (phase
// rebinding), as far as the request's time goes.
func (s *Service) Update(ctx context.Context, id string, c Change) (rotation.Record, error) {
	asking, ctx, until, cancel := s.bounded(ctx)
	defer cancel()
	if err := c.clean(); err != nil {
		return rotation.Record{}, err
	}
	rec, err := s.Get(asking, id)
	if err != nil {
		return rec, err
	}
	if err := c.fits(&rec); err != nil {
		return rec, err
	}
	e := edit{Change: c, id: s.Rotator.NewID(), from: origin(ctx), seen: rec.Clone()}
	if err := s.recognise(asking, &rec, &e); err != nil {
		return rec, err
	}
	if err := e.mayChange(ctx, &rec, s.Rotator.Clock()); err != nil {
		return rec, err
	}
	if rec, err = s.prepare(asking, ctx, rec, &e, until); err == nil {
		rec, err = s.apply(ctx, id, &e)
	} else {
		s.unclaim(ctx, e.claims)
	}
	if err != nil {
		s.giveBack(ctx, id, e.reserved)
		return rec, err
	}
	s.reaffirm(ctx, &rec, e.reserved)
	s.giveBack(ctx, id, e.obsolete)
	if rec.Request == nil && (c.Rotate == nil || !*c.Rotate) {
		if e.auth != nil { // tells the targets; the timer does what is left
			s.try(ctx, &rec, until)
		}
		return rec, nil
	}
	return s.drive(ctx, rec, until)
}

// fits refuses a change that rec as it is does not allow.
func (c *Change) fits(rec *rotation.Record) error {
	if c.Version != nil && *c.Version != rec.Revision {
		return &Error{
			Kind:    Conflict,
			Message: "Another caller has changed the connection meanwhile. Read it again, and repeat the change with its version.",
		}
	}
	turnOn := c.Rotate != nil && *c.Rotate
	switch {
	case rec.Phase == rotation.Creating:
		return &Error{Kind: Conflict, Message: "The connection is being created. Try again in a minute.", RetryAfter: time.Minute}
	case c.Credentials != nil && rec.Via != "":
		return invalid("This target has no credentials of its own: it is rotated through a connection. Change the credentials of that one.")
	case c.Credentials != nil && c.Credentials.Method != rec.Method:
		return invalid("The method of a connection can't be changed. Create another connection.")
	case turnOn && rec.Target.ClientID == "":
		return invalid("This connection rotates nothing by itself. "+
			"Give it an application to rotate: POST .../azure-client-secrets/%s/targets.", rec.ID)
	case turnOn && c.Schedule == nil && rec.Policy.Schedule.Interval == 0:
		return invalid("rotation is required when isAutoRotationEnabled is true: " +
			"give rotationInterval (days) and rotateAt {hours, minutes} with timeZone, or rotateAtUtc.")
	}
	return nil
}

// edit is a change with what was found out and reserved for it.
type edit struct {
	Change
	id       string          // of the change, and of its request
	seen     rotation.Record // what it was prepared for
	from     string          // where it came from, for the audit
	request  *rotation.Request
	auth     *rotation.Auth // new credentials that are not rotated
	actor    rotation.Application
	reserved []reservation.Row   // for the change; to be given back if it fails
	obsolete []reservation.Row   // to be given back if it succeeds
	claims   []rotation.ClaimRow // for the change
	given    string              // digest of the credentials that came with it; empty: none
	again    bool                // they are those that the record has: no change of credentials
	keyID    string              // which identifies current; empty: none came, or it is known
	ends     time.Time           // of what has that key id
}

// prepare checks everything that needs asking, reserves and claims. It returns the record
// as it is then.
func (s *Service) prepare(asking, ctx context.Context, rec rotation.Record, e *edit, until time.Time) (rotation.Record, error) {
	if e.Name != nil && *e.Name != rec.Name && rec.Via == "" {
		if err := s.rename(asking, &rec, e); err != nil {
			return rec, err
		}
	}
	switch {
	case e.Credentials != nil && rec.Auth != nil:
		return rec, s.prepareReconnect(asking, &rec, e)
	case e.Credentials != nil:
		return rec, s.prepareRebind(asking, &rec, e)
	case e.Rotate != nil && *e.Rotate && !rec.Policy.Enabled && !rec.Delegated():
		return s.prepareRotation(asking, ctx, rec, e, until)
	}
	return rec, nil
}

func (s *Service) rename(ctx context.Context, rec *rotation.Record, e *edit) error {
	res := rotation.NameReservation(rec.Project, *e.Name, rec.ID)
	err := s.Reservations.Reserve(ctx, res, s.void)
	if errors.Is(err, serviceerror.ErrExists) {
		return invalid("An App Connection with the name %q already exists. Choose another name.", *e.Name)
	}
	if err != nil {
		return s.explainStore(ctx, "reserving the name", err)
	}
	e.reserved = append(e.reserved, res)
	e.obsolete = append(e.obsolete, rotation.NameReservation(rec.Project, rec.Name, rec.ID))
	return nil
}

// prepareRotation makes sure that a connection may rotate from now on: it is known which
// credential it has, and it has the application for itself.
func (s *Service) prepareRotation(asking, ctx context.Context, rec rotation.Record, e *edit, until time.Time) (rotation.Record, error) {
	if len(goingOver(&rec)) > 0 {
		return rec, &Error{
			Kind: Conflict, RetryAfter: time.Minute,
			Message: "The connection is taking new credentials over. Turn rotation on when that is done, in a minute or two.",
		}
	}
	rec, err := s.identifyByPass(ctx, rec, e.By, until)
	if err != nil {
		return rec, err
	}
	e.seen = rec.Clone()
	next := rec.Clone()
	next.Policy.Enabled = true
	e.claims, err = s.claim(asking, &rec, next.Unclaimed()...)
	return rec, err
}

// goingOver lists what rec is going over to: what is being proven, and what comes after
// that. Empty: no new credentials are under way.
func goingOver(rec *rotation.Record) (list []*rotation.Credential) {
	if r := rec.Run; rec.Phase == rotation.Rebinding {
		list = append(list, &rotation.Credential{Target: r.Target, KeyID: r.KeyID, Hint: r.Hint})
	}
	if q := rec.Request; q != nil && q.Kind == rotation.AskRebind {
		list = append(list, q.Next)
	}
	return list
}

// apply writes the change, beside whatever a pass writes at the same time.
func (s *Service) apply(ctx context.Context, id string, e *edit) (rotation.Record, error) {
	now := s.Rotator.Clock()
	var dropped []rotation.ClaimRow
	rec, err := amend(ctx, s.Records, id, func(rec *rotation.Record) ([]rotation.Event, error) {
		if rec.Gone() {
			return nil, errNoConnection
		}
		was := rec.Clone()
		if err := e.fits(rec); err != nil {
			return nil, err
		}
		if err := e.mayChange(ctx, rec, now); err != nil {
			return nil, err
		}
		if e.overtaken(rec) {
			return nil, errOvertaken
		}
		if e.request != nil && !rec.Ask(*e.request) {
			return nil, &Error{
				Kind: Conflict, RetryAfter: time.Minute,
				Message: "Another change of this connection is under way. Try again in a minute.",
			}
		}
		events := e.edit(rec, now)
		if err := s.listClaims(&was, rec, e.claims); err != nil {
			return nil, err
		}
		dropped = was.Dropped(rec)
		events = append(events, rotation.Tell(rec, now)...)
		rec.Revision++
		rec.UpdatedAt, rec.WakeAt, rec.ChangeID = now, now, e.id
		return events, nil
	})
	s.unclaimUnlisted(ctx, &rec, e.claims, err)
	if err != nil {
		return rec, s.explainStore(ctx, "writing the change", err)
	}
	s.unclaim(ctx, dropped)
	s.Rotator.Nudge(id)
	return rec, nil
}

// overtaken reports whether what was looked at and reserved for the change is not what
// matters on rec, because another caller or a pass has changed it since.
func (e *edit) overtaken(rec *rotation.Record) bool {
	was, is := e.seen.Current, rec.Current
	replaced := was != nil && is != nil && was.VaultVersion != is.VaultVersion
	if e.Name != nil && rec.Via == "" && *e.Name == e.seen.Name && *e.Name != rec.Name {
		return true // this change has not reserved it
	}
	switch on := e.Rotate != nil && *e.Rotate; {
	case e.Credentials != nil && e.auth != nil:
		return !rec.Actor.Same(e.seen.Actor)
	case e.Credentials != nil:
		return rec.Policy.Enabled != e.seen.Policy.Enabled || replaced && !rec.Policy.Enabled
	case on && !rec.Policy.Enabled && !rec.Delegated():
		return e.seen.Policy.Enabled || replaced || len(goingOver(rec)) > 0
	}
	return false
}

// edit changes what the API may change of a record.
func (e *edit) edit(rec *rotation.Record, now time.Time) []rotation.Event {
	changed := "changed:"
	note := func(what string) { changed += " " + what }
	set := func(to, from *string, what string) {
		if from != nil && *from != *to {
			*to = *from
			note(what)
		}
	}
	set(&rec.Name, e.Name, "name")
	set(&rec.Description, e.Description, "description")
	if l := e.Labels; l != nil && (rec.Labels == nil || *rec.Labels != *l) {
		rec.Labels = new(*l)
		note("labels")
	}
	if e.Grace != nil {
		rec.Policy.Grace = *e.Grace
		note("gracePeriodHours")
	}
	if e.OriginalGrace != nil {
		rec.SetOriginalGrace(*e.OriginalGrace)
		note("originalGracePeriodHours")
	}
	was := rec.Policy
	if e.Schedule != nil {
		rec.Policy.Schedule = *e.Schedule
		note("schedule")
	}
	if e.Rotate != nil && *e.Rotate != rec.Policy.Enabled {
		rec.Policy.Enabled = *e.Rotate
		note(map[bool]string{true: "rotation on", false: "rotation off"}[*e.Rotate])
	}
	switch {
	case !rec.Policy.Enabled:
		rec.NextSlot = time.Time{}
	case rec.Policy != was:
		rec.NextSlot = rec.Policy.Schedule.Next(rec.LastRotatedAt, now)
		rec.LongestAccepted = 0 // another lifetime is asked for; the tenant's policy may have changed, too
	}
	if e.Credentials != nil {
		rec.CredentialChanges++
		note("credentials")
	}
	if e.again {
		e.takeAgain(rec, now)
	}
	events := []rotation.Event{{At: now, Kind: history.Changed, By: e.By, From: e.from, Message: changed}}
	if e.auth != nil {
		rec.Reconnect(now, e.actor, *e.auth)
		rec.Given = e.given
		events = append(events, rotation.Event{At: now, Kind: history.Reconnected, By: e.By, From: e.from})
	}
	return events
}
