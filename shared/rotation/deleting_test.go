package rotation_test

import (
	"errors"
	"testing"
	"time"

	"rekey/shared/rotation"
)

// Since when a deletion is under way is on the record, whatever began it: a person has to know of one that lasts.
func TestSinceWhenADeletionLasts(t *testing.T) {
	failed := rotation.Outcome{Err: errors.New("no")}
	began := rotation.Record{Phase: rotation.Deleting}
	for name, row := range map[string]struct {
		rec  rotation.Record
		step rotation.Step
		out  rotation.Outcome
		want time.Time
	}{
		"a caller has asked for it":   {with(idle(), asked(rotation.AskDelete)), rotation.BeginDelete{}, rotation.Outcome{}, now.Add(-minute)},
		"a creation is undone":        {creating(), rotation.AdoptGiven{}, rotation.Outcome{}, now},
		"an older Rekey has begun it": {began, rotation.Purge{}, failed, now},
	} {
		rec, _ := rotation.DefaultRules().Apply(now, row.rec, row.step, row.out)
		if rec.Phase != rotation.Deleting || !rec.DeletingSince.Equal(row.want) {
			t.Errorf("%s: %s since %s, want %s", name, rec.Phase, rec.DeletingSince, row.want)
		}
		if later, _ := rotation.DefaultRules().Apply(now.Add(hour), rec, rotation.Purge{}, failed); !later.DeletingSince.Equal(row.want) {
			t.Errorf("%s: later since %s", name, later.DeletingSince)
		}
	}
	if rec, _ := rotation.DefaultRules().Apply(now, idle(), rotation.DropRequest{}, rotation.Outcome{}); !rec.DeletingSince.IsZero() {
		t.Errorf("a connection that stays is being deleted since %s", rec.DeletingSince)
	}
}
