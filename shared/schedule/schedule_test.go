package schedule_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"rekey/shared/schedule"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Each row goes from a slot to the one that follows it, as instants, so that what a
// zone's clocks did in between is written out.
func TestScheduleAfter(t *testing.T) {
	for _, tt := range []struct {
		name           string
		interval, h, m int
		zone           string
		slot, now      string // now "": the slot itself
		want           string
	}{
		{"thirty days are thirty dates in UTC", 30, 3, 15, "UTC", "2026-01-01T03:15:00Z", "", "2026-01-31T03:15:00Z"},
		{"an empty zone is UTC", 30, 3, 15, "", "2026-01-01T03:15:00Z", "", "2026-01-31T03:15:00Z"},
		{"the end of a month carries over", 1, 0, 0, "UTC", "2026-01-31T00:00:00Z", "", "2026-02-01T00:00:00Z"},
		{"February has a leap day in 2028", 1, 12, 0, "UTC", "2028-02-28T12:00:00Z", "", "2028-02-29T12:00:00Z"},
		{"and none in 2027", 1, 12, 0, "UTC", "2027-02-28T12:00:00Z", "", "2027-03-01T12:00:00Z"},
		{"a year from a leap day is 365 days", 365, 12, 0, "UTC", "2028-02-29T12:00:00Z", "", "2029-02-28T12:00:00Z"},
		{"the local hour stays over the beginning of summer time", 30, 3, 0, "Europe/Berlin", "2026-03-10T02:00:00Z", "", "2026-04-09T01:00:00Z"},
		{"and over its end", 30, 3, 0, "Europe/Berlin", "2026-10-10T01:00:00Z", "", "2026-11-09T02:00:00Z"},
		{"Berlin skips 02:30: the first instant after the gap", 1, 2, 30, "Europe/Berlin", "2026-03-28T01:30:00Z", "", "2026-03-29T01:00:00Z"},
		{"and the day after it is 02:30 again", 1, 2, 30, "Europe/Berlin", "2026-03-29T01:00:00Z", "", "2026-03-30T00:30:00Z"},
		{"Berlin has 02:30 twice: the first", 1, 2, 30, "Europe/Berlin", "2026-10-24T00:30:00Z", "", "2026-10-25T00:30:00Z"},
		{"and then the next day's, not the second", 1, 2, 30, "Europe/Berlin", "2026-10-25T00:30:00Z", "", "2026-10-26T01:30:00Z"},
		{"New York skips 02:00 itself", 1, 2, 0, "America/New_York", "2026-03-07T07:00:00Z", "", "2026-03-08T07:00:00Z"},
		{"New York has 01:59 twice: the first", 1, 1, 59, "America/New_York", "2026-10-31T05:59:00Z", "", "2026-11-01T05:59:00Z"},
		{"Lord Howe skips half an hour", 1, 2, 15, "Australia/Lord_Howe", "2026-10-02T15:45:00Z", "", "2026-10-03T15:30:00Z"},
		{"Lord Howe repeats half an hour: the first", 1, 1, 45, "Australia/Lord_Howe", "2026-04-03T14:45:00Z", "", "2026-04-04T14:45:00Z"},
		{"São Paulo's day begins at 01:00", 1, 0, 0, "America/Sao_Paulo", "2017-10-14T03:00:00Z", "", "2017-10-15T03:00:00Z"},
		{"and so does Cairo's", 1, 0, 30, "Africa/Cairo", "2024-04-24T22:30:00Z", "", "2024-04-25T22:00:00Z"},
		{"Apia has no 30 December 2011: the first instant after it", 1, 3, 0, "Pacific/Apia", "2011-12-29T13:00:00Z", "", "2011-12-30T10:00:00Z"},
		{"Nuuk skips 23:30 into the next day", 7, 23, 30, "America/Nuuk", "2024-03-24T01:30:00Z", "", "2024-03-31T01:00:00Z"},
		{"which moves the days after it no more than any other", 7, 23, 30, "America/Nuuk", "2024-03-31T01:00:00Z", "", "2024-04-07T00:30:00Z"},
		{"slots that were missed are skipped", 7, 3, 0, "UTC", "2026-01-01T03:00:00Z", "2026-01-20T00:00:00Z", "2026-01-22T03:00:00Z"},
		{"a run that is late does not move the next", 7, 3, 0, "UTC", "2026-01-01T03:00:00Z", "2026-01-03T17:00:00Z", "2026-01-08T03:00:00Z"},
		{"a slot that is now is not the next", 7, 3, 0, "UTC", "2026-01-01T03:00:00Z", "2026-01-08T03:00:00Z", "2026-01-15T03:00:00Z"},
		{"a zone that vanished is UTC", 1, 3, 0, "Atlantis/Capital", "2026-01-01T03:00:00Z", "", "2026-01-02T03:00:00Z"},
		{"a schedule that was never validated ends all the same", 0, 3, 0, "UTC", "2026-01-01T03:00:00Z", "2026-01-04T00:00:00Z",
			"2026-01-04T03:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := schedule.Schedule{Interval: tt.interval, Hours: tt.h, Minutes: tt.m, Zone: tt.zone}
			slot := at(t, tt.slot)
			now := slot
			if tt.now != "" {
				now = at(t, tt.now)
			}
			if got := s.After(slot, now); !got.Equal(at(t, tt.want)) || got.Location() != time.UTC {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestScheduleFirst(t *testing.T) {
	for _, tt := range []struct {
		name     string
		interval int
		h, m     int
		zone     string
		done     string
		want     string
	}{
		{"done before the hour: the day that completes the interval", 30, 3, 0, "UTC", "2026-01-01T02:00:00Z", "2026-01-31T03:00:00Z"},
		{"done at the hour: exactly the interval", 30, 3, 0, "UTC", "2026-01-01T03:00:00Z", "2026-01-31T03:00:00Z"},
		{"done after it: a day more", 30, 3, 0, "UTC", "2026-01-01T03:00:01Z", "2026-02-01T03:00:00Z"},
		{"done half a second after it, too", 30, 3, 0, "UTC", "2026-01-01T03:00:00.5Z", "2026-02-01T03:00:00Z"},
		{"the date is the zone's, not UTC's", 1, 3, 0, "Europe/Berlin", "2026-01-01T23:30:00Z", "2026-01-03T02:00:00Z"},
		{"a calendar day may have 23 hours", 1, 12, 0, "Europe/Berlin", "2026-03-28T11:00:00Z", "2026-03-29T10:00:00Z"},
		{"or 25", 1, 12, 0, "Europe/Berlin", "2026-10-24T10:00:00Z", "2026-10-25T11:00:00Z"},
		{"the interval ends in a gap", 1, 2, 30, "Europe/Berlin", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"},
		{"the interval ends on a day that does not exist", 1, 3, 0, "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := schedule.Schedule{Interval: tt.interval, Hours: tt.h, Minutes: tt.m, Zone: tt.zone}
			if got := s.First(at(t, tt.done)); !got.Equal(at(t, tt.want)) || got.Location() != time.UTC {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// wall is what a clock in loc shows, so that two of them compare as text.
func wall(t time.Time, loc *time.Location) string { return t.In(loc).Format("2006-01-02 15:04:05") }

// TestScheduleProperties walks through schedules in zones with every kind of jump.
// First leaves at least the interval, in dates and times as the zone's clocks show
// them; After never stands still, never jumps over more than the interval, and
// keeps the time of day except where a gap moves it.
func TestScheduleProperties(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia",
		"Asia/Kathmandu", "Africa/Casablanca"}
	r := rand.New(rand.NewPCG(20260310, 7))
	for range 3000 {
		s := schedule.Schedule{Interval: 1 + r.IntN(60), Hours: r.IntN(24), Minutes: r.IntN(60), Zone: zones[r.IntN(len(zones))]}
		loc, err := s.Location()
		if err != nil {
			t.Fatal(err)
		}
		done := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(int64(20 * 365 * 24 * time.Hour))))
		slot := s.First(done)
		d := done.In(loc)
		// In UTC every date and time exists, so this is the least the clock may show.
		least := time.Date(d.Year(), d.Month(), d.Day()+s.Interval, d.Hour(), d.Minute(), d.Second(), d.Nanosecond(), time.UTC)
		if wall(slot, loc) < wall(least, time.UTC) {
			t.Fatalf("%+v: First(%s) = %s comes before %s", s, d, slot.In(loc), wall(least, time.UTC))
		}
		if most := least.AddDate(0, 0, 2); wall(slot, loc) > wall(most, time.UTC) {
			t.Fatalf("%+v: First(%s) = %s is more than a day late", s, d, slot.In(loc))
		}
		for range 5 {
			next := s.After(slot, slot)
			if !next.After(slot) {
				t.Fatalf("%+v: After(%s) = %s", s, slot, next)
			}
			if gap := next.Sub(slot); gap > time.Duration(s.Interval)*24*time.Hour+26*time.Hour {
				t.Fatalf("%+v: After(%s) = %s leaves out more than the interval", s, slot, next)
			}
			n := next.In(loc)
			if n.Hour() != s.Hours || n.Minute() != s.Minutes {
				if _, before := n.Add(-time.Second).Zone(); before == offset(n) {
					t.Fatalf("%+v: %s is neither at the time of day nor at the end of a gap", s, n)
				}
			}
			slot = next
		}
	}
}

func offset(t time.Time) int {
	_, off := t.Zone()
	return off
}

func TestScheduleValidate(t *testing.T) {
	if err := (schedule.Schedule{Interval: 30, Hours: 3, Minutes: 15, Zone: "Europe/Berlin"}).Validate(); err != nil {
		t.Errorf("a good schedule is refused: %v", err)
	}
	err := schedule.Schedule{Interval: 366, Hours: 24, Minutes: -1, Zone: "Local"}.Validate()
	if err == nil {
		t.Fatal("a bad schedule is accepted")
	}
	for _, want := range []string{"rotationInterval 366", "hours 24", "minutes -1", "time zone"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("every mistake is to be reported at once; %q is missing in: %v", want, err)
		}
	}
	for _, zone := range []string{"Local", "localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC", "europe/../UTC"} {
		if err := (schedule.Schedule{Interval: 1, Zone: zone}).Validate(); err == nil || strings.Contains(err.Error(), zone) {
			t.Errorf("%q is no zone, and not to be quoted: %v", zone, err)
		}
	}
	if err := (schedule.Schedule{Interval: 0, Zone: "Middle/Earth"}).Validate(); err == nil ||
		!strings.Contains(err.Error(), "Europe/Berlin") {
		t.Errorf("an unknown zone is to be explained by an example: %v", err)
	}
}
