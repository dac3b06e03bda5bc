package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/shared/simulation"
)

var (
	first  = flag.Uint64("seed", 1, "the first seed of TestManyHistories")
	number = flag.Int("n", 0, "how many histories TestManyHistories plays")
	tries  = flag.Int("shrink", 400, "how many histories shrinking may play for each kind; 0: nothing is shrunk")
	all    = flag.Bool("all", false, "shrink the kinds that are known, too")
	plan   = flag.String("plan", "", "a file with a history that TestPlan plays; its trace is printed with -v")
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // many short lives
	os.Exit(m.Run())
}

// outcome is what many histories showed.
type outcome struct {
	mu    sync.Mutex
	kinds map[string]*sighting
	hours float64
	calls int
	cut   int
}

// sighting is a kind of violation in many histories.
type sighting struct {
	first simulation.Violation
	seed  uint64 // the lowest
	times int
}

// playMany plays histories on all processors.
func playMany(t *testing.T, first uint64, n int) *outcome {
	o := &outcome{kinds: map[string]*sighting{}}
	workers := runtime.GOMAXPROCS(0)
	t.Run("play", func(t *testing.T) {
		for k := range workers {
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				t.Parallel()
				for i := k; i < n; i += workers {
					seed := first + uint64(i)
					o.add(seed, simulation.Play(t, simulation.New(seed)))
				}
			})
		}
	})
	return o
}

func (o *outcome) add(seed uint64, r simulation.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hours += r.Span.Hours()
	o.calls += r.Calls
	if r.Cut {
		o.cut++
	}
	for _, v := range r.Violations {
		s := o.kinds[v.Kind]
		if s == nil {
			s = &sighting{first: v, seed: seed}
			o.kinds[v.Kind] = s
		}
		if s.times++; seed < s.seed {
			s.first, s.seed = v, seed
		}
	}
}

// sorted returns the kinds by the seed that showed them first.
func (o *outcome) sorted() (kinds []string) {
	for kind := range o.kinds {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if c := int(int64(o.kinds[a].seed) - int64(o.kinds[b].seed)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return kinds
}

// TestTheFixedHistories plays the same histories each time. What they break today is listed
// in [simulation.KnownKinds], which must say neither less nor more.
func TestTheFixedHistories(t *testing.T) {
	o := playMany(t, 1, fixed)
	t.Logf("%d histories, %.0f simulated years, %d calls, %d cut short", fixed, o.years(), o.calls, o.cut)
	for _, kind := range o.sorted() {
		shown := func(k simulation.Known) bool { return k.Kind == kind && k.Seed <= fixed }
		if s := o.kinds[kind]; !slices.ContainsFunc(simulation.KnownKinds, shown) {
			t.Errorf("a new kind of violation, %s, in %d histories, first with seed %d: %s", kind, s.times, s.seed, s.first.Detail)
		}
	}
	for _, k := range simulation.KnownKinds {
		if k.Seed <= fixed && o.kinds[k.Kind] == nil {
			t.Errorf("%s (%s) is not found any more: if that has been mended, take it off the list", k.Kind, k.What)
		}
	}
}

func known(kind string) bool {
	return slices.ContainsFunc(simulation.KnownKinds, func(k simulation.Known) bool { return k.Kind == kind })
}

func (o *outcome) years() float64 { return o.hours / 24 / 365.25 }

// TestManyHistories is what `make simulation` runs: it fails if it finds a kind that is not
// known, and prints the shortest history that shows it.
func TestManyHistories(t *testing.T) {
	if *number == 0 {
		t.Skip("only for make simulation: -n says how many histories")
	}
	start := time.Now()
	o := playMany(t, *first, *number)
	fmt.Printf("%d histories from seed %d, %.0f simulated years, %d calls, %d cut short, %.0f s\n", *number, *first, o.years(), o.calls,
		o.cut, time.Since(start).Seconds())
	for _, kind := range o.sorted() {
		s := o.kinds[kind]
		new := " NEW"
		if known(kind) {
			new = ""
		}
		fmt.Printf("%-20s %5d histories, first seed %d (after %d)%s: %s\n", kind, s.times, s.seed, s.seed-*first+1, new, s.first.Detail)
	}
	for _, kind := range o.sorted() {
		if known(kind) && !*all {
			continue
		}
		s := o.kinds[kind]
		if !known(kind) {
			t.Errorf("%s is new: seed %d", kind, s.seed)
		}
		short := simulation.Shrink(t, simulation.New(s.seed), kind, *tries)
		v, _ := simulation.Play(t, short).Broke(kind)
		fmt.Printf("\n# %s, seed %d, shrunk; at %s: %s\n%s", kind, s.seed, v.At, v.Detail, short)
	}
}

// TestPlan plays a history from a file.
func TestPlan(t *testing.T) {
	if *plan == "" {
		t.Skip("only with -plan: the file to play")
	}
	text, err := os.ReadFile(*plan)
	if err != nil {
		t.Fatal(err)
	}
	h, err := simulation.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var o simulation.Options
	if testing.Verbose() {
		o.Lines = func(line string) { fmt.Println(line) }
	}
	for _, v := range simulation.PlayWith(t, h, o).Violations {
		fmt.Printf("%s at %s: %s\n", v.Kind, v.At, v.Detail)
	}
}
