package simulation

// Known is a kind of violation that Rekey is known to show today.
type Known struct {
	Kind  string
	First uint64 // the lowest seed from 1 on that shows it
	What  string // in a sentence
}

// KnownKinds are all of them. The fixed histories fail the test if they show another kind,
// and also if one that they have to show is not there any more: a change that mends it
// takes it off this list.
var KnownKinds []Known
