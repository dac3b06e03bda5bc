//go:build !race

package rotationtest

// Raced is true where the race detector is on.
const Raced = false
