//go:build !race

package simulation_test

// How many histories the tests play: what takes half a minute on two cores. Many more are for make simulation.
const (
	fixed    = 1000
	replayed = 20
)
