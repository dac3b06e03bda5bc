package simulation

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

// chance is what a history is drawn from.
type chance struct{ *rand.Rand }

func (c chance) oneIn(n int) bool { return c.IntN(n) == 0 }

func (c chance) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.Int64N(int64(high-low)+1)).Truncate(time.Millisecond)
}

func pick[T any](c chance, list ...T) T { return list[c.IntN(len(list))] }

// New draws the history of a seed.
func New(seed uint64) History {
	c := chance{rand.New(rand.NewPCG(seed, 0x52656b6579))}
	h := History{
		Seed: seed, Instances: pick(c, 1, 1, 2, 2, 3), Lag: c.between(5*time.Second, 40*time.Second), Personal: c.oneIn(8),
		Shape:   pick(c, ShapeOwn, ShapeOwn, ShapeOwn, ShapeOwn, ShapeCertificate, ShapeCertificate, ShapeOAuth, ShapeSecret),
		Horizon: c.between(10*day, 70*day).Truncate(hour),
	}
	if h.Instances > 1 {
		h.Skew = c.between(0, time.Minute).Truncate(time.Second)
	}
	count := 5 + c.IntN(22)
	switch {
	case c.oneIn(60): // long enough for history to be pruned
		h.Horizon, count = c.between(430*day, 600*day).Truncate(hour), 3+c.IntN(4)
	case c.oneIn(10):
		h.Horizon = c.between(100*day, 250*day).Truncate(hour)
	}
	g := generator{chance: c, h: &h}
	g.begin()
	for range count {
		g.next()
	}
	slices.SortStableFunc(h.Actions, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return h
}

type generator struct {
	chance
	h    *History
	last time.Duration
}

// begin creates what the history is about.
func (g *generator) begin() {
	again := g.between(hour, day) // if the first was not successful
	if g.h.Shape == ShapeOwn {
		g.add(g.creation("own", 0))
		g.add(g.creation("own", again))
		return
	}
	g.add(Action{Do: "create", On: "parent"})
	g.add(Action{At: again, Do: "create", On: "parent"})
	g.add(g.creation("target", g.between(minute, hour)))
	g.add(g.creation("target", again+g.between(minute, hour)))
	if g.oneIn(3) {
		g.add(g.creation("other", g.between(minute, 2*day)))
	}
}

func (g *generator) add(a Action) { g.h.Actions = append(g.h.Actions, a) }

// creation makes a connection or target: with the key id of what is given, with two days of
// grace for the original, or a target that retires some of what its application has.
func (g *generator) creation(on string, at time.Duration) Action {
	a := Action{At: at, Do: "create", On: on, N: pick(g.chance, 0, 1, 7, 7, 30, 30, 90), For: g.grace()}
	if g.h.Horizon > 80*day && a.N == 1 {
		a.N = 30 // or it takes long to play
	}
	a.What = pick(g.chance, "plain", "key", "key", "key+original", "original")
	// A target has no original. What the seeds of KnownKinds draw stays as it was.
	if strings.HasSuffix(a.What, "original") && (on == "target" || on == "other") && g.h.Seed%3 != 0 {
		a.What = "retire"
	}
	return a
}

func (g *generator) grace() time.Duration {
	return pick(g.chance, 0, hour, 2*day, 2*day, 2*day, 7*day, 30*day)
}

// when is near what happened last, more often than not: what breaks a protocol mostly
// happens within minutes.
func (g *generator) when() time.Duration {
	at := g.between(0, g.h.Horizon)
	switch {
	case g.oneIn(6):
		at = g.last + g.between(0, 2*time.Second)
	case g.oneIn(3):
		at = g.last + g.between(0, 40*time.Second)
	case g.oneIn(3):
		at = g.last + g.between(0, 40*minute)
	case g.oneIn(3):
		at = g.last + g.between(0, 2*day)
	}
	g.last = min(at, g.h.Horizon)
	return g.last
}

func (g *generator) next() {
	at := g.when()
	switch n := g.IntN(100); {
	case n < 56:
		g.request(at)
	case n < 74:
		g.fault(at)
	case n < 86:
		g.weather(at)
	case n < 90:
		g.policy(at)
	default:
		g.operator(at)
	}
}

// slot is a connection that the shape has.
func (g *generator) slot() string {
	if g.h.Shape == ShapeOwn {
		if g.oneIn(12) {
			return "second"
		}
		return "own"
	}
	return pick(g.chance, "target", "target", "target", "other", "parent")
}

func (g *generator) request(at time.Duration) {
	on := g.slot()
	a := Action{At: at, On: on}
	switch n := g.IntN(40); {
	case on == "second" && n < 20:
		a = g.creation(on, at)
	case n < 6:
		a.Do, a.For = "rotate", pick(g.chance, -1, -1, 0, hour, 2*day, 30*day)
	case n < 10:
		a.Do = "emergency"
	case n < 13:
		if a.Do, a.N = "schedule", pick(g.chance, 1, 7, 30, 90, 365); g.h.Horizon > 80*day {
			a.N = max(a.N, 30)
		}
	case n < 15:
		a.Do, a.For = "grace", g.grace()
	case n < 22:
		a.Do, a.What = "credentials", pick(g.chance, "same", "same", "same", "published", "new", "new", "new+key", "removed", "unhinted")
		if on == "target" || on == "other" {
			a.On = "parent"
		}
	case n < 24:
		a.Do = "rotation-on"
	case n < 26:
		a.Do = "rotation-off"
	case n < 29:
		a.Do = "abandon"
	case n < 31:
		a.Do, a.What = "dry-run", pick(g.chance, "rotate", "emergency")
	case n < 34:
		a.Do, a.What = "delete", pick(g.chance, "keep", "revoke")
		if !g.oneIn(6) { // mostly it is made again
			g.add(g.creation(on, at+pick(g.chance, time.Second, 30*time.Second, 5*minute, hour, 3*day)))
		}
	case n < 36:
		a.Do, a.What = "rename", pick(g.chance, "a", "b")
	default:
		a = g.creation(pick(g.chance, on, on, g.slot()), at)
	}
	g.add(a)
}

// Calls that faults are put on. The adapters make each of them once and send it once.
var (
	writes = []string{
		"graph.add", "graph.add", "graph.remove", "graph.remove", "vault.publish", "vault.publish", "vault.publish", "vault.stage",
		"vault.stage",
		"vault.disable", "vault.delete", "store.commit", "store.commit", "store.create", "store.remove", "store.reserve", "store.release",
	}
	reads = []string{"store.load", "vault.get", "vault.list", "graph.read", "entra.token", "store.due"}
)

func (g *generator) fault(at time.Duration) {
	a := Action{At: at, Do: "fault", What: pick(g.chance, writes...), Mode: pick(g.chance, "lost", "applied", "late", "late",
		"crash-before", "crash-after"), N: g.IntN(3)}
	if g.oneIn(8) {
		a.What, a.Mode = pick(g.chance, reads...), "lost"
	}
	if a.Mode == "late" {
		a.For = g.between(time.Second, pick(g.chance, minute, 4*minute, 10*minute))
	}
	g.add(a)
}

func (g *generator) weather(at time.Duration) {
	kinds := []string{
		"graph-no-add", "graph-no-remove", "graph-no-remove", "graph-throttled", "graph-down", "vault-read-only", "vault-no-disable",
		"vault-no-disable",
		"vault-down", "table-down", "entra-disabled", "entra-conditional", "entra-down", "lag", "flap",
	}
	if g.more() {
		kinds = append(kinds, "entra-missing", "entra-missing", "entra-missing")
	}
	g.add(Action{
		At: at, Do: "weather", On: g.slot(), What: pick(g.chance, kinds...),
		For: g.between(2*minute, pick(g.chance, 20*minute, 3*hour, 30*hour, 4*day, 8*day)),
	})
}

func (g *generator) policy(at time.Duration) {
	if g.oneIn(3) {
		g.add(Action{At: at, Do: "policy", What: "forbidden", On: g.slot(), For: g.between(hour, 5*day)})
		return
	}
	g.add(Action{At: at, Do: "policy", What: "lifetime", On: g.slot(), N: pick(g.chance, 7, 14, 30, 60, 90, 180), For: pick(g.chance, 0,
		3*day, 20*day)})
}

// more reports whether the history may have an application that is deleted in Entra and restored, and staged versions
// that an operator disables. What the seeds of KnownKinds draw stays as it was.
func (g *generator) more() bool { return g.h.Seed%5 == 4 }

func (g *generator) operator(at time.Duration) {
	a := Action{At: at, Do: "operator", On: g.slot()}
	kinds := []string{"remove-current", "remove-old", "add", "add-unhinted", "disable-published", "soft-delete", "publish", "crash"}
	if g.more() {
		kinds = append(kinds, "disable-staged", "disable-staged")
	}
	a.What = pick(g.chance, kinds...)
	if a.What == "soft-delete" {
		a.For = g.between(minute, 2*day)
	}
	g.add(a)
}
