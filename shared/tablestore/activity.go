package tablestore

import (
	"context"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// Each commit that ends a run writes an empty row beside its history, and Activity counts these
// rows. A counter for each week and partition would be fewer rows, but every commit of the partition
// that ends a run would have to read it, and two at once would refuse each other; and a commit that
// is repeated after a lost answer (rule R9) would have to know whether its first try was counted. An
// empty row needs no read, is no other connection's business, costs no request, since it goes in the
// transaction of the commit, and has the run's id in its key, so that a run that is written again is
// the same row. It is deleted with the history, by whole weeks.

const (
	runFailed    = "failed"
	runSucceeded = "succeeded"
)

func weekKey(week time.Time) string { return runPrefix + week.Format(dayLayout) }

// runKey is that of a run of the connection id.
func runKey(id string, run rotation.EndedRun) string {
	outcome, name := runSucceeded, run.ID
	if run.Failed {
		outcome = runFailed
	}
	if !validID.MatchString(name) {
		name = digest(name)
	}
	return weekKey(run.Week) + "-" + outcome + "-" + id + "-" + name
}

// parseRunKey returns the week of a run, and how it ended. It says no to what Rekey has not written.
func parseRunKey(key string) (week time.Time, failed, ok bool) {
	rest, ok := strings.CutPrefix(key, runPrefix)
	date, rest, found := strings.Cut(rest, "-")
	outcome, name, named := strings.Cut(rest, "-")
	week, err := time.Parse(dayLayout, date)
	ok = ok && found && named && name != "" && err == nil && week == rotation.WeekOf(week)
	return week, outcome == runFailed, ok && (outcome == runFailed || outcome == runSucceeded)
}

// addRuns adds the rows of the runs that c ends.
func (c *change) addRuns(t *transaction) {
	for _, run := range rotation.EndedRuns(c.events) {
		t.add(aztables.TransactionTypeInsertReplace, runKey(c.rec.ID, run), "", nil)
	}
}

// Activity counts the runs that ended in each of some weeks up to that of last, the oldest first. It
// costs 16 queries of keys, all at once, and one more for each thousand runs of a partition.
func (s *Store) Activity(ctx context.Context, last time.Time, weeks int) ([]rotation.Week, error) {
	last = rotation.WeekOf(last)
	from, to := weekKey(last.AddDate(0, 0, 7*(1-weeks))), weekKey(last.AddDate(0, 0, 7))
	counted, err := everywhere(shards*weeks, func(shard int) ([]rotation.Week, error) {
		return s.runsIn(ctx, keyRange{shardKey(shard), from, to})
	}, func(a, b rotation.Week) int { return a.Start.Compare(b.Start) })
	if err != nil {
		return nil, err
	}
	weekly := map[time.Time]rotation.Week{}
	for _, part := range counted {
		week := weekly[part.Start]
		weekly[part.Start] = rotation.Week{Succeeded: week.Succeeded + part.Succeeded, Failed: week.Failed + part.Failed}
	}
	return rotation.Weeks(last, weeks, weekly), nil
}

// runsIn counts the runs of a range by week.
func (s *Store) runsIn(ctx context.Context, r keyRange) (counted []rotation.Week, err error) {
	err = s.scan(ctx, "counting rotations", r, "RowKey", maxPage, func(row []byte) (bool, error) {
		key, err := rowKey(row)
		if err != nil {
			return false, err
		}
		week, failed, ok := parseRunKey(key)
		if !ok {
			return true, nil
		}
		if n := len(counted); n == 0 || counted[n-1].Start != week { // keys sort by the week
			counted = append(counted, rotation.Week{Start: week})
		}
		counted[len(counted)-1].Count(failed)
		return true, nil
	})
	return counted, err
}

// pruneRuns deletes at most limit runs of weeks that had ended at before, the oldest first.
func (s *Store) pruneRuns(ctx context.Context, before time.Time, limit int) (more bool, err error) {
	return s.pruneKeys(ctx, "deleting old rotations", runPrefix, weekKey(rotation.WeekOf(before)), limit)
}
