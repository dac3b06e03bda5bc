// Package attention says why a person should look at a connection or a target, and from when on.
//
// Each reason holds from a moment on for as long as nothing changes the record. So the moment at
// which the first of them begins can be kept beside the record ([From]), and a list of what needs
// attention now reads nothing else.
package attention

import (
	"slices"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
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
	Deletion     = "deletion"       // it is being deleted, which fails or takes for more than an hour
)

// late is how long something may have been due before that is a person's business.
const late = time.Hour

// always is before every moment that a clock shows.
var always = time.Time{}.Add(time.Second)

// reason is a word, and from when on it holds; zero: never.
type reason struct {
	word string
	from time.Time
}

// Of says in short words why a person should look at a connection, the most urgent first; nil if
// there is no reason to. It is what lists are filtered by.
func Of(rec *rotation.Record, now time.Time) (words []string) {
	for _, r := range reasons(rec) {
		if !r.from.IsZero() && !now.Before(r.from) && (r.word != Expiring || !slices.Contains(words, Expired)) {
			words = append(words, r.word)
		}
	}
	return words
}

// From is when the first reason to look at a connection begins, if nothing changes until then; it
// may be long over. Zero: never.
func From(rec *rotation.Record) (first time.Time) {
	for _, r := range reasons(rec) {
		if first.IsZero() || !r.from.IsZero() && r.from.Before(first) {
			first = r.from
		}
	}
	return first
}

// reasons are all that there are, the most urgent first. Of what is being deleted nothing else is a person's business.
func reasons(rec *rotation.Record) []reason {
	if rec.Gone() {
		return []reason{{Deletion, rec.Lingers()}}
	}
	failed := rec.Error != nil && rec.Error.Persists()
	lost := failed && rec.Error.Class == serviceerror.CredentialLost
	soon, over := rec.Ends()
	return []reason{
		{Lost, alwaysIf(lost)},
		{Expired, over},
		{SignInLost, alwaysIf(rec.Auth != nil && rec.Auth.Problem != nil)},
		{Failing, failing(rec, failed, lost)},
		{Overdue, overdue(rec)},
		{Expiring, soon},
		{NotRemoved, alwaysIf(slices.ContainsFunc(rec.Removals, func(m rotation.Removal) bool { return m.Resists() }))},
		{NotDisabled, alwaysIf(rec.Stale.Problem != "")},
		{RemoveByHand, alwaysIf(len(rec.ByHand) > 0)},
	}
}

func alwaysIf(holds bool) time.Time {
	if holds {
		return always
	}
	return time.Time{}
}

func failing(rec *rotation.Record, failed, lost bool) time.Time {
	switch {
	case lost:
		return time.Time{}
	case failed || rec.Unproven > 0 || neverPublished(rec):
		return always
	}
	return rec.Overruns()
}

// neverPublished reports whether the rotation that was to publish the first client secret has ended without that: it
// was given up, on request even, and consumers find nothing.
func neverPublished(rec *rotation.Record) bool {
	return rec.Current == nil && rec.Phase == rotation.Idle && rec.LastRun != nil && rec.LastRun.Outcome != "success"
}

// overdue is more than an hour after what was due.
func overdue(rec *rotation.Record) time.Time {
	due := rec.Due()
	if !rec.Policy.Enabled || rec.Run != nil || rec.Error != nil || due.IsZero() {
		return time.Time{}
	}
	return due.Add(late + 1)
}
