// Package rotatedue is the timer function: it runs a pass for every connection that
// has something to be done, and beside that tells people what they have to know.
//
// It keeps no state of its own. What is due is in the table, so that a tick that is
// late, missed or started by hand needs no care, and two at once do no harm.
package rotatedue

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"rekey/shared/host"
	"rekey/shared/rotator"
)

// Name is the function's name, which is the name of the folder of its function.json.
const Name = "rotatedue"

// Sweeper is what a tick sets going; see [rotator.Rotator.Sweep].
type Sweeper interface {
	Sweep(ctx context.Context) (rotator.Swept, error)
	Clock() time.Time
}

// Handler answers the Functions host. A tick outlives the host's connection, as a
// pass is not undone for want of a listener. n may be nil: then no notices are delivered.
func Handler(s Sweeper, n Notifier, log *slog.Logger) http.Handler {
	return host.TimerHandler(Name, func(ctx context.Context, t host.Timer) (any, error) {
		return Tick(context.WithoutCancel(ctx), s, n, t, log)
	})
}

// Tick is one tick on any host. Its result and its error are the sweep's alone.
func Tick(ctx context.Context, s Sweeper, n Notifier, t host.Timer, log *slog.Logger) (rotator.Swept, error) {
	start := s.Clock()
	ended := accompany(ctx, n, t, log)
	defer ended()
	swept, err := s.Sweep(ctx)
	attrs := []any{"invocation", t.InvocationID, "pastDue", t.IsPastDue, "due", swept.Due, "passes", swept.Passes,
		"scans", swept.Scans, "leased", swept.Leased, "failed", swept.Failed, "late", swept.Late, "duration", s.Clock().Sub(start)}
	if err != nil {
		log.ErrorContext(ctx, "sweep", append(attrs, "outcome", "failed", "reason", err.Error())...)
		return swept, err
	}
	log.InfoContext(ctx, "sweep", append(attrs, "outcome", "ok")...)
	return swept, nil
}
