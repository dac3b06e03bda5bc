package rebuild

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"rekey/shared/claim"
	"rekey/shared/history"
	"rekey/shared/reservation"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// Apply writes the records that plan found missing, those that authenticate for others
// first, and says on plan how it went. It reserves before it writes, as a creation does,
// and writes no record that is there: what another caller has made meanwhile stays.
//
// Of records that are there it makes sure that they have their reservations and claims,
// which may have been lost without them. The error is that of ctx; what concerns one connection is
// said there.
func (r *Rebuilder) Apply(ctx context.Context, plan *Plan) error {
	w := &writer{r, map[string]bool{}}
	for _, c := range plan.Connections {
		w.coming[c.ID] = c.Outcome == Missing
	}
	for i := range plan.Connections {
		c := &plan.Connections[i]
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch c.Outcome {
		case Missing:
			w.write(ctx, c)
		case Present:
			w.mend(ctx, c)
		}
	}
	return nil
}

// writer writes what one look has found.
type writer struct {
	*Rebuilder
	coming map[string]bool // connections that are going to have a record
}

func (w *writer) write(ctx context.Context, c *Connection) {
	ctx, cancel := context.WithTimeout(ctx, w.Rules.Lease)
	defer cancel()
	outcome, why := w.create(ctx, c)
	c.Outcome = outcome
	switch {
	case outcome == Held:
		c.ByPerson = append(c.ByPerson, why)
	case why != "":
		c.Notes = append(c.Notes, why)
	}
	w.log().InfoContext(ctx, "rebuilding", "connection", c.ID, "outcome", string(outcome),
		"retiring", len(c.Record.Replaced()), "abandoned", len(c.Record.Orphans()), "byHand", len(c.Record.ByHand))
}

func (w *writer) create(ctx context.Context, c *Connection) (Outcome, string) {
	rec := c.Record.Clone()
	rec.ByHand = rec.ByHand[:min(len(rec.ByHand), rotation.MaxByHand)] // ByPerson has all of them
	if rec.Via != "" {
		parent, err := w.Records.Load(ctx, rec.Via)
		switch {
		case errors.Is(err, serviceerror.ErrNotFound), err == nil && parent.Phase == rotation.Deleting:
			return Held, "The connection that it is rotated through has no record. Rebuild that one first."
		case err != nil:
			return Unclear, serviceerror.Explain(err)
		}
	}
	for i, res := range rec.Reservations() {
		err := w.Reservations.Reserve(ctx, res, w.void)
		if err == nil {
			continue
		}
		if !errors.Is(err, serviceerror.ErrExists) {
			return Unclear, serviceerror.Explain(err) // what was reserved is kept for the next try
		}
		w.release(ctx, rec.ID, rec.Reservations()[:i])
		return Held, taken(res.Kind)
	}
	now := w.now()
	rows, err := w.claim(ctx, &rec)
	if _, ok := errors.AsType[*claim.TakenError](err); ok {
		w.release(ctx, rec.ID, rec.Reservations())
		return Held, claimed
	} else if err != nil {
		return Unclear, serviceerror.Explain(err)
	}
	rec.Claimed = nil
	rec.AddClaims(rows)
	if rec.WakeAt.IsZero() || rec.WakeAt.Before(now) {
		rec.WakeAt = w.Rules.Wake(now, &rec)
	}
	first := events(&rec, now) // before rec is passed on: it notes what is told
	got, err := w.Records.Create(ctx, rec, first...)
	if err == nil {
		c.Record = got
		return Rebuilt, ""
	}
	if errors.Is(err, serviceerror.ErrExists) {
		if err := w.claims().Withdraw(ctx, rows...); err != nil { // they become void by themselves
			w.log().WarnContext(ctx, "withdrawing claims", "class", string(serviceerror.ClassOf(err)))
		}
		return Present, "Its record was written by another process meanwhile."
	}
	if got, lerr := w.Records.Load(ctx, rec.ID); lerr == nil {
		c.Record = got
		return Rebuilt, ""
	}
	return Unclear, serviceerror.Explain(err)
}

