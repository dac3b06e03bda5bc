package simulation_test

import (
	"testing"

	"rekey/shared/simulation"
)

// The same seed makes the same calls with the same results, whatever else the machine does.
func TestAHistoryReplaysExactly(t *testing.T) {
	for seed := range uint64(replayed) {
		h := simulation.New(seed)
		again, err := simulation.Parse(h.String())
		if err != nil {
			t.Fatal(err)
		}
		a, b := simulation.Play(t, h), simulation.Play(t, again)
		if a.Trace != b.Trace || a.Calls != b.Calls {
			t.Errorf("seed %d: %d calls with hash %x, then %d with hash %x", seed, a.Calls, a.Trace, b.Calls, b.Trace)
		}
	}
}
