//go:build !race

package simulation_test

// How many histories the tests play: what takes ten seconds on two cores. Many more are for make simulation.
const (
	fixed    = 250
	replayed = 20
)
