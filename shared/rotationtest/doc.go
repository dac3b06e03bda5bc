// Package rotationtest holds what the rotation is tested with: in-memory fakes of
// the four outside services, the conformance suites that fakes and real adapters
// both have to pass, and [World], which puts the fakes together, breaks them on
// request, and checks the promises after every call.
//
// The fakes enforce the services' rules themselves. A fault can be put at every
// external write, in three kinds: the write fails and is not applied; it fails but
// is applied; it is applied and the process dies.
package rotationtest
