package console

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// reader is how one visitor reads times.
type reader struct {
	now  time.Time
	zone *time.Location
}

// zoneCookie is where the page keeps the zone that its reader chose.
const zoneCookie = "rekey-zone"

// readerOf is the visitor's, in UTC unless they have chosen.
func readerOf(r *http.Request, now time.Time) reader {
	zone := time.UTC
	if c, err := r.Cookie(zoneCookie); err == nil {
		if z, err := loadZone(c.Value); err == nil {
			zone = z
		}
	}
	return reader{now, zone}
}

// loadZone knows IANA names alone: "Local" would be the server's.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil, fmt.Errorf("%q is no time zone", name)
	}
	return time.LoadLocation(name)
}

// clock is a moment in the reader's zone.
func (r reader) clock(t time.Time) string { return t.In(r.zone).Format("2 Jan 2006 15:04 MST") }

// when shows a moment: how far it is, and when that is.
func (r reader) when(t time.Time) g.Node {
	return h.Time(h.DateTime(t.UTC().Format(time.RFC3339)), h.Title(t.UTC().Format(time.RFC3339)),
		g.Text(r.relative(t)+", "), h.Span(h.Class("whole"), g.Text(r.clock(t))))
}

// both shows a moment in the reader's zone and in that of the schedule.
func (r reader) both(t time.Time, zone string) g.Node {
	own, err := loadZone(zone)
	if err != nil || own.String() == r.zone.String() {
		return r.when(t)
	}
	there := t.In(own).Format("2 Jan 2006 15:04 MST")
	switch {
	case there == r.clock(t): // another name for the same
		return r.when(t)
	case !strings.HasSuffix(there, " "+zone):
		there += " in " + zone
	}
	return g.Group{r.when(t), g.Text(" (" + there + ")")}
}

var timestamp = regexp.MustCompile(`\b\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?Z| at \d\d:\d\d UTC)`)

// dated is a message of the API with its times as the reader reads them.
func (r reader) dated(message string) string {
	return timestamp.ReplaceAllStringFunc(message, func(text string) string {
		for _, layout := range []string{time.RFC3339, "2006-01-02 at 15:04 MST"} {
			if t, err := time.Parse(layout, text); err == nil {
				return r.clock(t)
			}
		}
		return text
	})
}

// maybe shows a moment if there is one, and otherwise what stands for none.
func (r reader) maybe(t *time.Time, none string) g.Node {
	if t == nil || t.IsZero() {
		return g.Text(none)
	}
	return r.when(*t)
}

// relative is how far a moment is, in the largest unit of which it has two: "in 3 days",
// "90 minutes ago".
func (r reader) relative(t time.Time) string {
	d := t.Sub(r.now)
	ahead := d >= 0
	if !ahead {
		d = -d
	}
	text := duration(d)
	switch {
	case d < time.Minute && ahead:
		return "in less than a minute"
	case d < time.Minute:
		return "just now"
	case ahead:
		return "in " + text
	}
	return text + " ago"
}

func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Hour:
		return count(int(d.Round(time.Minute)/time.Minute), "minute")
	case d < 2*day:
		return count(int(d.Round(time.Hour)/time.Hour), "hour")
	case d < 60*day:
		return count(int(d.Round(day)/day), "day")
	case d < 730*day:
		return count(int(d.Round(day)/(30*day)), "month")
	}
	return count(int(d/(365*day)), "year")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// hours is a grace period in words.
func hours(n float64) string {
	if n == 0 {
		return "none"
	}
	// It is a promise to consumers, so that it is not rounded as distances are.
	switch minutes := n * 60; {
	case minutes < 1:
		return count(int(math.Round(minutes*60)), "second")
	case n < 2 && n != 1:
		return count(int(math.Round(minutes)), "minute")
	case n >= 48 && math.Mod(n, 24) == 0:
		return count(int(n), "hour") + " (" + count(int(n/24), "day") + ")"
	case n == 1:
		return "1 hour"
	}
	return strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64) + " hours"
}

// states is what the state of a rotation is called.
var states = map[string]string{
	"creating": "being created", "idle": "at rest", "issuing": "issuing a new client secret", "verifying": "proving the new client secret",
	"publishing": "publishing the new client secret", "rebinding": "taking over new credentials", "deleting": "being deleted",
}

// stateBadges are the longer ones in a word or two, for tables.
var stateBadges = map[string]string{"issuing": "issuing", "verifying": "proving", "publishing": "publishing",
	"rebinding": "new credentials"}

func stateWord(state string) string {
	if word, ok := states[state]; ok {
		return word
	}
	return state
}

// badge is a connection's state in a word.
func badge(s *subject) g.Node {
	r := s.state()
	switch {
	case len(s.Attention) > 0:
		return page.Badge(page.Bad, s.short(s.Attention[0]))
	case r != nil && r.State != "" && r.State != "idle":
		return page.Badge(page.Warn, cmp.Or(stateBadges[r.State], stateWord(r.State)))
	case s.failed():
		return page.Badge(page.Warn, "last try failed")
	case s.Authentication != nil && s.Authentication.Problem != nil:
		return page.Badge(page.Bad, "cannot sign in")
	case r == nil:
		return page.Badge(page.Calm, "signs in only")
	case !s.IsAutoRotationEnabled:
		return page.Badge(page.Calm, "rotation off")
	}
	return page.Badge(page.Good, "healthy")
}

