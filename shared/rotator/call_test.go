package rotator

import (
	"errors"
	"testing"
	"time"

	"rekey/shared/rotation"
)

// Rule R2: no call starts that might still be under way when the lease could be
// another pass's.
func TestNoCallOutlastsTheLease(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rules := rotation.DefaultRules()
	for _, test := range []struct {
		left time.Duration // of the lease
		want error
	}{
		{rules.CallTimeout + rules.Skew, nil},
		{rules.CallTimeout + rules.Skew - time.Nanosecond, errNoTime},
		{-time.Minute, errNoTime},
	} {
		p := &pass{Rotator: &Rotator{Rules: rules, Now: func() time.Time { return now }},
			lease: rotation.Lease{Token: "mine", Until: now.Add(test.left)}}
		_, cancel, err := p.call(t.Context(), rules.CallTimeout)
		if !errors.Is(err, test.want) {
			t.Errorf("%s of the lease left: got %v, want %v", test.left, err, test.want)
		}
		if cancel != nil {
			cancel()
		}
	}
}
