package connection_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/rotation"
)

// A rotation makes no call that no promise needs. Counted is all that a scheduled rotation
// asks the services for, from its slot until the old credential is confirmed to be gone, with
// a grace period of nothing.
func TestCostOfARotation(t *testing.T) {
	short := rotation.DefaultRules()
	short.Spacing, short.MinAge, short.RevokeMinAge = 20*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
	short.SettleSpacing = 50 * time.Millisecond
	for name, tt := range map[string]struct {
		rules       rotation.Rules
		most        int
		transitions int // of the table
	}{
		// Five of them read the record while the pass waits, so that it sees an emergency that
		// another instance has written within a minute.
		"production gates": {rotation.DefaultRules(), 38, 9},
		"short gates":      {short, 32, 9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubject(t)
				s.w.Directory.Propagation = 0
				in := s.input()
				in.Grace = new(time.Duration(0))
				if err := s.make(t, in); err != nil {
					t.Fatal(err)
				}
				s.sweep(t, 30*time.Minute)
				rec := s.record(t)
				time.Sleep(time.Until(rec.NextSlot))
				s.w.Calls()
				c := service(s.w)
				c.Rotator.Rules = tt.rules
				for range 40 {
					if due, ok := s.w.NextDue(); ok && !due.After(time.Now()) {
						c.Rotator.Sweep(t.Context())
					}
					time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
				}
				after := s.record(t)
				if after.Current.KeyID == rec.Current.KeyID || len(after.Removals) > 0 {
					t.Fatalf("it was not rotated: %+v", after.LastRun)
				}
				calls, total := s.w.Calls(), 0
				delete(calls, "store.due") // of the tick, not of the rotation
				delete(calls, "store.old") // of the process, once a day
				for _, op := range slices.Sorted(maps.Keys(calls)) {
					t.Logf("%-22s %d", op, calls[op])
					total += calls[op]
				}
				t.Logf("%d calls", total)
				if total > tt.most {
					t.Errorf("%d calls, want %d at most", total, tt.most)
				}
				if n := calls["store.commit"]; n > tt.transitions {
					t.Errorf("%d transactions, want %d at most", n, tt.transitions)
				}
			})
		})
	}
}
