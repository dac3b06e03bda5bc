//go:build race

package simulation_test

// With the race detector, which makes everything ten times slower. The seeds are the first
// of those that are played without it.
const (
	fixed    = 60
	replayed = 4
)
