package rotationtest_test

import (
	"testing"

	"rekey/shared/rotationtest"
)

func TestMemoryNotices(t *testing.T) {
	rotationtest.TestNotices(t, func(t *testing.T) rotationtest.NoticeStore { return quick(t).NoticePort() })
}
