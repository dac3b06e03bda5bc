package rotatedue

import (
	"context"
	"log/slog"
	"time"

	"rekey/shared/host"
	"rekey/shared/notice"
)

// Notifier tells people of what happened; see [notice.Deliverer].
type Notifier interface {
	Deliver(ctx context.Context) (notice.Round, error)
}

const (
	// again is how often notices are delivered while a sweep is still waiting for
	// its passes: a timer does not fire while its last invocation runs.
	again = time.Minute
	// aRound bounds a round. A tick is longer than its sweep by two of them at most,
	// so that even the slowest receiver does not keep the next sweep from its minute.
	aRound = 25 * time.Second
)

// accompany delivers notices beside a sweep: each minute for as long as that runs, and
// once when it has ended, because a sweep makes notices itself. The function that it
// returns says that the sweep has ended, and waits for the last round.
//
// Nothing waits for notices except the end of the invocation, and nothing fails with
// them: they are in the table, and the next tick finds them.
func accompany(ctx context.Context, n Notifier, t host.Timer, log *slog.Logger) (ended func()) {
	if n == nil {
		return func() {}
	}
	sweeping, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(again)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				round(ctx, n, t, log)
			case <-sweeping:
				round(ctx, n, t, log)
				return
			}
		}
	}()
	return func() {
		close(sweeping)
		<-done
	}
}

func round(ctx context.Context, n Notifier, t host.Timer, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, aRound)
	defer cancel()
	did, err := n.Deliver(ctx)
	attrs := []any{"invocation", t.InvocationID, "pending", did.Pending, "delivered", did.Delivered, "failed", did.Failed,
		"givenUp", did.GivenUp}
	switch {
	case err != nil:
		log.ErrorContext(ctx, "notices", append(attrs, "outcome", "failed", "reason", err.Error())...)
	case did.Pending > 0:
		log.InfoContext(ctx, "notices", append(attrs, "outcome", "ok")...)
	}
}
