package rotator

import (
	"cmp"
	"context"
	"errors"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// observe begins to watch a step; what it returns ends that.
func (p *pass) observe(ctx context.Context, rec *rotation.Record, step rotation.Step,
) (context.Context, func(outcome string, class serviceerror.Class)) {
	if p.Observer == nil {
		return ctx, func(string, serviceerror.Class) {}
	}
	return p.Observer.Step(ctx, rec, step)
}

// attrs are what is logged of a step that led from rec to next.
func (p *pass) attrs(step rotation.Step, start time.Time, rec, next *rotation.Record) []any {
	attrs := []any{"step", step.Name(), "phase", string(next.Phase), "duration", p.now().Sub(start)}
	if run := cmp.Or(rec.Run, next.Run); run != nil {
		key := run.KeyID
		if next.Run != nil {
			key = next.Run.KeyID
		}
		attrs = append(attrs, "run", run.ID, "key", key)
	}
	return attrs
}

// judged says in a word how a step went.
func judged(rec, next *rotation.Record, step rotation.Step, err error) (outcome string, class serviceerror.Class) {
	_, purge := step.(rotation.Purge)
	_, prove := step.(rotation.Prove)
	switch {
	case errors.Is(err, errReleased):
		return judged(rec, next, step, nil)
	case errors.Is(err, serviceerror.ErrNotFound) && purge:
		return "ok", ""
	case err != nil:
		return "stopped", serviceerror.ClassOf(err)
	case next.Error != nil && (rec.Error == nil || next.Error.At != rec.Error.At):
		return "failed", next.Error.Class
	case prove && next.Proof.Failures > 0:
		return "refused", ""
	}
	return "ok", ""
}

// logEvents logs what a person has to know, in words that alerts wait for.
func (p *pass) logEvents(rec *rotation.Record, events []rotation.Event) {
	for _, e := range events {
		switch e.Kind {
		case history.Lost:
			p.log.Error("the published credential is lost", "key", e.KeyID, "advice", e.Message)
		case history.ByHand:
			p.log.Error("remove by hand", "key", e.KeyID, "application", e.Of(rec).ClientID, "reason", e.Message)
		case history.Expiring:
			days := rec.WarnedAt
			if e.KeyID == "" && rec.Auth != nil { // what the connection authenticates with
				days = rec.Auth.Warned
			}
			p.log.Warn("credential expires", "key", e.KeyID, "days", days, "method", rec.Method, "reason", e.Message)
		}
	}
}
