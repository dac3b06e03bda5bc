package fault

import (
	"context"
	"sync"
)

// Deadline returns a context that ends as at a deadline, but when over is called and not
// at a time: a test calls it when what it waits for has happened, such as that a call has
// arrived at an emulator. How fast the machine is then does not matter. over may be called
// more than once.
func Deadline(parent context.Context) (ctx context.Context, over func()) {
	done := make(chan struct{})
	return deadline{parent, done}, sync.OnceFunc(func() { close(done) })
}

type deadline struct {
	context.Context
	done <-chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.done }

func (d deadline) Err() error {
	select {
	case <-d.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}