// status says in a sentence or two where a connection stands. ends are those of old client secrets.
func (r reader) status(s *subject, ends map[string]time.Time) string {
	state := s.state()
	if state == nil {
		return "This connection signs in for its targets. Nothing of its own is rotated."
	}
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case state.State == "deleting":
		say("It is being deleted.")
	case state.State == "creating":
		say("It is being created. What it was given is looked at.")
		if s.IsAutoRotationEnabled {
			say("Its first rotation comes after that.")
		}
	case state.State == "rebinding":
		say("Rekey is taking over new credentials. That ends by itself, within half an hour.")
	case state.State != "" && state.State != "idle":
		say("A rotation is under way: Rekey is %s.", stateWord(state.State))
	case state.LastRotatedAt != nil:
		say("Published %s.", r.relative(*state.LastRotatedAt))
	case state.Current != nil:
		say("The client secret that was given is in use.")
	default:
		say("Nothing is published yet.")
	}
	parts = append(parts, r.removals(state.Retiring, ends)...)
	next := state.NextRotationAt
	switch {
	case state.State == "deleting":
	case s.failed() && s.abandoned() && state.RetryAt != nil && state.RetryAt.After(r.now):
		say("The last rotation was abandoned. The next one is begun %s, on %s.", r.relative(*state.RetryAt), r.clock(*state.RetryAt))
	case s.failed() && state.RetryAt != nil && state.RetryAt.After(r.now):
		say("The last rotation failed. It is tried again %s, on %s.", r.relative(*state.RetryAt), r.clock(*state.RetryAt))
	case next != nil && next.After(r.now):
		say("The next rotation is %s, on %s.", r.relative(*next), r.clock(*next))
	case next != nil && (state.State == "" || state.State == "idle"): // the timer has not come to it yet
		say("A rotation was due %s, on %s.", r.relative(*next), r.clock(*next))
	case next != nil:
	case !s.IsAutoRotationEnabled && state.Current != nil && state.Current.ExpiresAt != nil:
		say("Rotation is off, and what is published ends %s, on %s.", r.relative(*state.Current.ExpiresAt), r.clock(*state.Current.ExpiresAt))
	case !s.IsAutoRotationEnabled:
		say("Rotation is off.")
	}
	return strings.Join(parts, " ")
}

// span is from the first to the last of some times, each of a client secret.
type span struct {
	first, last time.Time
	times       int
	keyID       string // of the last one
}

func (s *span) add(at time.Time, keyID string) {
	s.keyID = keyID
	if s.times++; s.times == 1 || at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
}

// during says when a span is: a moment, as far as one reads it, or from one to another.
func (r reader) during(s span) string {
	if first, last := r.clock(s.first), r.clock(s.last); first != last {
		return "from " + first + " to " + last
	}
	return "on " + r.clock(s.last)
}

// removals says what becomes of old client secrets, of those alike in one sentence.
func (r reader) removals(list []retiring, ends map[string]time.Time) (says []string) {
	var removed, resist, due, ended, ahead, ending span
	for _, old := range list {
		at := old.RevokeAfter
		end, ends := ends[strings.ToLower(old.KeyID)]
		switch {
		case old.RevokedAt != nil:
			removed.add(at, old.KeyID)
		case old.Problem != "":
			resist.add(at, old.KeyID)
		case !at.After(r.now):
			due.add(at, old.KeyID)
		case ends && !end.After(r.now):
			ended.add(end, old.KeyID)
		case ends && end.Before(at):
			ending.add(end, old.KeyID)
		default:
			ahead.add(at, old.KeyID)
		}
	}
	say := func(s span, one, more string) {
		switch {
		case s.times == 1 && len(list) > 1 && s.keyID != "": // which of them
			says = append(says, "The old client secret with the key id "+s.keyID+" "+one)
		case s.times == 1:
			says = append(says, "The old client secret "+one)
		case s.times > 1:
			says = append(says, strconv.Itoa(s.times)+" old client secrets "+more)
		}
	}
	say(resist, "could not be removed yet: see below.", "could not be removed yet: see below.")
	say(ahead, "is removed "+r.during(ahead)+".", "are removed "+r.during(ahead)+".")
	say(ending, "ends by itself "+r.during(ending)+", before its grace period is over.",
		"end by themselves "+r.during(ending)+", before their grace periods are over.")
	say(ended, "has ended, and is still to be removed.", "have ended, and are still to be removed.")
	say(due, "is being removed.", "are being removed.")
	say(removed, "is removed; Rekey waits until the directory stops showing it.",
		"are removed; Rekey waits until the directory stops showing them.")
	return says
}

func sentence(text string) string {
	if text = strings.TrimSpace(said(text)); text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
