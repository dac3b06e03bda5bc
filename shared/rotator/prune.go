package rotator

import (
	"context"
	"time"

	"rekey/shared/serviceerror"
)

const (
	keepHistory = 400 * 24 * time.Hour
	// pruneEvery is how often a process looks for history that is too old.
	pruneEvery = 24 * time.Hour
	// pruneAgain is how soon it tries again after a failure.
	pruneAgain = 10 * time.Minute
	// pruneLimit bounds what one sweep prunes. What is beyond it is the next one's.
	pruneLimit = 500
	// pruneTime bounds how long that takes.
	pruneTime = 20 * time.Second
)

// prune takes away history that is too old, if it is time to look for some.
func (r *Rotator) prune(ctx context.Context) {
	if r.History == nil || !r.timeToPrune() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pruneTime)
	defer cancel()
	rows, more, err := r.History.Prune(ctx, r.now().Add(-keepHistory), pruneLimit)
	if err != nil {
		r.log().Warn("pruning history", "class", string(serviceerror.ClassOf(err)))
	}
	if rows > 0 {
		r.log().Info("pruned history", "rows", rows)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case more:
		r.pruneAt = time.Time{} // the next sweep goes on
	case err != nil:
		r.pruneAt = r.now().Add(pruneAgain)
	}
}

// timeToPrune reports whether a day has passed, of which only one sweep is told.
func (r *Rotator) timeToPrune() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Before(r.pruneAt) {
		return false
	}
	r.pruneAt = now.Add(pruneEvery)
	return true
}
