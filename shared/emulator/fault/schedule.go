package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Plan is a schedule of faults as data. The first rule that applies to a call
// decides about it.
type Plan struct {
	// Seed makes chance repeatable: each rule has a generator of its own, made
	// of the seed and the rule's place.
	Seed  uint64 `json:"seed"`
	Rules []Rule `json:"rules"`
}

// Rule says which fault happens when. A call counts for a rule if its operation
// matches, whatever an earlier rule does with it; so a rule's faults do not depend on
// other rules.
type Rule struct {
	// Op is a pattern of operations as of [path.Match]: "graph.addPassword",
	// "vault.*", "*". The operations are those of the emulators, see their Hook.
	Op   string `json:"op"`
	Kind Kind   `json:"kind"`

	// Probability of each call to fail, more than 0 up to 1. Nth, counted from 1,
	// is the one call that fails, and with Count the first of so many in a row.
	// With neither, every call fails.
	Probability float64 `json:"probability,omitempty"`
	Nth         int     `json:"nth,omitempty"`
	// Count is how often the rule takes effect in all; 0 means without end, and
	// with Nth once.
	Count int `json:"count,omitempty"`

	// RetryAfter is the pause that the kinds throttled and busy ask for, in whole
	// seconds; default 2 s.
	RetryAfter Duration `json:"retryAfter,omitempty"`
	// Delay is how slow the slow kinds are; default 1 s.
	Delay Duration `json:"delay,omitempty"`
	// Within is how long conflict-after-write goes on after a write; default 10 s.
	Within Duration `json:"within,omitempty"`
	// Scope of conflict-after-write: "application" (default), the one that is
	// written; or "tenant", any of it.
	Scope string `json:"scope,omitempty"`
	// Status of html-body; default 502.
	Status int `json:"status,omitempty"`
}

func (r Rule) delay() time.Duration {
	if r.Delay == 0 {
		return defaultDelay
	}
	return time.Duration(r.Delay)
}

func (r Rule) within() time.Duration {
	if r.Within == 0 {
		return defaultWithin
	}
	return time.Duration(r.Within)
}

// Duration is a time.Duration that is "1m30s" in JSON.
type Duration time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// Check reports every mistake in the plan.
func (p Plan) Check() error {
	var errs []error
	for i, r := range p.Rules {
		for _, mistake := range r.mistakes() {
			errs = append(errs, fmt.Errorf("rule %d: %s", i+1, mistake))
		}
	}
	return errors.Join(errs...)
}

func (r Rule) mistakes() (found []string) {
	wrong := func(is bool, what string) {
		if is {
			found = append(found, what)
		}
	}
	v, known := kinds[r.Kind]
	_, malformed := path.Match(r.Op, "")
	wrong(!known, fmt.Sprintf("there is no kind %q", r.Kind))
	wrong(r.Op == "" || malformed != nil, fmt.Sprintf("%q is no pattern of operations", r.Op))
	wrong(known && r.Op != "" && malformed == nil && !v.may(r.Op), fmt.Sprintf("%s does not happen to %s", r.Kind, r.Op))
	wrong(!(r.Probability >= 0 && r.Probability <= 1), "a probability is from 0 to 1")
	wrong(r.Nth < 0 || r.Count < 0, "nth and count are not negative")
	wrong(r.Nth > 0 && r.Probability > 0, "either nth or probability")
	wrong(r.RetryAfter < 0 || time.Duration(r.RetryAfter)%time.Second != 0, "retryAfter is in whole seconds")
	wrong(r.RetryAfter != 0 && r.Kind != Throttled && r.Kind != Busy, "retryAfter belongs to throttled and busy")
	wrong(r.Delay < 0 || r.Delay != 0 && r.Kind != Slow && r.Kind != SlowAnswer, "delay belongs to slow and slow-answer")
	conflict := r.Kind == ConflictAfterWrite
	wrong(r.Within < 0 || r.Within != 0 && !conflict, "within belongs to conflict-after-write")
	wrong(r.Scope != "" && (!conflict || r.Scope != "application" && r.Scope != "tenant"),
		`scope is "application" or "tenant", of conflict-after-write`)
	wrong(r.Status != 0 && (r.Kind != HTMLBody || r.Status < 200 || r.Status > 599), "status, from 200 to 599, belongs to html-body")
	return found
}

// Schedule plays a plan. Its method [Schedule.Hook] is a [Hook].
type Schedule struct {
	now func() time.Time

	mu    sync.Mutex
	rules []*playing
}

// playing is a rule and how far it has got.
type playing struct {
	RuleState
	random *rand.Rand
	writes map[string]time.Time // of conflict-after-write: when what was written last
}

// RuleState is a rule, how many calls it has looked at, and how often it took effect.
type RuleState struct {
	Rule
	Seen  int `json:"seen"`
	Fired int `json:"fired"`
}

// NewSchedule begins to play a plan that [Plan.Check] accepts. now, nil for
// time.Now, is what conflict-after-write goes by.
func NewSchedule(p Plan, now func() time.Time) (*Schedule, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	s := &Schedule{now: now}
	for i, r := range p.Rules {
		s.rules = append(s.rules, &playing{
			RuleState: RuleState{Rule: r}, random: rand.New(rand.NewPCG(p.Seed, uint64(i))), writes: map[string]time.Time{},
		})
	}
	return s, nil
}

// Hook decides about one call.
func (s *Schedule) Hook(op string, r *http.Request) *Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	var chosen *Effect
	for _, p := range s.rules {
		v := kinds[p.Kind]
		if !matches(p.Op, op) || !v.knows(op) {
			continue
		}
		p.Seen++
		due := p.due() // asked always, so that chance does not depend on other rules
		switch {
		case chosen != nil:
		case due && p.armed(r, s.now()):
			p.Fired++
			service, _, _ := strings.Cut(op, ".")
			e := v.make(service, p.Rule)
			chosen = &e
		default:
			p.letThrough(r, s.now())
		}
	}
	return chosen
}

// due reports whether the call that was just counted is one that fails.
func (p *playing) due() bool {
	limit := p.Count
	if p.Nth > 0 {
		limit = max(limit, 1)
	}
	lucky := p.Probability == 0 || p.random.Float64() < p.Probability
	return lucky && p.Seen >= p.Nth && (limit == 0 || p.Fired < limit)
}

// armed reports whether what the kind waits for has happened.
func (p *playing) armed(r *http.Request, now time.Time) bool {
	if p.Kind != ConflictAfterWrite {
		return true
	}
	key := p.key(r)
	last, ok := p.writes[key]
	return key != "" && ok && now.Before(last.Add(p.within()))
}

// letThrough notes a write that the next one may collide with, whether or not the
// service accepts it.
func (p *playing) letThrough(r *http.Request, now time.Time) {
	if key := p.key(r); p.Kind == ConflictAfterWrite && key != "" {
		p.writes[key] = now
	}
}

// key is what two writes collide about; empty for reads and where it is not known.
func (p *playing) key(r *http.Request) string {
	about := SubjectOf(r)
	switch {
	case r.Method == http.MethodGet:
		return ""
	case p.Scope == "tenant":
		return about.Tenant
	}
	return about.Application
}

// State returns how far each rule has got.
func (s *Schedule) State() []RuleState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := []RuleState{}
	for _, p := range s.rules {
		states = append(states, p.RuleState)
	}
	return states
}
