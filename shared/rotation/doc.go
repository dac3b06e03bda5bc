// Package rotation decides how client secrets are replaced before they expire, without
// ever locking out an application. It is pure: it has the record, the rules and the steps, and no
// context, clock, logger or chance. It imports the standard library and leaf packages only.
// docs/promises.md has the rules R1 to R14 that the comments cite.
//
// A connection is one [Record]. [Rules.Plan] decides the next [Step] from the record, the
// time and the lease. Package rotator does it, and [Rules.Apply] turns the step and what
// was observed, the [Outcome], into the next record and its events. Each phase has a
// file of its own, with what is planned in it and what its steps mean for the record
// (publishing and rebinding are planned in verifying.go, since they share the proof):
//
//	creating    has what was given reached the vault?
//	idle        what is published is current; at the slot or on request the intent is written
//	issuing     an intent is on the record; a pass that is gone may have issued under its marker
//	verifying   key id and staged version are known; they are proven by fresh tokens
//	publishing  a write of the published name is announced; it may have happened
//	rebinding   the same of a new secret that the caller gave
//	deleting    removals, versions, vault, claims and reservations, then the record
//
// Removals and stale versions are worked off beside the phase.
//
// A process may die at any instruction: the next pass reads the same record and goes on with
// the same code. docs/promises.md defines the promises (P1 to P8) and rules (R1 to R14)
// that comments cite, and says for each write what follows if Rekey dies there. The
// simulation checks the promises after every call.
package rotation
