package functionshost_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/emulator/functionshost"
)

func TestScheduleNext(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, tc := range []struct {
		name, schedule, after string
		want                  []string // consecutive occurrences
	}{
		{"every second", "* * * * * *", "2026-01-01 00:00:58", []string{"2026-01-01 00:00:59", "2026-01-01 00:01:00"}},
		{"every minute", "0 * * * * *", "2026-01-01 00:00:00", []string{"2026-01-01 00:01:00", "2026-01-01 00:02:00"}},
		{"five fields", "*/5 * * * *", "2026-01-01 00:00:00", []string{"2026-01-01 00:05:00", "2026-01-01 00:10:00"}},
		{"odd white space", "  0\t*/20  * * * * ", "2026-01-01 00:00:00",
			[]string{"2026-01-01 00:20:00", "2026-01-01 00:40:00", "2026-01-01 01:00:00"}},
		{"list of seconds", "5,35 * * * * *", "2026-01-01 00:00:05", []string{"2026-01-01 00:00:35", "2026-01-01 00:01:05"}},
		{"range with step", "0 10-30/10 * * * *", "2026-01-01 00:10:00",
			[]string{"2026-01-01 00:20:00", "2026-01-01 00:30:00", "2026-01-01 01:10:00"}},
		{"value with step runs on", "0 50/5 * * * *", "2026-01-01 00:00:00",
			[]string{"2026-01-01 00:50:00", "2026-01-01 00:55:00", "2026-01-01 01:50:00"}},
		{"list of ranges", "0 0 1-2,22-23 * * *", "2026-01-01 01:30:00",
			[]string{"2026-01-01 02:00:00", "2026-01-01 22:00:00", "2026-01-01 23:00:00", "2026-01-02 01:00:00"}},
		{"later hour starts at its first minute", "30 5 * * * *", "2026-01-01 00:40:40", []string{"2026-01-01 01:05:30"}},
		{"later minute starts at its first second", "1 * * * * *", "2026-01-01 00:00:02", []string{"2026-01-01 00:01:01"}},
		{"end of year", "0 0 0 1 1 *", "2026-01-01 00:00:00", []string{"2027-01-01 00:00:00"}},
		{"end of short month", "0 0 0 31 * *", "2026-01-31 00:00:00", []string{"2026-03-31 00:00:00", "2026-05-31 00:00:00"}},
		{"leap day", "0 0 0 29 2 *", "2026-01-01 00:00:00", []string{"2028-02-29 00:00:00", "2032-02-29 00:00:00"}},
		{"leap day across 2100", "0 0 0 29 2 *", "2096-03-01 00:00:00", []string{"2104-02-29 00:00:00"}},
		{"leap day on a Monday", "0 0 0 29 2 1", "2026-01-01 00:00:00", []string{"2044-02-29 00:00:00"}},
		{"Friday AND the 13th", "0 0 9 13 * 5", "2026-01-01 00:00:00",
			[]string{"2026-02-13 09:00:00", "2026-03-13 09:00:00", "2026-11-13 09:00:00"}},
		{"weekdays", "0 30 9 * * 1-5", "2026-01-02 10:00:00", []string{"2026-01-05 09:30:00", "2026-01-06 09:30:00"}},
		{"names", "0 0 0 * Jan,Mar SUN", "2026-01-25 00:00:00", []string{"2026-03-01 00:00:00", "2026-03-08 00:00:00"}},
		{"long names", "0 0 0 * february monday-wednesday", "2026-02-02 00:00:00",
			[]string{"2026-02-03 00:00:00", "2026-02-04 00:00:00", "2026-02-09 00:00:00"}},
		{"last second of a day", "59 59 23 * * *", "2026-12-31 23:59:59", []string{"2027-01-01 23:59:59"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := functionshost.ParseSchedule(tc.schedule)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(layout, tc.after)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				at = s.Next(at)
				if got := at.Format(layout); got != want {
					t.Fatalf("Next = %s, want %s", got, want)
				}
			}
		})
	}
}

func TestScheduleNextIsInUTC(t *testing.T) {
	s, err := functionshost.ParseSchedule("0 0 12 * * *")
	if err != nil {
		t.Fatal(err)
	}
	zone := time.FixedZone("UTC+14", 14*3600)
	got := s.Next(time.Date(2026, 1, 2, 1, 0, 0, 500, zone)) // 11:00 UTC the day before
	if want := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Next = %v, want %v", got, want)
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, tc := range []struct{ schedule, want string }{
		{"", "0 fields"},
		{"* * * *", "4 fields"},
		{"* * * * * * *", "7 fields"},
		{"00:05:00", "App Service plans only"},
		{"60 * * * * *", "second: 60 is not within 0-59"},
		{"0 60 * * * *", "minute"},
		{"0 0 24 * * *", "hour"},
		{"0 0 0 0 * *", "day of month"},
		{"0 0 0 * 13 *", "month"},
		{"0 0 0 * * 7", "7 is not within 0-6"},
		{"0 */0 * * * *", "step"},
		{"0 */x * * * *", "step"},
		{"0 */-1 * * * *", "step"},
		{"0 5-1 * * * *", "backwards"},
		{"0 1- * * * *", "no value"},
		{"0 -1 * * * *", "no value"},
		{"0 1,,2 * * * *", "no value"},
		{"0 0 0 ? * *", "no value"},
		{"0 0 0 * ju *", "no value"},
		{"0 0 0 * * Jan", "no value"},
		{"0 0 0 30 2 *", "never occurs"},
		{"@daily", "1 fields"},
	} {
		t.Run(tc.schedule, func(t *testing.T) {
			s, err := functionshost.ParseSchedule(tc.schedule)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("ParseSchedule = %v, %v, want an error with %q", s, err, tc.want)
			}
		})
	}
}
