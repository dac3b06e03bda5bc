package fault_test

import (
	"context"
	"testing"
	"time"

	"rekey/shared/emulator/fault"
)

// What was derived from it, as clients and adapters do, ends with it and for its reason.
func TestDeadlineComesWhenItIsCalled(t *testing.T) {
	ctx, over := fault.Deadline(t.Context())
	derived, cancel := context.WithTimeout(context.WithValue(ctx, t, t), time.Hour)
	defer cancel()
	for name, c := range map[string]context.Context{"itself": ctx, "derived": derived} {
		if err := c.Err(); err != nil {
			t.Errorf("%s: over before it was called: %v", name, err)
		}
	}
	over()
	over()
	for name, c := range map[string]context.Context{"itself": ctx, "derived": derived} {
		<-c.Done()
		if err, cause := c.Err(), context.Cause(c); err != context.DeadlineExceeded || cause != context.DeadlineExceeded {
			t.Errorf("%s: ended with %v, because of %v", name, err, cause)
		}
	}
}
