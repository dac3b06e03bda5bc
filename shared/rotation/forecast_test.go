package rotation_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/rotation"
)

// foreseen is a forecast in short: after how long which steps come.
func foreseen(ahead []rotation.Foreseen) string {
	var list []string
	var last time.Time
	for _, f := range ahead {
		name := f.Step.Name()
		if f.Open {
			name += "?"
		}
		if !f.At.Equal(last) {
			name = fmt.Sprintf("%s: %s", f.At.Sub(now), name)
		}
		list, last = append(list, name), f.At
	}
	return strings.Join(list, ", ")
}

func TestForecast(t *testing.T) {
	confirms := func(from time.Duration) string {
		var list []string
		for n := range 5 {
			list = append(list, fmt.Sprintf("%s: confirm removal", from+time.Duration(n)*minute))
		}
		return strings.Join(list, ", ")
	}
	const (
		published = "promote, publish, disable stale versions, "
		proof     = "4m50s: prove, 4m55s: prove, 5m0s: prove, " + published
	)
	daily := func(r *rotation.Record) { r.Policy.Grace, r.Policy.Schedule.Interval = 10*minute, 1 }
	hourOfGrace := run(func(r *rotation.Run) { r.Grace = hour })
	newer := func(r *rotation.Record) { r.Phase = "dreaming" }
	held := func(r *rotation.Record) { r.Lease = rotation.Lease{Token: "gone", Until: now.Add(minute)} }
	removed := rotation.Removal{
		Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", RemovedAt: now.Add(-minute), GoneReads: 3, NextAt: now.Add(minute),
	}
	farOff := rotation.Removal{Kind: rotation.RemoveReplaced, Target: billing, KeyID: "old", After: now.Add(500 * day)}
	for name, row := range map[string]struct {
		rec  rotation.Record
		want string
	}{
		"a slot alone is not foreseen": {idle(), ""},
		"nor is one that is due":       {with(idle(), slot(now.Add(-hour))), ""},
		"a rotation by hand, to the end": {
			with(idle(), asked(rotation.AskRotate)),
			"0s: begin run, issue, " + proof + "48h5m0s: remove, " + confirms(48*hour+6*minute),
		},
		"slots in between are left out": {
			with(idle(), daily, slot(now.Add(8*minute)), asked(rotation.AskRotate)),
			"0s: begin run, issue, " + proof + "15m0s: remove, " + confirms(16*minute),
		},
		"an emergency has its own ages": {
			with(idle(), asked(rotation.AskEmergency)),
			"0s: begin run, issue, 5s: prove, 10s: prove, 15s: prove, " + published + "1m15s: remove, " + confirms(2*minute+15*time.Second),
		},
		"a run under way goes on": {
			with(verifying(), unseen, hourOfGrace),
			"0s: prove, 5s: prove, 10s: prove, " + published + "1h0m10s: remove, " + confirms(hour+70*time.Second),
		},
		"the pass that issues goes on": {
			with(issuing(), held, hourOfGrace),
			"0s: issue, " + proof + "1h5m0s: remove, " + confirms(hour+6*minute),
		},
		"an unknown outcome ends it": {issuing(), "0s: reconcile?"},
		"a refused request is no rotation": {
			with(idle(), asked(rotation.AskRotate), func(r *rotation.Record) {
				r.Removals = slices.Repeat([]rotation.Removal{old(now.Add(200 * day))}, rotation.MaxReplaced)
			}), "0s: refuse request",
		},
		"what was removed is only confirmed": {with(idle(), retires(removed)), "1m0s: confirm removal, 2m0s: confirm removal"},
		"what waits too long is left out":    {with(idle(), retires(farOff)), ""},
		"current is published again first": {
			with(idle(), retires(removed), func(r *rotation.Record) { r.RepublishAt = now }),
			"0s: announce write, republish, 1m0s: confirm removal, 2m0s: confirm removal",
		},
		"another write may still land": {
			with(verifying(), hourOfGrace, func(r *rotation.Record) { r.Unsettled = rotation.Unsettled{Until: now.Add(7 * minute), Of: "s0"} }),
			"7m0s: promote, publish, disable stale versions, 1h7m0s: remove, " + confirms(hour+8*minute),
		},
		"a phase of a newer version": {with(idle(), newer), ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := row.rec.Clone()
			if got := foreseen(rotation.DefaultRules().Forecast(now, row.rec)); got != row.want {
				t.Errorf("%s\nwant %s", got, row.want)
			}
			if !reflect.DeepEqual(before, row.rec) {
				t.Error("the forecast changed the record")
			}
		})
	}
}

// What a forecast assumes is one step after the other what Plan and Apply say: each step
// finds the record that the one before has left.
func TestForecastIsOneHistory(t *testing.T) {
	ahead := rotation.DefaultRules().Forecast(now, with(idle(), asked(rotation.AskEmergency)))
	for i, f := range ahead[1:] {
		if !reflect.DeepEqual(ahead[i].After, f.Before) {
			t.Errorf("%s does not find what %s has left", f.Step.Name(), ahead[i].Step.Name())
		}
	}
	if last := ahead[len(ahead)-1].After; len(last.Removals) != 0 || last.Phase != rotation.Idle || last.LastRun.Outcome != "success" {
		t.Errorf("at the end: %+v", last)
	}
}
