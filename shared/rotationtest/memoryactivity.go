package rotationtest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rekey/shared/activity"
	"rekey/shared/rotation"
)

// endedRun is a run that a connection has ended.
type endedRun struct {
	owner string // the connection
	activity.EndedRun
}

func (s *MemoryStore) countRuns(id string, events []rotation.Event) {
	for _, run := range activity.EndedRuns(events) {
		s.ended[endedRun{id, run}] = true
	}
}

func (s storePort) Activity(ctx context.Context, last time.Time, weeks int) (list []activity.Week, err error) {
	err = s.p.read(ctx, "store.activity", "", func() error {
		weekly := map[time.Time]activity.Week{}
		for run := range s.s.ended {
			week := weekly[run.Week]
			week.Count(run.Failed)
			weekly[run.Week] = week
		}
		list = activity.Weeks(last, weeks, weekly)
		return nil
	})
	return list, err
}

// oldRuns lists the runs of weeks that had ended at before, the oldest first.
func (s *MemoryStore) oldRuns(before time.Time) (runs []endedRun) {
	for run := range s.ended {
		if run.Week.Before(activity.WeekOf(before)) {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b endedRun) int {
		return cmp.Or(a.Week.Compare(b.Week), cmp.Compare(a.owner+" "+a.ID, b.owner+" "+b.ID))
	})
	return runs
}
