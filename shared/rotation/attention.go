package rotation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/shared/history"
)

// The words for what a person is told about, as [Record.Told] keeps them.
const (
	troubleFailing     = "failing"      // rotations, for a reason that a person has to change, or for the fifth time
	troubleSignIn      = "sign-in"      // the connection can't authenticate
	troubleNotRemoved  = "not-removed"  // an old credential resists
	troubleNotDisabled = "not-disabled" // values that are done with can't be disabled in Key Vault
	troubleDeletion    = "deletion"     // it does not come to its end
)

// persistent is from how many failures in a row on what may pass by itself is told.
const persistent = 5

// Persists reports whether f is a person's business: it is one that a person has to
// change, or did not pass by itself so far.
func (f *Failure) Persists() bool { return f.Class.Refusal() || f.Count >= persistent }

// Resists reports the same of a removal.
func (m *Removal) Resists() bool {
	return m.Problem != "" && (m.Problem.Refusal() || m.Tries >= persistent)
}

// Tell returns the notices that a change of rec makes due, and notes on rec that they
// were given: one when something is wrong that was not before, and one when all is
// well again. Each writer of a record calls it last.
//
// All is well only once nothing is under way: a new attempt that has got further than
// the last one is no recovery yet.
func Tell(rec *Record, now time.Time) (notices []Event) {
	told := strings.FieldsFunc(rec.Told, func(r rune) bool { return r == ',' })
	wrong := rec.troubles(now)
	for _, w := range wrong {
		if !slices.Contains(told, w.word) {
			told = append(told, w.word)
			event := w.event
			event.At, event.Notice = now, true
			notices = append(notices, event)
		}
	}
	if len(wrong) == 0 && len(told) > 0 && rec.Phase == Idle && !rec.Gone() && rec.Run == nil && rec.Error == nil {
		notices = append(notices, Event{At: now, Kind: history.Recovered, Notice: true,
			Message: "What was wrong (" + strings.Join(told, ", ") + ") is no more."})
		told = nil
	}
	rec.Told = strings.Join(told, ",")
	return notices
}

// trouble is something that a person has to know of.
type trouble struct {
	word  string
	event Event
}

// troubles are what a person has to know of now. Of a deletion that is one thing, whatever was told of before it: that it
// does not come to its end. What is being created shows nothing: its request or its end does.
func (r *Record) troubles(now time.Time) []trouble {
	switch at := r.Lingers(); {
	case !r.Gone() && r.Phase != Creating:
		return r.faults(now)
	case at.IsZero() || now.Before(at):
		return nil
	}
	event := Event{Kind: history.Attention, Message: r.lingering()}
	if list := r.faults(now); len(list) > 0 && r.Phase == Deleting {
		event = list[0].event
	}
	return []trouble{{troubleDeletion, event}}
}

// faults are what is wrong with r now, and stays wrong by itself.
func (r *Record) faults(now time.Time) (list []trouble) {
	if e := r.Error; e != nil && e.Persists() {
		list = append(list, trouble{troubleFailing, Event{Kind: history.Attention, Class: e.Class, Message: e.Message}})
	} else if at := r.Overruns(); !at.IsZero() && !now.Before(at) {
		list = append(list, trouble{troubleFailing, Event{
			Kind: history.Attention,
			Message: "The rotation that began at " + r.Run.StartedAt.UTC().Format(time.RFC3339) + " has not succeeded so far. " +
				"Rekey goes on with it; the history says what it has tried.",
		}})
	}
	if r.Auth != nil && r.Auth.Problem != nil {
		list = append(list, trouble{troubleSignIn, Event{Kind: history.Attention, Class: r.Auth.Problem.Class, Message: r.Auth.Problem.Message}})
	}
	if i := slices.IndexFunc(r.Removals, func(m Removal) bool { return m.Resists() }); i >= 0 {
		m := r.Removals[i]
		what := "An old client secret"
		if m.Kind == RemoveOrphan {
			what = "A client secret of an attempt that was given up"
		}
		list = append(list, trouble{troubleNotRemoved, Event{
			Kind: history.Attention, Class: m.Problem, KeyID: m.KeyID, Message: what + " could not be removed so far. " + m.Problem.Advice(),
		}})
	}
	if class := r.Stale.Problem; class != "" {
		list = append(list, trouble{troubleNotDisabled, Event{
			Kind: history.Attention, Class: class,
			Message: "Values that are done with could not be disabled in Key Vault for an hour, " +
				"so that they can still be read there. " + class.Advice(),
		}})
	}
	return list
}

