package telemetry

import (
	"context"
	"errors"
	"time"

	"rekey/shared/index"
	"rekey/shared/rotator"
	"rekey/shared/serviceerror"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"rekey/shared/rotation"
)

// The keys that are Rekey's own. None of the values of metrics names a connection, so
// that their number does not grow with the connections.
const (
	keyService    = attribute.Key("rekey.service")
	keyConnection = attribute.Key("rekey.connection.id")
	keyStep       = attribute.Key("rekey.step")
	keyPhase      = attribute.Key("rekey.phase")
	keyRun        = attribute.Key("rekey.run.id")
	keyTrigger    = attribute.Key("rekey.trigger")
	keyCredential = attribute.Key("rekey.key.id")
	keyOutcome    = attribute.Key("rekey.outcome")
	keyClass      = attribute.Key("rekey.class")
	keyKind       = attribute.Key("rekey.credential")
)

// Observer sees what passes do; nil if t is nil, so that nothing is told.
func (t *Telemetry) Observer() rotator.Observer {
	if t == nil {
		return nil
	}
	return observer{t}
}

type observer struct{ t *Telemetry }

// watched is what is remembered of a pass while it runs. Its steps come one after the
// other.
type watched struct {
	begun bool
	last  rotation.RunResult // the last run that ended before, or was counted
}

type watchedKey struct{}

// Pass begins the span of a pass.
func (o observer) Pass(ctx context.Context, id string) (context.Context, func(*rotation.Record, error)) {
	s := o.t.sdk()
	w := &watched{}
	ctx, span := s.tracer.Start(context.WithValue(ctx, watchedKey{}, w), "pass", trace.WithAttributes(keyConnection.String(id)))
	return ctx, func(rec *rotation.Record, err error) {
		outcome := ended(err)
		span.SetAttributes(keyOutcome.String(outcome), keyPhase.String(string(rec.Phase)))
		if rec.Current != nil {
			span.SetAttributes(keyCredential.String(rec.Current.KeyID))
		}
		if outcome == "stopped" {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
		switch outcome {
		case "ok":
			o.count(ctx, w, rec)
			o.expiry(ctx, rec)
		case "stopped": // the record is what this pass left, if there is one
			o.count(ctx, w, rec)
		}
	}
}

// ended says in a word how a pass ended.
func ended(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, serviceerror.ErrNotFound):
		return "gone"
	case errors.Is(err, rotator.ErrLeased), errors.Is(err, rotator.ErrLeaseLost):
		return "leased"
	}
	return "stopped"
}

// Step begins the span of a step.
func (o observer) Step(ctx context.Context, rec *rotation.Record, step rotation.Step) (context.Context, func(string, serviceerror.Class)) {
	s, start := o.t.sdk(), o.t.now()
	if w, ok := ctx.Value(watchedKey{}).(*watched); ok {
		o.count(ctx, w, rec)
	}
	attrs := []attribute.KeyValue{keyStep.String(step.Name()), keyPhase.String(string(rec.Phase))}
	if run := rec.Run; run != nil {
		attrs = append(attrs, keyRun.String(run.ID), keyTrigger.String(string(run.Trigger)))
		if run.KeyID != "" {
			attrs = append(attrs, keyCredential.String(run.KeyID))
		}
	}
	ctx, span := s.tracer.Start(ctx, step.Name(), trace.WithAttributes(attrs...))
	return ctx, func(outcome string, class serviceerror.Class) {
		span.SetAttributes(keyOutcome.String(outcome))
		if class != "" {
			span.SetAttributes(keyClass.String(string(class)))
		}
		if outcome == "failed" || outcome == "stopped" {
			span.SetStatus(codes.Error, string(class))
		}
		span.End()
		s.step.Record(ctx, o.t.now().Sub(start).Seconds(), metric.WithAttributes(keyStep.String(step.Name()), keyOutcome.String(outcome)))
	}
}

// count counts the run that has ended since the last look, if one has. The first look
// of a pass comes before anything that it could have ended.
func (o observer) count(ctx context.Context, w *watched, rec *rotation.Record) {
	var last rotation.RunResult
	if rec.LastRun != nil {
		last = *rec.LastRun
	}
	if w.begun && last.ID != "" && (last.ID != w.last.ID || !last.FinishedAt.Equal(w.last.FinishedAt)) {
		o.t.sdk().rotations.Add(ctx, 1, metric.WithAttributes(keyTrigger.String(string(last.Trigger)), keyOutcome.String(last.Outcome)))
	}
	w.begun, w.last = true, last
}

// expiry measures how long the connection's credentials have left. A connection that
// is at rest has a pass at least at its next rotation, and where none is planned at the
// warnings before its end, so that whatever comes near its end is seen.
func (o observer) expiry(ctx context.Context, rec *rotation.Record) {
	left := func(kind string, end time.Time) {
		if !end.IsZero() {
			o.t.sdk().expiry.Record(ctx, end.Sub(o.t.now()).Hours()/24, metric.WithAttributes(keyKind.String(kind)))
		}
	}
	if rec.Current != nil {
		left("published", rec.Current.ExpiresAt)
	}
	if rec.Auth != nil {
		left("sign-in", rec.Auth.ExpiresAt)
	}
}

// Due keeps what was due at a look at the index.
func (o observer) Due(now time.Time, due []index.Due) {
	b := &backlog{seen: o.t.now(), connections: int64(len(due))}
	if len(due) > 0 {
		b.oldest = max(0, now.Sub(due[0].Wake))
	}
	o.t.due.Store(b)
	o.t.sdk()
}

// backlog is what one look at the index showed.
type backlog struct {
	seen        time.Time
	connections int64
	oldest      time.Duration
}

// stale is when a look is of no interest any more: the timer runs in another process by
// now, whose number is the true one.
const stale = 5 * time.Minute
