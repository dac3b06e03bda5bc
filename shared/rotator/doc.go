// Package rotator works on connections: it does what package rotation decides.
//
// A pass ([Rotator.Pass]) takes the lease of a connection, asks [rotation.Rules.Plan] for the
// next step, calls the services that the step needs (do), has [rotation.Rules.Apply] make
// the next record of what was observed, commits it, and goes on until there is nothing
// to do but wait. [Rotator.Sweep] runs a pass for each connection that is due.
//
// [Journal.Update] is the only loop that writes records by compare-and-swap; requests use it as well.
// What the package needs of the outside it declares in ports.go. The adapters and the
// fakes of package rotationtest implement that, and pass the same conformance suites.
//
// docs/promises.md defines the promises and rules that comments cite, and has the order of
// writes.
package rotator
