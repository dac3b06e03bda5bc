package simulation

// Known is a kind of violation that Rekey is known to show today.
type Known struct {
	Kind     string
	First    uint64 // the lowest seed from 1 on that shows it
	Sequence string // its number in the list of sequences that the redesign ends; "new" if it is not there
	What     string // in a sentence
}

// KnownKinds are all of them. The fixed histories fail the test if they show another kind,
// and also if one that they have to show is not there any more: a change that mends it
// takes it off this list.
var KnownKinds = []Known{
	{"expired", 1, "1", "current expires while rotation is on: a longer interval or an abandoned slot puts the next rotation after its end"},
	{"end-expired", 68, "1", "the same, in the quiet days at the end"},
	{"too-many-alive", 260, "2", "credentials of attempts that were given up stay alive, one more each half hour, while the gate is closed"},
	{"orphans-pile-up", 260, "2", "the record lists each of them, until it is too large to be written"},
	{"issues-too-often", 206, "3", "a new credential that is never accepted is replaced every half hour, for as long as it takes"},
	{"silent-run", 206, "3", "a run that does not succeed for more than an hour does not show in attention"},
	{"end-other-published", 131, "4", "publishing was believed lost and landed after the next: the vault names an older credential"},
	{"foreign-removed", 1031, "6", "a secret without a hint is taken for the given one, which a replica does not show yet"},
	{"published-retiring", 14, "7, 8", "a PATCH that repeats what was given publishes a secret that waits to be removed"},
	{"grace-ignored", 556, "8", "and that secret then goes without the rest of its grace period"},
	{"grace-cut", 12, "9", "an old secret expires before its grace period ends"},
	{"silent-staged", 5, "12", "the vault refuses to disable versions for more than an hour, and nothing shows"},
	{"history-kept", 154, "13", "history of a connection that never rotates, or was deleted, is kept for ever"},
	{"dry-run-stale", 493, "18", "a dry run lists a removal that has happened"},
	{"published-unproven", 41, "new", "current is published again, before a removal or after a run, without a sign-in with it"},
	{"end-staged-enabled", 65, "new", "a staged value that lands late, after its second try was used, stays enabled for ever"},
	{"delete-stuck", 52, "new", "DELETE in phase publishing never ends if current's version was disabled by hand"},
	{"policy-stops", 298, "new", "a policy that allows less than interval + grace + 3 days stops every rotation, an emergency included"},
}
