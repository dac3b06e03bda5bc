// Package activity counts by week which runs have ended, and how.
package activity

import (
	"slices"
	"time"

	"rekey/shared/history"
	"rekey/shared/rotation"
)

// Week counts the runs that ended in a week.
type Week struct {
	Start             time.Time // see [WeekOf]
	Succeeded, Failed int
}

// Count counts one more run.
func (w *Week) Count(failed bool) {
	if failed {
		w.Failed++
	} else {
		w.Succeeded++
	}
}

// WeekOf returns the beginning of t's week: Monday, 00:00 UTC.
func WeekOf(t time.Time) time.Time { return t.UTC().Truncate(7 * 24 * time.Hour) } // year 1 begins with a Monday

// EndedRun is a run that has published a credential, or has failed, in a week. A run that a request
// began is tried again under its own id after a failure, so that it may end more than once: that is
// counted once a week for each of the two.
type EndedRun struct {
	Week   time.Time // see [WeekOf]
	ID     string
	Failed bool
}

// EndedRuns returns which runs ended by the events of a commit, each once. A run that was abandoned,
// and new credentials that a caller gave, are none.
func EndedRuns(events []rotation.Event) (ended []EndedRun) {
	for _, e := range events {
		if e.Kind != history.Published && e.Kind != history.Failed {
			continue
		}
		run := EndedRun{WeekOf(e.At), e.RunID, e.Kind == history.Failed}
		if !slices.Contains(ended, run) {
			ended = append(ended, run)
		}
	}
	return ended
}

// Weeks are the n weeks up to that of last, the oldest first, with the runs of each that weekly has
// counted.
func Weeks(last time.Time, n int, weekly map[time.Time]Week) []Week {
	list := make([]Week, n)
	for i := range list {
		start := WeekOf(last).AddDate(0, 0, 7*(i+1-n))
		list[i] = weekly[start]
		list[i].Start = start
	}
	return list
}
