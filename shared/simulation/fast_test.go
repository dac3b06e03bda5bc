//go:build !race

package simulation_test

// How many histories the tests play: what takes a quarter of a minute on two cores. Many more are for make simulation.
const (
	fixed    = 500
	replayed = 20
)
