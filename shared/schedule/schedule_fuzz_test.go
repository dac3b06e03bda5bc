package schedule_test

import (
	"testing"
	"time"

	"rekey/shared/schedule"
)

// firstShowing returns the first instant at which a clock in loc shows wall, which is
// given as if it were in UTC, or a later time. That is what a schedule promises of a
// time that comes once, twice or never, in one sentence. It is found without time.Date,
// by going from one change of the zone's offset to the next.
func firstShowing(wall time.Time, loc *time.Location) time.Time {
	t := wall.Add(-72 * time.Hour).In(loc) // no clock is that far ahead of UTC
	for {
		_, off := t.Zone()
		shown := wall.Add(-time.Duration(off) * time.Second)
		if shown.Before(t) {
			return t.UTC() // skipped: the gap has ended
		}
		_, end := t.ZoneBounds()
		if !end.IsZero() && !end.After(t) { // so Go 1.26 says on the last day of a leap year
			end = t.Add(24 * time.Hour)
		}
		if end.IsZero() || shown.Before(end) {
			return shown
		}
		t = end.In(loc)
	}
}

// shows is what a clock in loc shows, as if it were in UTC, where dates and times can
// be added to and compared.
func shows(t time.Time, loc *time.Location) time.Time {
	l := t.In(loc)
	return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), time.UTC)
}

// timeOfDay is the schedule's on the day of wall and n days later.
func timeOfDay(s schedule.Schedule, wall time.Time, n int) time.Time {
	return time.Date(wall.Year(), wall.Month(), wall.Day()+n, s.Hours, s.Minutes, 0, 0, time.UTC)
}

// jumpy are zones whose clocks do, or did, what clocks elsewhere do not. A fuzzer that
// changes a name letter by letter finds no other.
var jumpy = []string{
	"Europe/Berlin", "Europe/Dublin", "Europe/London", "Europe/Lisbon", "America/New_York", "America/St_Johns", "America/Nuuk",
	"America/Scoresbysund", "America/Sao_Paulo", "America/Asuncion", "America/Santiago", "America/Havana", "America/Juneau",
	"America/Caracas", "Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Monrovia", "Antarctica/Casey", "Antarctica/Troll",
	"Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "Asia/Manila", "Asia/Pyongyang", "Asia/Tehran", "Asia/Jerusalem",
	"Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia", "Pacific/Chatham", "Pacific/Fakaofo", "Pacific/Guam", "Pacific/Kiritimati",
	"Pacific/Kwajalein",
}

// Whatever the zone, the schedule and the instants: what Validate accepts has slots
// that come later, leave a whole interval and lie at the local time of day, or at the
// end of the gap that swallows it; what it refuses ends all the same.
func FuzzSchedule(f *testing.F) {
	for i := range jumpy {
		// The day before summer time begins in Europe.
		f.Add("", byte(i), int16(1), int8(2), int8(30), int64(1774661400), int64(0), uint32(0))
		f.Add("", byte(i), int16(30), int8(0), int8(0), int64(1792886400), int64(1), uint32(999999999)) // and ends
		f.Add("", byte(i), int16(7), int8(23), int8(30), int64(1711755000), int64(-1), uint32(86400))   // Nuuk goes over midnight
	}
	for _, zone := range []string{"", "UTC", "Local", "Etc/GMT+12", "../zoneinfo/UTC", "Middle/Earth"} {
		f.Add(zone, byte(255), int16(1), int8(3), int8(0), int64(1774661400), int64(0), uint32(0))
	}
	f.Add("Pacific/Apia", byte(255), int16(1), int8(3), int8(0), int64(1325199600), int64(0), uint32(0))
	f.Add("UTC", byte(255), int16(0), int8(24), int8(-1), int64(0), int64(1)<<62, uint32(0))
	f.Fuzz(func(t *testing.T, zone string, pick byte, interval int16, hours, minutes int8, done, nanos int64, later uint32) {
		if int(pick) < len(jumpy) {
			zone = jumpy[pick]
		}
		s := schedule.Schedule{Interval: int(interval), Hours: int(hours), Minutes: int(minutes), Zone: zone}
		const years = 365 * 24 * 60 * 60
		at := time.Unix(done%(200*years), nanos%1e9).UTC() // 1770 to 2169
		now := at.Add(time.Duration(later%(10*years)) * time.Second)
		if s.Validate() != nil {
			s.Hours, s.Minutes = 3, 0 // a zone that has vanished, or an interval that no policy may have
			s.Interval = min(s.Interval, 365)
			if next := s.After(at, now); !next.After(now) {
				t.Errorf("%+v: After(%s, %s) = %s", s, at, now, next)
			}
			return
		}
		loc, err := s.Location()
		if err != nil || loc == time.Local {
			t.Fatalf("%+v is valid, and its zone is %v, %v", s, loc, err)
		}
		checkFirst(t, s, loc, at)
		checkNext(t, s, loc, at, now)
		slot := s.First(at)
		checkNext(t, s, loc, at, slot) // a slot that is now is not the next
		for range 4 {
			next := checkAfter(t, s, loc, slot, slot)
			checkAfter(t, s, loc, slot, next)
			slot = next
		}
		checkAfter(t, s, loc, slot, slot.Add(now.Sub(at)))
	})
}

func checkFirst(t *testing.T, s schedule.Schedule, loc *time.Location, done time.Time) {
	t.Helper()
	least := shows(done, loc).AddDate(0, 0, s.Interval)
	want := timeOfDay(s, least, 0)
	if want.Before(least) {
		want = timeOfDay(s, least, 1)
	}
	got := s.First(done)
	if !got.Equal(firstShowing(want, loc)) || !got.After(done) || got.Location() != time.UTC {
		t.Errorf("%+v: First(%s) = %s, want when the clock shows %s", s, done.In(loc), got.In(loc), want)
	}
}

func checkNext(t *testing.T, s schedule.Schedule, loc *time.Location, done, now time.Time) {
	t.Helper()
	got, first := s.Next(done, now), s.First(done)
	if first.After(now) {
		if !got.Equal(first) {
			t.Errorf("%+v: Next(%s, %s) = %s, want the first slot %s", s, done, now, got, first)
		}
		return
	}
	today := shows(now, loc)
	want := firstShowing(timeOfDay(s, today, 0), loc)
	for n := 1; !want.After(now); n++ {
		want = firstShowing(timeOfDay(s, today, n), loc)
	}
	if !got.Equal(want) {
		t.Errorf("%+v: Next(%s, %s) = %s, want %s", s, done, now.In(loc), got.In(loc), want.In(loc))
	}
}

// checkAfter returns the slot after slot. Days are counted from the slot's own, also
// where a gap over midnight has moved it to the next.
func checkAfter(t *testing.T, s schedule.Schedule, loc *time.Location, slot, now time.Time) time.Time {
	t.Helper()
	next := s.After(slot, now)
	if !next.After(now) || next.Location() != time.UTC {
		t.Fatalf("%+v: After(%s, %s) = %s", s, slot, now, next)
	}
	own := shows(slot, loc)
	if before := own.AddDate(0, 0, -1); firstShowing(timeOfDay(s, before, 0), loc).Equal(slot) {
		own = before
	}
	want := slot
	for n := 1; !want.After(now); n++ {
		want = firstShowing(timeOfDay(s, own, n*s.Interval), loc)
	}
	if !next.Equal(want) {
		t.Errorf("%+v: After(%s, %s) = %s, want %s", s, slot.In(loc), now, next.In(loc), want.In(loc))
	}
	return next
}
