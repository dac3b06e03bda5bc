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
	{"expired", 87, "new", "a target of a connection whose own secret had expired waits for its back-off after that got a new one"},
	{"published-retiring", 14, "7, 8", "a PATCH that repeats what was given publishes a secret that waits to be removed"},
	{"grace-cut", 87, "new", "the same: what the target replaced before ends meanwhile"},
	{"dry-run-stale", 493, "18", "a dry run lists a removal that has happened"},
	{"end-staged-enabled", 792, "new", "a staged value whose answer is lost or late may stay enabled"},
	{"delete-slow", 1696, "new", "current has expired, another client secret was refused, and a deletion with revoke waits a day before it gives up"},
	{"end-staged-enabled", 65, "new", "a staged value that lands late, after its second try was used, stays enabled for ever"},
}
