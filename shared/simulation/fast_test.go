//go:build !race

package simulation_test

// How many histories the tests play: what takes 40 s on two cores.
const (
	fixed    = 1000
	replayed = 60
)