// events are the first lines of the history.
func events(rec *rotation.Record, now time.Time) []rotation.Event {
	first := rotation.Event{At: now, Kind: EventRebuilt, By: By, Message: fmt.Sprintf(
		"the record was lost and is written again from what Key Vault and Entra have; "+
			"to be removed: %d, to be looked for: %d, left to a person: %d",
		len(rec.Replaced()), len(rec.Orphans()), len(rec.ByHand))}
	if rec.Current != nil {
		first.KeyID = rec.Current.KeyID
	}
	list := []rotation.Event{first}
	for _, h := range rec.ByHand {
		list = append(list, rotation.Event{At: now, Kind: history.ByHand, KeyID: h.KeyID, Target: h.Target, Message: h.Reason, Notice: true})
	}
	return append(list, rotation.Tell(rec, now)...)
}

func taken(kind reservation.Kind) string {
	switch kind {
	case reservation.Name:
		return "Another connection has its name; perhaps this one was being deleted. Delete or rename the other one if this one is needed."
	}
	return "Another connection has its vault secret. Delete one of the two."
}

const claimed = "Another connection uses its application, and one of the two removes client secrets of it; perhaps it was created anew. " +
	"Delete one of the two."

func (w *writer) claims() claim.Claims {
	return claim.Claims{Store: w.Claims, Records: w.Records, Now: w.now}
}

// claim claims what a record needs that is written again.
func (w *writer) claim(ctx context.Context, rec *rotation.Record) (rows []rotation.ClaimRow, err error) {
	for _, c := range rec.Uses() {
		c.ID = rand.Text()
		row := rec.ClaimRow(c)
		row.At = w.now()
		rows = append(rows, row)
	}
	return rows, w.claims().Take(ctx, rows...)
}

// mendClaims writes the claims of a record that is there once more, if they were lost. It
// reports whether another connection has one that excludes them.
func (w *writer) mendClaims(ctx context.Context, rec *rotation.Record) (taken bool, err error) {
	var rows []rotation.ClaimRow
	for _, c := range rec.Claimed {
		row := rec.ClaimRow(c)
		row.At = w.now()
		if err := w.Claims.Claim(ctx, row); err != nil {
			return false, err
		}
		rows = append(rows, row)
	}
	err = w.claims().Look(ctx, rows...)
	if _, ok := errors.AsType[*claim.TakenError](err); ok {
		return true, nil
	}
	return false, err
}

// release gives up what was reserved for a connection that can't be written, unless
// another caller has written it meanwhile and needs it.
func (w *writer) release(ctx context.Context, id string, made []reservation.Row) {
	if _, err := w.Records.Load(ctx, id); !errors.Is(err, serviceerror.ErrNotFound) {
		return
	}
	for _, res := range made {
		if err := w.Reservations.Release(ctx, res); err != nil { // it becomes void by itself
			w.log().WarnContext(ctx, "releasing a reservation", "kind", string(res.Kind), "class", string(serviceerror.ClassOf(err)))
		}
	}
}

// void reports whether no connection needs an old reservation any more. One whose connection is
// going to be written again is needed.
func (w *writer) void(ctx context.Context, held reservation.Row) (bool, error) {
	rec, err := w.Records.Load(ctx, held.Owner)
	switch {
	case errors.Is(err, serviceerror.ErrNotFound):
		return !w.coming[held.Owner], nil
	case errors.Is(err, serviceerror.ErrNewerSchema):
		return false, nil
	case err != nil:
		return false, err
	}
	if rec.Holds(held) {
		return rec.Phase == rotation.Deleting && held.Kind == reservation.Name, nil
	}
	return rec.Phase != rotation.Deleting, nil
}

// mend reserves again what a record that is there holds. Its own reservations are found
// and kept.
func (w *writer) mend(ctx context.Context, c *Connection) {
	ctx, cancel := context.WithTimeout(ctx, w.Rules.Lease)
	defer cancel()
	rec, err := w.Records.Load(ctx, c.ID)
	if err != nil || rec.Phase == rotation.Deleting || rec.Request != nil && rec.Request.Kind == rotation.AskDelete {
		return
	}
	for _, res := range rec.Reservations() {
		err := w.Reservations.Reserve(ctx, res, w.void)
		switch {
		case errors.Is(err, serviceerror.ErrExists):
			c.ByPerson = append(c.ByPerson, taken(res.Kind))
		case err != nil:
			c.Outcome = Unclear
			c.Notes = append(c.Notes, serviceerror.Explain(err))
			return
		}
	}
	taken, err := w.mendClaims(ctx, &rec)
	if taken {
		c.ByPerson = append(c.ByPerson, claimed)
	}
	if err != nil {
		c.Outcome = Unclear
		c.Notes = append(c.Notes, serviceerror.Explain(err))
	}
}
