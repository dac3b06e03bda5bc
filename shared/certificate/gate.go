package certificate

import (
	"context"
	"errors"
	"time"
)

// ErrBusy says that a PFX file was not read, because others were being read for as long
// as the request could wait, or because the request ended. It can be tried again.
var ErrBusy = errors.New("too many PFX files are being read at once")

// gate bounds how many PFX files are read at once.
type gate chan struct{}

// reading is this process's gate. Each file takes up to a second of a core; more than two
// at once would take longer each, and leave less to other requests.
var reading = make(gate, 2)

// patience is how long a file waits for a place. Longer, and there would be little left of
// the request's time for what comes after.
const patience = 10 * time.Second

// enter waits for a place, which the caller has to leave. The request's end ends the
// wait, and a request that has ended gets no place.
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return nil, ErrBusy
	}
	leave = func() { <-g }
	if ctx.Err() != nil { // both were ready, and select chose
		leave()
		return nil, ErrBusy
	}
	return leave, nil
}
