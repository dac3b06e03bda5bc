package connection

import (
	"slices"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// The words that say why a person should look at a connection.
const (
	Expiring     = "expiring"       // what is published or authenticates ends soon, and no rotation prevents it
	Expired      = "expired"        // it has ended
	Failing      = "failing"        // the last step failed for a reason that a person has to change, or often
	Lost         = "lost"           // the published client secret does not work any more
	SignInLost   = "sign-in"        // the connection can't authenticate
	RemoveByHand = "remove-by-hand" // a client secret that only a person can remove
	NotRemoved   = "not-removed"    // Rekey could not remove an old client secret so far
	NotDisabled  = "not-disabled"   // values that are done with can't be disabled in Key Vault
	Overdue      = "overdue"        // nothing has begun an hour after it was due: does the timer run?
)

// late is how long something may have been due before that is a person's business.
const late = time.Hour

// Attention says in short words why a person should look at a connection, the most
// urgent first; nil if there is no reason to. It is what lists are filtered by.
func Attention(rec *rotation.Record, now time.Time) (words []string) {
	say := func(when bool, word string) {
		if when {
			words = append(words, word)
		}
	}
	failed := rec.Error != nil && rec.Error.Persists()
	soon, over := rec.Ends(now)
	say(failed && rec.Error.Class == serviceerror.CredentialLost, Lost)
	say(over, Expired)
	say(rec.Auth != nil && rec.Auth.Problem != nil, SignInLost)
	say(failed && rec.Error.Class != serviceerror.CredentialLost || !failed && (rec.Overruns(now) || rec.Unproven > 0), Failing)
	say(rec.Policy.Enabled && rec.Run == nil && rec.Error == nil && !rec.Due().IsZero() && now.Sub(rec.Due()) > late, Overdue)
	say(soon && !over, Expiring)
	say(unremoved(rec), NotRemoved)
	say(rec.Stale.Problem != "", NotDisabled)
	say(len(rec.ByHand) > 0, RemoveByHand)
	return words
}

// unremoved reports whether a credential that should be gone resists.
func unremoved(rec *rotation.Record) bool {
	return slices.ContainsFunc(rec.Removals, func(m rotation.Removal) bool { return m.Resists() })
}
