// Package scan has the test that scans an emulated tenant of any size with everything real but
// Microsoft's services: the whole app in a process of its own, with its adapters, against the
// emulators with Graph's limits. It compares the rows with what was generated, and says what a
// scan costs: `make scan N=10000`.
package scan
