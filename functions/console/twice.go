package console

import (
	"errors"
	"time"

	core "rekey/shared/connection"
)

// How often, and how many times, a request that was sent twice asks for the answer to the first one. Lambda lets
// a page take half a minute.
const (
	askPause = 3 * time.Second
	askTimes = 8
)

// answered sends a request, and where it was sent twice at once (a button pressed twice, without a script to
// disable it), waits for what comes of the first one: a browser shows the answer to the second one alone.
func (a *api) answered(method, path string, body any, key string) (*recorder, error) {
	for asked := 0; ; asked++ {
		w, err := a.raw(method, path, body, key)
		if r, ok := errors.AsType[*refusal](err); !ok || r.code != core.InProgress || asked == askTimes {
			return w, err
		}
		select {
		case <-time.After(askPause):
		case <-a.request.Context().Done():
			return w, err
		}
	}
}
