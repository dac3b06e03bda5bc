// Command bench measures Rekey and prints a table and JSON: what a cold start costs
// beside an empty server, what a rotation adds to the calls that it needs, what a
// timer pass asks for among ever more connections, what it does with a thousand due at
// once, and what a page of a list costs among ever more connections. `make bench` runs it on the staged handler.
//
// Its numbers are of emulated services on this machine: they say what Rekey itself
// costs, not how fast Entra is.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"
)

// result is one line: what was measured, and how much.
type result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func main() {
	handler := flag.String("handler", "build/azure/handler", "the staged handler; make stage makes it")
	largest := flag.Int("largest", 1_000_000, "most connections for the timer pass")
	due := flag.Int("due", 1000, "connections due at once")
	only := flag.String("only", "", "the part to measure, such as list; empty: all of them")
	out := flag.String("json", "build/bench.json", "where the JSON goes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *handler, *largest, *due, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, handler string, largest, due int, only, out string) error {
	var all []result
	for _, part := range []struct {
		name    string
		measure func() ([]result, error)
	}{
		{"cold start", func() ([]result, error) { return coldStart(ctx, handler) }},
		{"one rotation", func() ([]result, error) { return oneRotation(ctx) }},
		{"list", func() ([]result, error) { return listPages(ctx, handler) }},
		{"timer pass", func() ([]result, error) { return timerPass(ctx, largest) }},
		{"many due", func() ([]result, error) { return manyDue(ctx, handler, due) }},
	} {
		if only != "" && only != part.name {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", part.name)
		results, err := part.measure()
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		all = append(all, results...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range all {
		fmt.Fprintf(w, "%s\t%.4g\t%s\t\n", r.Name, r.Value, r.Unit)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	return os.WriteFile(out, append(data, '\n'), 0o644)
}
