// Package rotation replaces client secrets before they expire, and never locks
// anybody out while doing it.
//
// A connection is one [Record]. A pass takes the record's lease, asks [Rules.Plan]
// for the next [Action], does it, commits the record by compare-and-swap, and goes
// on until there is nothing to do but wait. A pass may die at any instruction: the
// next one reads the same record and goes on with the same code. There is no
// recovery besides that.
//
// The promises, each checked by the simulation after every outside call:
//
//   - The secret that is published in Key Vault authenticates, at every instant. A
//     new one is published only after it was proven; an old one is removed only
//     after a fresh look shows that another one is published and works.
//   - Only what the record says that Rekey issued is removed, or the one original
//     that the caller named.
//   - Nothing that was issued is forgotten: its display name (the marker) is in the
//     record before the directory is asked to issue it.
//   - Values are in the vault and in memory only.
//
// What is durable in each phase, what a pass does there, and what follows if we die:
//
//	phase       durable already            the pass does                       if we die here
//	creating    reservations, claims, row  given secret into the vault         no version of ours there, or a claim is gone:
//	                                                                           undo everything
//	idle        current is published       at the slot or on request: intent   nothing began
//	issuing     intent: marker, lease      probe, addPassword, staged value    look for the staged value by marker; adopt it,
//	                                                                           or abandon the marker and take a new one
//	verifying   key id, staged version     fresh tokens from that version      the count starts again
//	publishing  proven                     prove again, publish, commit        published once more, same value
//	rebinding   the caller's new secret    prove, publish, retire the old one  repeated
//	deleting    the request                abandoned, retiring, vault, rows    repeated
//
// Old credentials (retiring), markers of attempts that were given up (abandoned)
// and versions that are done with (stale) are worked off beside the phase.
//
// The package imports the standard library only. What it needs from the outside it
// declares in ports.go; the adapters and the fakes of package rotationtest
// implement that, and pass the same conformance suites.
package rotation
