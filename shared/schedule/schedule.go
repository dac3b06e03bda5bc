// Package schedule says when a rotation is due: every so many days at a local time of day.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Schedule is every Interval days at a local time of day in a zone.
//
// Days are calendar days of the zone, counted from the nominal slot, so that a run
// that is late does not move the ones after it. A time of day that daylight saving
// skips is taken at the first instant after the gap; one that comes twice is taken
// the first time.
type Schedule struct {
	Interval int    `json:"interval"` // days, 1 to 365
	Hours    int    `json:"hours"`    // 0 to 23
	Minutes  int    `json:"minutes"`  // 0 to 59
	Zone     string `json:"zone"`     // IANA name, "UTC"
}

// Location loads the zone. The zone database is the binary's own where the main
// package embeds it.
func (s Schedule) Location() (*time.Location, error) {
	if s.Zone == "" || s.Zone == "UTC" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(s.Zone)
	if err != nil || machineZone(s.Zone) {
		return nil, errors.New("the time zone is not an IANA name such as Europe/Berlin")
	}
	return loc, nil
}

// machineZone reports whether name, although it can be loaded on some machines, is not
// a zone's everywhere: it is the machine's own, or a file beside its zones.
func machineZone(name string) bool {
	switch name {
	case "Local", "localtime", "posixrules", "Factory":
		return true
	}
	return strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/")
}

// Validate reports every mistake in s.
func (s Schedule) Validate() error {
	var errs []error
	if s.Interval < 1 || s.Interval > 365 {
		errs = append(errs, fmt.Errorf("rotationInterval %d: must be 1 to 365 days", s.Interval))
	}
	if s.Hours < 0 || s.Hours > 23 {
		errs = append(errs, fmt.Errorf("hours %d: must be 0 to 23", s.Hours))
	}
	if s.Minutes < 0 || s.Minutes > 59 {
		errs = append(errs, fmt.Errorf("minutes %d: must be 0 to 59", s.Minutes))
	}
	if _, err := s.Location(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// location is Location for a schedule that was validated when it was stored. UTC
// if the zone has vanished from the zone database since: a rotation an hour off
// is better than none.
func (s Schedule) location() *time.Location {
	loc, err := s.Location()
	if err != nil {
		return time.UTC
	}
	return loc
}

// on returns the slot on a calendar day of the zone; day may lie beyond the month.
func (s Schedule) on(year int, month time.Month, day int) time.Time {
	const wall = "2006-01-02 15:04"
	want := time.Date(year, month, day, s.Hours, s.Minutes, 0, 0, time.UTC).Format(wall)
	t := time.Date(year, month, day, s.Hours, s.Minutes, 0, 0, s.location())
	if t.Format(wall) != want {
		// The time is in a gap. time.Date answers with an instant on one side
		// of it, off by the gap's size, not with its end.
		return gapEnd(t)
	}
	// time.Date does not promise which of two equal times it returns.
	_, before := t.Add(-24 * time.Hour).Zone()
	_, at := t.Zone()
	if first := t.Add(time.Duration(at-before) * time.Second); first.Before(t) && first.Format(wall) == want {
		return first.UTC()
	}
	return t.UTC()
}

// gapEnd finds the transition within a day of t by bisection: the instant at which
// the zone's offset changes forward.
func gapEnd(t time.Time) time.Time {
	lo, hi := t.Add(-24*time.Hour), t.Add(24*time.Hour)
	_, before := lo.Zone()
	for hi.Sub(lo) > time.Second {
		mid := lo.Add(hi.Sub(lo) / 2)
		if _, off := mid.Zone(); off == before {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi.Truncate(time.Second).UTC()
}

// First returns the first slot after a creation or a manual rotation at done: at
// least a whole interval passes.
func (s Schedule) First(done time.Time) time.Time {
	local := done.In(s.location())
	days := s.Interval
	// By the clock on the wall: there may be no such time on the day that the
	// interval ends.
	h, m, sec := local.Clock()
	if h*60+m > s.Hours*60+s.Minutes || h*60+m == s.Hours*60+s.Minutes && sec+local.Nanosecond() > 0 {
		days++
	}
	return s.on(local.Year(), local.Month(), local.Day()+days)
}

// Next returns the slot after an edit at now, for what was rotated last at done: a
// whole interval after that, or at the next time of day if that is past. A zero done
// is now.
func (s Schedule) Next(done, now time.Time) time.Time {
	if done.IsZero() {
		done = now
	}
	if first := s.First(done); first.After(now) {
		return first
	}
	local := now.In(s.location())
	for day := local.Day(); ; day++ {
		if next := s.on(local.Year(), local.Month(), day); next.After(now) {
			return next
		}
	}
}

// After returns the slot that follows slot, skipping those that lie at or before
// now: however many were missed, one run serves them all.
func (s Schedule) After(slot, now time.Time) time.Time {
	local := slot.In(s.location())
	day := local.Day()
	if s.on(local.Year(), local.Month(), day-1).Equal(slot) {
		day-- // its time was in a gap that ended on the next day
	}
	interval := max(s.Interval, 1) // one that was never validated must not loop for ever
	for n := 1; ; n++ {
		if next := s.on(local.Year(), local.Month(), day+n*interval); next.After(now) {
			return next
		}
	}
}
