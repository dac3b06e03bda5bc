package rotation_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/rotation"
)

// Who is refused for want of room is told when the first old credential goes, in whatever
// order they wait.
func TestCrowdedSaysUntilWhen(t *testing.T) {
	rec := idle()
	for i := range rotation.MaxRetiring {
		if said := rec.Crowded(); said != "" {
			t.Fatalf("with %d: %s", i, said)
		}
		rec.Retiring = append(rec.Retiring, rotation.Retiring{RevokeAfter: now.Add(time.Duration((i+5)%rotation.MaxRetiring) * hour)})
	}
	if said := rec.Crowded(); !strings.Contains(said, "32 older") || !strings.Contains(said, "the first after "+now.Format(time.RFC3339)) {
		t.Error(said)
	}
}
