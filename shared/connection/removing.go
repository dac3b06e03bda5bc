package connection

import (
	"context"
	"fmt"
	"time"

	"rekey/shared/rotation"
)

// One rule says who may have a client secret removed: a request that makes Rekey remove one,
// or remove one sooner than it would, needs the role rotate. A caller without it has to be
// refused on the record that the request is written on, since that decides what is removed.

// removingKey is of contexts of callers who may not have client secrets removed.
type removingKey struct{}

// WithoutRemovals returns a context for the requests of a caller without the role rotate.
func WithoutRemovals(ctx context.Context) context.Context {
	return context.WithValue(ctx, removingKey{}, true)
}

func mayRemove(ctx context.Context) bool { return ctx.Value(removingKey{}) == nil }

// errMayNotRemove refuses a caller who may not have client secrets removed.
func errMayNotRemove(what string) *Error {
	return &Error{Kind: Forbidden, Message: fmt.Sprintf("%s, which needs the role %q.", what, "rotate")}
}

var errMayNotTurnOn = errMayNotRemove("Turning rotation on lets Rekey remove client secrets")

// mayChange refuses a change that removes a client secret, if its caller may not do that.
func (e *edit) mayChange(ctx context.Context, rec *rotation.Record, now time.Time) error {
	on := rec.Policy.Enabled
	if e.Rotate != nil {
		on = *e.Rotate
	}
	switch {
	case mayRemove(ctx):
		return nil
	case on && !rec.Policy.Enabled:
		return errMayNotTurnOn
	case e.Credentials != nil && rec.Auth == nil && (on || replaces(rec)):
		return errMayNotRemove("New credentials make Rekey remove the client secret that they replace")
	case (on || rec.Request != nil) && e.sooner(rec, now): // what is asked for takes its grace period when it begins
		return errMayNotRemove("With this schedule or grace period Rekey removes client secrets sooner")
	}
	return nil
}

// replaces reports whether new credentials end in a removal while rotation is off: of what
// they replace, or of what the run that they end may have issued.
func replaces(rec *rotation.Record) bool {
	if rec.Run != nil && rec.Run.Trigger != rotation.OnRebind {
		return true
	}
	c := rec.Current
	return c != nil && (c.Origin == rotation.OriginIssued || c.Origin == rotation.OriginNamed && rec.Claims(rotation.Exclusive, c.Target))
}

// sooner reports whether the change brings the next rotation, or what follows from it, forward.
func (e *edit) sooner(rec *rotation.Record, now time.Time) bool {
	p := rec.Policy
	if e.Grace != nil && *e.Grace < p.Grace || e.OriginalGrace != nil && *e.OriginalGrace < rec.OriginalGrace() {
		return true
	}
	if e.Schedule == nil || *e.Schedule == p.Schedule {
		return false
	}
	return e.Schedule.Interval < p.Schedule.Interval || e.Schedule.Next(rec.LastRotatedAt, now).Before(rec.NextSlot)
}

// mayDelete refuses a deletion that removes a client secret, if its caller may not do that.
// A deletion ends every grace period.
func (o DeleteOptions) mayDelete(ctx context.Context, rec *rotation.Record) error {
	switch {
	case mayRemove(ctx):
		return nil
	case o.Revoke:
		return errMayNotRemove("Deleting with revoke removes what is published")
	case len(rec.Removals) > 0 || rec.Run != nil && rec.Run.Trigger != rotation.OnRebind:
		return errMayNotRemove("Older client secrets of this connection still wait for their removal, and deleting it removes them at once")
	}
	return nil
}
