// Package simulation plays random histories of Rekey's whole life against the fakes of
// package rotationtest, and checks the promises of package rotation after every call.
//
// A [History] is a list of actions over weeks of virtual time: requests of the API, faults
// of single writes (lost, applied, applied late, crash before and after), services that
// refuse for hours or days, tenant policies, and what operators do by hand. [New] draws
// one from a seed; [Parse] reads one from text. [Play] plays it with one to three
// instances whose clocks differ, lets the faults end, plays some quiet days, deletes
// everything, and returns the promises that were broken, each as a [Violation] with a
// stable kind. [Shrink] takes actions out of a history while it still breaks a promise in
// the same way.
//
// # Replay
//
// The same history gives the same calls with the same results ([Result.Trace]). A bubble
// of testing/synctest runs one goroutine at a time if no two of them wake at the same
// instant. So every call of a service takes a time that is a hash of the seed, the call
// and the instant at which it was made, in nanoseconds; nothing is drawn from a shared
// sequence, which would depend on the order of goroutines that run at the same instant.
// Ids are hashes of the seed as well.
//
// # Cut
//
//	adapter.go            the only file that knows connections and records: requests, and a [view] of a record
//	ports.go              the ports of package rotation, each method one call of wire.go
//	history.go generate.go  what happens
//	wire.go weather.go    latency, faults, late writes, crashes, refusals, the trace
//	play.go act.go        the instances and the actions
//	retire.go             targets that retire what their applications had, and what has to hold of that
//	check*.go             the promises
//	shrink.go known.go    shrinking; the kinds that are known to be broken today
package simulation
