package rotation_test

import (
	"testing"
	"time"

	"rekey/shared/schedule"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// What the tags say of a schedule is what it was, and nothing else is taken for one.
func TestScheduleTag(t *testing.T) {
	for _, p := range []rotation.Policy{
		{},
		{Enabled: true, Schedule: schedule.Schedule{Interval: 30, Hours: 3, Minutes: 5, Zone: "Europe/Berlin"}, Grace: 48 * time.Hour},
		{Enabled: true, Schedule: schedule.Schedule{Interval: 365, Zone: "UTC"}},
		{Enabled: true, Schedule: schedule.Schedule{Interval: 1, Hours: 23, Minutes: 59, Zone: "America/Argentina/Buenos_Aires"},
			Grace: 90 * time.Minute},
	} {
		rec := rotation.Record{ID: "c", Policy: p}
		tag := rotation.Tags("d", &rec, rotation.Credential{})[vaulttag.Schedule]
		if got, ok := rotation.ParseSchedule(tag); !ok || got != p {
			t.Errorf("%q: %+v, %v; want %+v", tag, got, ok, p)
		}
	}
	for _, tag := range []string{"", "on", "30d", "30d 03:15 UTC", "0d 03:15 UTC 1h0m0s", "30d 25:15 UTC 1h0m0s", "30d 03:15 Mars/Base 1h0m0s",
		"30d 03:15 UTC -1h", "30d 03:15 UTC soon"} {
		if got, ok := rotation.ParseSchedule(tag); ok {
			t.Errorf("%q was read as %+v", tag, got)
		}
	}
}
