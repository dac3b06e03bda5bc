package tablestore

import (
	"testing"
	"time"

	"rekey/shared/activity"
)

// The keys of runs that ended can't change: old rows keep theirs.
func TestKeysOfRuns(t *testing.T) {
	monday := time.Date(2029, 12, 31, 0, 0, 0, 0, time.UTC)
	for got, want := range map[string]string{
		runKey("one", activity.EndedRun{Week: monday, ID: "r-1"}):               "run-20291231-succeeded-one-r-1",
		runKey("one", activity.EndedRun{Week: monday, ID: "r/1", Failed: true}): "run-20291231-failed-one-" + digest("r/1"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, key := range []string{"run-20291231-failed-", "run-20291231-failed", "run-20300101-failed-one-r", "run-20291331-failed-one-r",
		"run-20291231-dropped-one-r", "day-20291231-failed-one-r"} {
		if week, _, ok := parseRunKey(key); ok {
			t.Errorf("%s is taken for a run of %v", key, week)
		}
	}
	if week, failed, ok := parseRunKey("run-20291231-failed-one-r"); !ok || !failed || week != monday {
		t.Errorf("got %v, %v, %v", week, failed, ok)
	}
}
