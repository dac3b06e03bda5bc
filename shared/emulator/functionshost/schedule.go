package functionshost

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule is a parsed NCRONTAB expression, in UTC: the only time zone that a
// timer has on the Consumption and Flex Consumption plans on Linux.
//
// It has six fields, or five without the first (seconds are 0 then):
//
//	second 0-59, minute 0-59, hour 0-23, day 1-31, month 1-12, day of week 0-6
//
// A field is a list of "*", "a", "a-b", each with an optional "/step"; "a/step"
// runs to the field's end. Months and days of the week also have English names,
// at least three letters of them; Sunday is 0. Unlike other crons the day of the
// month AND the day of the week must match.
//
// Source: atifaziz/NCrontab, CrontabField.cs and CrontabSchedule.cs. What that
// accepts and is hardly ever meant (a reversed range, a step of 0) is refused.
type Schedule struct {
	text                              string
	seconds, minutes                  uint64 // bit n is set if n matches
	hours, days, months, daysOfWeek   uint64
	anyMinute, anyHour, anyDayOrMonth bool // the field's text is "*"
}

// field says what one field of an expression may hold.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
}

var fields = [...]field{
	{"second", 0, 59, nil},
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of month", 1, 31, nil},
	{"month", 1, 12, []string{"january", "february", "march", "april", "may", "june",
		"july", "august", "september", "october", "november", "december"}},
	{"day of week", 0, 6, []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}},
}

// horizon is how far ahead an occurrence is looked for. The rarest that exist,
// a 29 February on a given day of the week, are up to 40 years apart.
const horizon = 50

// ParseSchedule parses an NCRONTAB expression. It also refuses one that never
// matches, such as 30 February.
func ParseSchedule(text string) (Schedule, error) {
	words := strings.Fields(text)
	switch {
	case len(words) == 1 && strings.Contains(words[0], ":"):
		return Schedule{}, fmt.Errorf("schedule %q is a time span, which works on App Service plans only; write it as six fields", text)
	case len(words) == 5:
		words = append([]string{"0"}, words...)
	case len(words) != 6:
		return Schedule{}, fmt.Errorf("schedule %q has %d fields, not six: second minute hour day month day-of-week", text, len(words))
	}
	var sets [len(fields)]uint64
	for i, f := range fields {
		set, err := f.parse(words[i])
		if err != nil {
			return Schedule{}, fmt.Errorf("schedule %q, %s: %w", text, f.name, err)
		}
		sets[i] = set
	}
	s := Schedule{
		text:    strings.Join(strings.Fields(text), " "),
		seconds: sets[0], minutes: sets[1], hours: sets[2],
		days: sets[3], months: sets[4], daysOfWeek: sets[5],
		anyMinute: words[1] == "*", anyHour: words[2] == "*",
		anyDayOrMonth: words[3] == "*" && words[4] == "*" && words[5] == "*",
	}
	if s.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q never occurs", text)
	}
	return s, nil
}

// String returns the expression with single spaces.
func (s Schedule) String() string { return s.text }

// Next returns the first occurrence after after, in UTC and whole seconds; the
// zero time if there is none within 50 years.
func (s Schedule) Next(after time.Time) time.Time {
	t := after.UTC().Truncate(time.Second).Add(time.Second)
	end := t.AddDate(horizon, 0, 0)
	for t.Before(end) {
		year, month, day := t.Date()
		if !has(s.months, int(month)) {
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if has(s.days, day) && has(s.daysOfWeek, int(t.Weekday())) {
			if next, ok := s.nextInDay(t); ok {
				return next
			}
		}
		t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}

// nextInDay returns the first occurrence on t's day at or after t.
func (s Schedule) nextInDay(t time.Time) (time.Time, bool) {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for h := hour; h < 24; h++ {
		if !has(s.hours, h) {
			continue
		}
		if h > hour {
			minute, second = 0, 0
		}
		for m, from := minute, second; m < 60; m, from = m+1, 0 {
			if !has(s.minutes, m) {
				continue
			}
			for sec := from; sec < 60; sec++ {
				if has(s.seconds, sec) {
					return time.Date(year, month, day, h, m, sec, 0, time.UTC), true
				}
			}
		}
	}
	return time.Time{}, false
}

// subMinute reports whether the host does not monitor this schedule because it
// fires several times in every minute; ScheduleStatus is null then.
// Source: azure-webjobs-sdk-extensions, TimerTriggerAttributeBindingProvider.
func (s Schedule) subMinute() bool {
	several := s.seconds&(s.seconds-1) != 0
	return several && s.anyMinute && s.anyHour && s.anyDayOrMonth
}

func has(set uint64, n int) bool { return set&(1<<n) != 0 }

func (f field) parse(text string) (uint64, error) {
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		part, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.max {
				return 0, fmt.Errorf("the step in %q must be a number from 1 to %d", item, f.max)
			}
			step = n
		}
		first, last, err := f.span(part, stepped)
		if err != nil {
			return 0, err
		}
		for n := first; n <= last; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

// span returns the ends of "*", "a" or "a-b"; a single value runs to the end of
// the field if it has a step.
func (f field) span(text string, stepped bool) (first, last int, err error) {
	if text == "*" {
		return f.min, f.max, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if first, err = f.value(from); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		if last, err = f.value(to); err != nil {
			return 0, 0, err
		}
	case stepped:
		last = f.max
	default:
		last = first
	}
	if first > last {
		return 0, 0, fmt.Errorf("the range %q runs backwards", text)
	}
	return first, last, nil
}

func (f field) value(text string) (int, error) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		if int(n) < f.min || int(n) > f.max {
			return 0, fmt.Errorf("%d is not within %d-%d", n, f.min, f.max)
		}
		return int(n), nil
	}
	for i, name := range f.names {
		if len(text) >= 3 && strings.HasPrefix(name, strings.ToLower(text)) {
			return f.min + i, nil
		}
	}
	return 0, fmt.Errorf("%q is no value of this field", text)
}
