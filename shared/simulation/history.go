package simulation

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// History is what happens in one simulation.
type History struct {
	Seed      uint64        // of latencies, ids and replication
	Shape     string        // see the Shape... constants
	Instances int           // of Rekey
	Skew      time.Duration // between the first and the last instance's clock
	Lag       time.Duration // replicas show a change after at most this long
	Personal  bool          // the application has room for two client secrets
	Horizon   time.Duration // when the faults stop
	Actions   []Action      // by At
}

// The shapes: how the connection of a history authenticates.
const (
	ShapeOwn         = "own"         // it rotates its own client secret
	ShapeCertificate = "certificate" // a parent with a certificate, and targets
	ShapeOAuth       = "oauth"       // a person's sign-in, and targets
	ShapeSecret      = "secret"      // a client secret of another application, and targets
)

// Action is one thing that happens.
type Action struct {
	At   time.Duration // since the beginning
	Do   string        // see act.go and weather.go
	On   string        // connection: own, second, parent, target, other
	What string        // of a fault: the call; of weather: its kind; of a request: its variant
	Mode string        // of a fault: lost, applied, late, crash-before, crash-after
	For  time.Duration // duration, grace period or delay
	N    int           // days, a number of calls to let pass, or an index
}

// String is a line of [Parse].
func (a Action) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", a.At, a.Do)
	for _, f := range []struct{ name, value string }{{"on", a.On}, {"what", a.What}, {"mode", a.Mode}} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%s", f.name, f.value)
		}
	}
	if a.For != 0 {
		fmt.Fprintf(&b, " for=%s", a.For)
	}
	if a.N != 0 {
		fmt.Fprintf(&b, " n=%d", a.N)
	}
	return b.String()
}

// String is the text that [Parse] reads: the world, then one line per action.
func (h History) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "world seed=%d shape=%s instances=%d skew=%s lag=%s personal=%t horizon=%s\n", h.Seed, h.Shape, h.Instances, h.Skew,
		h.Lag, h.Personal, h.Horizon)
	for _, a := range h.Actions {
		b.WriteString(a.String() + "\n")
	}
	return b.String()
}

// Parse reads a history. Empty lines and lines that begin with # are left out.
func Parse(text string) (h History, err error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if fields[0] == "world" {
			err = h.parseWorld(fields[1:])
		} else {
			var a Action
			a, err = parseAction(fields)
			h.Actions = append(h.Actions, a)
		}
		if err != nil {
			return h, fmt.Errorf("parsing line %d: %w", n, err)
		}
	}
	if h.Shape == "" || h.Instances < 1 {
		return h, fmt.Errorf("parsing a history: the line %q is missing", "world seed= shape= instances= ...")
	}
	slices.SortStableFunc(h.Actions, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return h, nil
}

func (h *History) parseWorld(fields []string) (err error) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "seed":
			h.Seed, err = strconv.ParseUint(value, 10, 64)
		case "shape":
			h.Shape = value
		case "instances":
			h.Instances, err = strconv.Atoi(value)
		case "skew":
			h.Skew, err = time.ParseDuration(value)
		case "lag":
			h.Lag, err = time.ParseDuration(value)
		case "personal":
			h.Personal, err = strconv.ParseBool(value)
		case "horizon":
			h.Horizon, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("%q is none of the world's fields", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseAction(fields []string) (a Action, err error) {
	if len(fields) < 2 {
		return a, fmt.Errorf("an action needs a time and a word")
	}
	if a.At, err = time.ParseDuration(fields[0]); err != nil {
		return a, err
	}
	a.Do = fields[1]
	for _, f := range fields[2:] {
		name, value, _ := strings.Cut(f, "=")
		switch name {
		case "on":
			a.On = value
		case "what":
			a.What = value
		case "mode":
			a.Mode = value
		case "for":
			a.For, err = time.ParseDuration(value)
		case "n":
			a.N, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%q is none of an action's fields", name)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}
