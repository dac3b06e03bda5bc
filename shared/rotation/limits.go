package rotation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/history"
)

// Each list of a record is one property of its row, which holds 32,768 characters, and
// each event of a commit takes one or two of the hundred operations of a transaction. A
// record that outgrew either could never be written again, whatever has to be done for
// it, so that these bounds are far below both: an entry takes 300 to 500 characters.
const (
	// MaxReplaced is how many replaced credentials may wait for the end of their grace
	// period. With that many a rotation by hand is refused, because its caller can be told;
	// one by schedule, in an emergency or after a loss ends the grace period of the oldest
	// instead.
	MaxReplaced = 32
	// maxRemovals is how many removals may be listed, while they fail. Of more the oldest is
	// left to a person.
	maxRemovals = 48
	// MaxByHand is how many credentials a record lists that only a person can remove.
	// Older ones were told of by a notice and stay in the history.
	MaxByHand = 32
	// maxAtOnce is how many credentials of a kind one commit finishes with or leaves
	// to a person; the rest is the next one's.
	maxAtOnce = 24
)

// Unable says, for a person, why a rotation by hand can't be begun on r as it is and what
// to do about that; empty if it can. Neither passes by itself soon, so that it is refused
// rather than put off.
func (r *Record) Unable(q *Request) string {
	if r.crowdedByOrphans(q.At) {
		return fmt.Sprintf("%d client secrets of attempts that were given up could not be removed so far. Rekey issues no more until they are: "+
			"attention and the history say why. In an emergency ask for an emergency rotation.", len(r.Orphans()))
	}
	return r.Crowded()
}

// maxOrphans is with how many orphans that are not removed nothing new is issued.
const maxOrphans = 3

// crowdedByOrphans reports whether so many orphans are left that nothing new is issued
// (rule R5), unless current is about to expire.
func (r *Record) crowdedByOrphans(now time.Time) bool {
	n := 0
	for _, m := range r.Orphans() {
		if m.RemovedAt.IsZero() {
			n++
		}
	}
	left, ok := r.left(now)
	return n >= maxOrphans && !(ok && left < 3*day)
}

// Crowded is Unable for want of room: too many old credentials are waiting.
func (r *Record) Crowded() string {
	replaced := r.Replaced()
	if len(replaced) < MaxReplaced {
		return ""
	}
	var first time.Time
	for _, m := range replaced {
		first = earlier(first, m.After)
	}
	return fmt.Sprintf("%d older client secrets of this connection wait to be removed, the first after %s. "+
		"Wait for that, rotate less often or with a shorter gracePeriodHours, or end all grace periods now by an emergency rotation.",
		len(replaced), first.UTC().Format(time.RFC3339))
}

// leave lists a credential as one that only a person can remove.
func (r *Record) leave(now time.Time, target Application, keyID, reason string) {
	r.ByHand = append(r.ByHand, ByHand{Target: target, KeyID: keyID, Since: now, Reason: reason})
}

// leftToAPerson reports whether r lists that credential as such.
func (r *Record) leftToAPerson(target Application, keyID string) bool {
	for _, h := range r.ByHand {
		if h.KeyID == keyID && h.Target.Same(target) {
			return true
		}
	}
	return false
}

// removedByHand takes off the list what a person has removed: what a read of its application shows no more. What was
// listed just now may not show yet. Where the key id is not known, each that could be it counts.
func (t *transition) removedByHand() {
	app, rec := t.out.Application, t.rec
	if app == nil {
		return
	}
	read := func(target Application) bool { return strings.EqualFold(target.ClientID, app.ClientID) }
	known := rec.Known()
	couldBe := func(target Application, hint string) bool {
		return slices.ContainsFunc(app.Passwords, func(w Password) bool {
			return (hint == "" || w.Hint == "" || w.Hint == hint) && !slices.Contains(known[target.Key()].KeyIDs, strings.ToLower(w.KeyID))
		})
	}
	if c := rec.Current; rec.Unidentified() && read(c.Target) {
		c.Listed = c.Listed || couldBe(c.Target, c.Hint)
	}
	kept := rec.ByHand[:0:0]
	for _, left := range rec.ByHand {
		shows := left.KeyID != "" && app.shows(left.KeyID) || left.KeyID == "" && couldBe(left.Target, left.Hint)
		left.Unlisted = left.Unlisted && !(shows && read(left.Target))
		if shows || left.Unlisted || !read(left.Target) || t.now.Before(left.Since.Add(t.SettleMinAge)) || len(t.events) == maxAtOnce {
			kept = append(kept, left)
			continue
		}
		t.tell(Event{Kind: history.RemovedByHand, KeyID: left.KeyID, Message: left.Reason})
	}
	rec.ByHand = kept
}
