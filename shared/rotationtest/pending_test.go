package rotationtest_test

import (
	"testing"

	"rekey/shared/rotationtest"
)

func TestMemoryPending(t *testing.T) {
	rotationtest.TestPending(t, func(*testing.T) rotationtest.PendingStore { return &rotationtest.MemoryPending{} })
}