// longDeletion is how long a deletion may take before a person should know.
const longDeletion = time.Hour

// Lingers is from when on a person should look at a deletion (promise P8): an hour after it was asked for, or
// at once if it can't go on; zero: there is none, or when it began is not known.
func (r *Record) Lingers() time.Time {
	since := r.DeletingSince
	switch {
	case !r.Gone():
		return time.Time{}
	case r.Phase != Deleting:
		since = r.Request.At
	case r.Error != nil && r.Error.Persists() && r.Error.At.After(since), // otherwise it is that of the creation which is undone
		r.Stale.Problem != "", slices.ContainsFunc(r.Removals, func(m Removal) bool { return m.Resists() }):
		return time.Time{}.Add(time.Second) // for ever
	}
	if since.IsZero() {
		return time.Time{}
	}
	return since.Add(longDeletion)
}

func (r *Record) lingering() string {
	text := "The deletion has not come to its end for an hour. Rekey goes on with it: look whether the timer runs, and at what the audit of " +
		"the connection says."
	if r.Error != nil {
		text += " The last try: " + r.Error.Message
	}
	return text
}

// Lingering says, for a person, what keeps a deletion from its end at now, and what to do; empty if it is well.
func (r *Record) Lingering(now time.Time) string {
	if list := r.troubles(now); r.Gone() && len(list) > 0 {
		return list[0].event.Message
	}
	return ""
}

// warnDays are the days before current's expiry at which a warning is given, if no
// rotation is going to prevent it.
var warnDays = []int{14, 7, 3, 1}

// Ends is from when on current, or what the connection signs in with, ends soon and no rotation is
// going to prevent it, and from when on one of them has ended; zero: never.
func (r *Record) Ends() (soon, over time.Time) {
	look := func(at time.Time, prevented bool, days int) {
		if at.IsZero() {
			return
		}
		over = earlier(over, at)
		if !prevented {
			soon = earlier(soon, at.AddDate(0, 0, -days))
		}
	}
	if c := r.Current; c != nil {
		look(c.ExpiresAt, r.Prevented(), warnDays[0])
	}
	if r.Auth != nil {
		look(r.Auth.ExpiresAt, false, authWarnDays[0])
	}
	return soon, over
}

// warning returns the smallest threshold that has been reached at now and not been
// warned of, or else when the next one will be.
func warning(now time.Time, rec *Record) (days int, next time.Time) {
	c := rec.Current
	if c == nil || c.ExpiresAt.IsZero() || rec.Prevented() {
		return 0, time.Time{}
	}
	return threshold(now, c.ExpiresAt, rec.WarnedAt, warnDays)
}

// threshold is warning for any end; warned is the smallest that was warned of.
func threshold(now, ends time.Time, warned int, all []int) (days int, next time.Time) {
	if ends.IsZero() {
		return 0, time.Time{}
	}
	for _, d := range all {
		if warned != 0 && warned <= d {
			continue
		}
		at := ends.AddDate(0, 0, -d)
		if at.After(now) {
			if days == 0 {
				next = at
			}
			break
		}
		days = d
	}
	return days, next
}

// Prevented reports whether a rotation that has not failed so far comes before the
// expiry of current.
func (r *Record) Prevented() bool {
	due := r.Due()
	return r.Policy.Enabled && r.Error == nil && r.Current != nil && !due.IsZero() && due.Before(r.Current.ExpiresAt)
}

// warnOfExpiry says that current is about to expire and no rotation prevents it.
func (t *transition) warnOfExpiry() {
	rec := t.rec
	days, _ := warning(t.now, rec)
	if days == 0 {
		return
	}
	left := rec.Current.ExpiresAt.Sub(t.now).Round(time.Hour)
	rec.WarnedAt = days
	t.tell(Event{
		Kind: history.Expiring, KeyID: rec.Current.KeyID, Notice: true,
		Message: fmt.Sprintf("the client secret expires in %s and no rotation is going to replace it before", left),
	})
}

// longRun is how long a run may take before a person should know.
const longRun = time.Hour

// Overruns is from when on the run under way has taken for so long that a person should know
// (promise P8); zero: none is.
func (r *Record) Overruns() time.Time {
	if r.Run == nil || r.Run.StartedAt.IsZero() {
		return time.Time{}
	}
	return r.Run.StartedAt.Add(longRun)
}
