package connections

import (
	"strings"
	"time"

	"rekey/shared/schedule"

	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// rotationBody is the schedule and what goes with it. Source: reference, section 1.1;
// what is ours is marked. The nil one says nothing.
type rotationBody struct {
	RotationInterval         *int       `json:"rotationInterval"`
	RotateAtUTC              *timeOfDay `json:"rotateAtUtc"`
	RotateAt                 *timeOfDay `json:"rotateAt"`                 // ours
	TimeZone                 string     `json:"timeZone"`                 // ours
	GracePeriodHours         *float64   `json:"gracePeriodHours"`         // ours
	OriginalGracePeriodHours *float64   `json:"originalGracePeriodHours"` // ours
	Target                   *targetRef `json:"target"`                   // ours
}

type timeOfDay struct {
	Hours   int `json:"hours" need:"true"`
	Minutes int `json:"minutes" need:"true"`
}

// targetRef names an application.
type targetRef struct {
	ClientID string `json:"clientId"`
	ObjectID string `json:"objectId"`
}

func (b *rotationBody) target() *connection.Target {
	if b == nil || b.Target == nil {
		return nil
	}
	return &connection.Target{ClientID: b.Target.ClientID, ObjectID: b.Target.ObjectID}
}

// timing is what a body says about when; nil is what it does not mention.
type timing struct {
	schedule             *schedule.Schedule
	grace, originalGrace *time.Duration
}

// plan reads the schedule and the grace periods; base is the schedule so far, if there
// is one, and slot the next time that it is due. A schedule that is sent while rotation
// is off is kept for later, so it is validated too.
func (b *rotationBody) plan(on bool, base schedule.Schedule, slot, now time.Time) (t timing, err error) {
	if b == nil {
		if on && base.Interval == 0 {
			err = badRequest("rotation is required when isAutoRotationEnabled is true: " +
				"give rotationInterval (days) and rotateAt {hours, minutes} with timeZone, or rotateAtUtc.")
		}
		return t, err
	}
	if b.RotationInterval != nil || b.RotateAt != nil || b.RotateAtUTC != nil || b.TimeZone != "" || on && base.Interval == 0 {
		s, err := b.schedule(base, slot, now)
		if err != nil {
			return t, err
		}
		if err := s.Validate(); err != nil {
			return t, badRequest("rotation: %s.", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		t.schedule = &s
	}
	if t.grace, err = hours("rotation.gracePeriodHours", b.GracePeriodHours); err != nil {
		return t, err
	}
	t.originalGrace, err = hours("rotation.originalGracePeriodHours", b.OriginalGracePeriodHours)
	return t, err
}

// schedule changes base as the body says. It takes rotateAt in timeZone, or
// rotateAtUtc. A client that knows rotateAtUtc only sends it back as it was shown: then
// the time of day is still that of the zone.
func (b *rotationBody) schedule(base schedule.Schedule, slot, now time.Time) (schedule.Schedule, error) {
	s, zone := base, strings.TrimSpace(b.TimeZone)
	if b.RotationInterval != nil {
		s.Interval = *b.RotationInterval
	}
	if zone != "" {
		s.Zone = zone
	}
	if s.Zone == "" {
		s.Zone = "UTC"
	}
	switch {
	case b.RotateAt != nil:
		s.Hours, s.Minutes = b.RotateAt.Hours, b.RotateAt.Minutes
		return s, b.agree(s, slot, now)
	case b.RotateAtUTC != nil && zone != "" && zone != "UTC":
		return s, badRequest("rotation.timeZone goes with rotateAt; rotateAtUtc alone is in UTC.")
	case b.RotateAtUTC != nil && base.Interval != 0 && zone == "" && *b.RotateAtUTC == atUTC(base, slot):
	case b.RotateAtUTC != nil:
		s.Hours, s.Minutes, s.Zone = b.RotateAtUTC.Hours, b.RotateAtUTC.Minutes, "UTC"
	case base.Interval == 0:
		return s, badRequest("rotation needs the time of day: rotateAt {hours, minutes} with timeZone, or rotateAtUtc {hours, minutes}.")
	}
	return s, nil
}

// agree refuses a body that says two different times. A zone's offset changes with
// daylight saving, so rotateAtUtc may be that of today or that of the next slot, which
// is the one that answers have.
func (b *rotationBody) agree(s schedule.Schedule, slot, now time.Time) error {
	if b.RotateAtUTC == nil || s.Validate() != nil {
		return nil // the validation reports mistakes
	}
	utc := atUTC(s, now)
	if utc == *b.RotateAtUTC || atUTC(s, slot) == *b.RotateAtUTC {
		return nil
	}
	return badRequest("rotation.rotateAt %02d:%02d in %s is %02d:%02d UTC today, but rotateAtUtc says %02d:%02d. Give one of the two.",
		s.Hours, s.Minutes, s.Zone, utc.Hours, utc.Minutes, b.RotateAtUTC.Hours, b.RotateAtUTC.Minutes)
}

// atUTC is the schedule's time of day in UTC on the day of t.
func atUTC(s schedule.Schedule, t time.Time) timeOfDay {
	loc, err := s.Location()
	if err != nil {
		loc = time.UTC
	}
	local := t.In(loc)
	utc := time.Date(local.Year(), local.Month(), local.Day(), s.Hours, s.Minutes, 0, 0, loc).UTC()
	return timeOfDay{utc.Hour(), utc.Minute()}
}

// slot is the moment as of which a record's rotateAtUtc is shown.
func slot(rec *rotation.Record, now time.Time) time.Time {
	if rec.NextSlot.IsZero() {
		return now
	}
	return rec.NextSlot
}

// maxHours is the longest grace period, 30 days.
const maxHours = 720

// hours reads a number of hours.
func hours(field string, h *float64) (*time.Duration, error) {
	if h == nil {
		return nil, nil
	}
	if *h < 0 || *h > maxHours {
		return nil, badRequest("%s must be a number of hours from 0 to %d.", field, maxHours)
	}
	d := time.Duration(*h * float64(time.Hour))
	return &d, nil
}
