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
	for i := range rotation.MaxReplaced {
		if said := rec.Crowded(); said != "" {
			t.Fatalf("with %d: %s", i, said)
		}
		rec.Removals = append(rec.Removals, rotation.Removal{Kind: rotation.RemoveReplaced, Published: true,
			After: now.Add(time.Duration((i+5)%rotation.MaxReplaced) * hour)})
	}
	if said := rec.Crowded(); !strings.Contains(said, "32 older") || !strings.Contains(said, "the first after "+now.Format(time.RFC3339)) {
		t.Error(said)
	}
}
