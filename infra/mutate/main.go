// Command mutate applies small defects to the code, one at a time, and tells which tests
// notice. A defect that no test notices means that a promise is not tested.
//
// The tree itself is not touched: the compiler is given the changed file beside it
// (go build -overlay). Each defect is a textual replacement of a snippet that must be in
// its file exactly once, so that the table can't rot silently.
//
// It exits with 1 if a defect survives that is not marked as equivalent, or if one is
// noticed that is, or does not build; with 2 if something is wrong with the table or with the tests as they are.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	var o options
	names := flag.String("run", "", "apply only the mutants whose subject or name matches this `expression`")
	flag.BoolVar(&o.all, "all", false, "run all packages and all tests, to see everything that notices")
	flag.BoolVar(&o.baseline, "baseline", true, "make sure first that the tests are green without a defect")
	flag.BoolVar(&o.list, "list", false, "list the mutants, and run nothing")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Minute, "of one package's tests; a mutant may loop")
	flag.Parse()
	only, err := regexp.Compile(*names)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := mutate(ctx, os.Stdout, ".", chosen(table, only), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		code = 2
	}
	os.Exit(code)
}
