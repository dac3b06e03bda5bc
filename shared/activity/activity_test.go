package activity_test

import (
	"reflect"
	"testing"
	"time"

	"rekey/shared/activity"
	"rekey/shared/history"
	"rekey/shared/rotation"
)

const day = 24 * time.Hour

func TestAWeekBeginsOnMonday(t *testing.T) {
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{
		monday, monday.Add(7*day - 1), time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 23, 1, 0, 0, 0, time.FixedZone("", 3600)), time.Date(2026, 11, 29, 23, 0, 0, 0, time.FixedZone("", -3000)),
	} {
		if got := activity.WeekOf(at); got != monday {
			t.Errorf("the week of %v begins at %v", at, got)
		}
	}
	for _, at := range []time.Time{monday.Add(-1), monday.Add(7 * day)} {
		if activity.WeekOf(at) == monday {
			t.Errorf("%v is in the week of %v", at, monday)
		}
	}
}

func TestRunsThatEnded(t *testing.T) {
	at := time.Date(2026, 11, 29, 23, 59, 59, 0, time.UTC)
	week, next := activity.WeekOf(at), activity.WeekOf(at.Add(time.Second))
	got := activity.EndedRuns([]rotation.Event{
		{At: at, Kind: history.Started, RunID: "a"}, {At: at, Kind: history.Failed, RunID: "a"}, {At: at, Kind: history.Failed, RunID: "a"},
		{At: at, Kind: history.AttemptDropped, RunID: "b"}, {At: at, Kind: history.Rebound, RunID: "c"},
		{At: at, Kind: history.RebindRefused, RunID: "d"},
		{At: at, Kind: history.Published, RunID: "a"}, {At: at.Add(time.Second), Kind: history.Failed, RunID: "a"},
	})
	want := []activity.EndedRun{{Week: week, ID: "a", Failed: true}, {Week: week, ID: "a"}, {Week: next, ID: "a", Failed: true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
