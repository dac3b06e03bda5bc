package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type options struct {
	all, list, baseline bool
	timeout             time.Duration
}

// memory is what the tests of one package may take, in KiB of data (a browser has more than that of address space): a mutant that
// loops may collect something. The tests as they are take a fraction of it.
const memory = 6 << 20

// mutate applies each mutation and writes to w what notices it. code is the exit code.
func mutate(ctx context.Context, w io.Writer, root string, subjects []subject, o options) (code int, err error) {
	if err := check(root, subjects); err != nil {
		return 0, err
	}
	if o.list {
		return 0, list(w, subjects)
	}
	r := runner{root: root, slow: map[string][]string{}, options: o}
	if r.dir, err = os.MkdirTemp("", "mutate"); err != nil {
		return 0, fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(r.dir)
	if o.baseline {
		if err := r.green(ctx, subjects); err != nil {
			return 0, err
		}
	}
	var noticed, equivalent, survived, wrong int
	for _, s := range subjects {
		fmt.Fprintf(w, "%s\n", s.name)
		for i := range s.mutations {
			m := &s.mutations[i]
			by, err := r.try(ctx, m)
			switch {
			case ctx.Err() != nil:
				return 0, ctx.Err()
			case err != nil:
				wrong++
				fmt.Fprintf(w, "  BROKEN      %-4s %s\n%v\n", m.rule, m.name, err)
			case by != "" && m.equivalent != "":
				wrong++
				fmt.Fprintf(w, "  NOT EQUIVALENT %s %s\n              noticed by %s\n", m.rule, m.name, by)
			case by != "":
				noticed++
				fmt.Fprintf(w, "  noticed     %-4s %s\n              by %s\n", m.rule, m.name, by)
			case m.equivalent != "":
				equivalent++
				fmt.Fprintf(w, "  equivalent  %-4s %s\n              %s\n", m.rule, m.name, m.equivalent)
			default:
				survived++
				fmt.Fprintf(w, "  SURVIVED    %-4s %s\n              %s: %s\n", m.rule, m.name, m.file, m.old)
			}
		}
	}
	all := noticed + equivalent + survived + wrong
	fmt.Fprintf(w, "%d mutants: %d noticed, %d equivalent, %d survived, %d broken or wrongly marked\n",
		all, noticed, equivalent, survived, wrong)
	if survived+wrong > 0 {
		code = 1
	}
	return code, nil
}

// list names the mutations.
func list(w io.Writer, subjects []subject) error {
	n := 0
	for _, s := range subjects {
		for _, m := range s.mutations {
			n++
			fmt.Fprintf(w, "%-12s %-4s %s\n", s.name, m.rule, m.name)
		}
	}
	_, err := fmt.Fprintf(w, "%d mutants\n", n)
	return err
}

type runner struct {
	root, dir string
	slow      map[string][]string // by package, the tests that take long
	options
}

// green makes sure that the tests are green without a defect.
func (r *runner) green(ctx context.Context, subjects []subject) error {
	done := map[string]bool{}
	for _, s := range subjects {
		for i := range s.mutations {
			for _, pkg := range s.mutations[i].packages() {
				if done[pkg] {
					continue
				}
				done[pkg] = true
				if err := r.greenPackage(ctx, pkg); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// greenPackage makes sure of one package, and takes note of the tests that take long.
func (r *runner) greenPackage(ctx context.Context, pkg string) error {
	binary := filepath.Join(r.dir, "package.test")
	if err := r.build(ctx, "", pkg, binary); err != nil {
		return err
	}
	out, failed, err := r.run(ctx, binary, pkg, nil)
	if err == nil && failed {
		err = fmt.Errorf("without any defect, the tests of %s fail: %s\n%s", pkg, failures(out), out)
	}
	r.slow[pkg] = slowest(out)
	return err
}

// try applies one mutation and returns what notices it; empty: nothing does.
func (r *runner) try(ctx context.Context, m *mutation) (by string, err error) {
	overlay, err := r.overlay(m)
	if err != nil {
		return "", err
	}
	var all []string
	for _, pkg := range m.packages() {
		by, err := r.test(ctx, overlay, pkg)
		if err != nil {
			return "", fmt.Errorf("%q: %w", m.name, err)
		}
		if by != "" {
			all = append(all, strings.TrimPrefix(pkg, "./")+": "+by)
		}
		if by != "" && !r.all {
			break
		}
	}
	return strings.Join(all, "; "), nil
}

// overlay writes the changed file, and what tells the compiler of it.
func (r *runner) overlay(m *mutation) (path string, err error) {
	src, err := m.apply(r.root)
	if err != nil {
		return "", err
	}
	whole, err := filepath.Abs(filepath.Join(r.root, m.file))
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", m.file, err)
	}
	mutant := filepath.Join(r.dir, "mutant.go")
	index, err := json.Marshal(map[string]any{"Replace": map[string]string{whole: mutant}})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	path = filepath.Join(r.dir, "overlay.json")
	if err := errors.Join(os.WriteFile(mutant, src, 0o600), os.WriteFile(path, index, 0o600)); err != nil {
		return "", fmt.Errorf("writing the mutant: %w", err)
	}
	return path, nil
}

// test builds and runs the tests of one package and returns what fails. Those that take
// long come last.
func (r *runner) test(ctx context.Context, overlay, pkg string) (by string, err error) {
	binary := filepath.Join(r.dir, "package.test")
	if err := r.build(ctx, overlay, pkg, binary); err != nil {
		return "", err
	}
	parts := [][]string{nil}
	if slow := r.slow[pkg]; len(slow) > 0 {
		these := "^(" + strings.Join(slow, "|") + ")$"
		parts = [][]string{{"-test.skip=" + these}, {"-test.run=" + these}}
	}
	var all []string
	for _, args := range parts {
		out, failed, err := r.run(ctx, binary, pkg, args)
		if err != nil {
			return "", err
		}
		if failed {
			all = append(all, failures(out))
		}
		if failed && !r.all {
			break
		}
	}
	return strings.Join(all, ", "), nil
}

// build builds the tests of one package.
func (r *runner) build(ctx context.Context, overlay, pkg, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", binary, pkg)
	cmd.Dir = r.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("building the tests of %s: %w\n%s", pkg, err, out), ctx.Err())
	}
	return nil
}

// run runs tests that are built.
func (r *runner) run(ctx context.Context, binary, pkg string, args []string) (out []byte, failed bool, err error) {
	// Where the shell can't bound the memory, the time does.
	script := fmt.Sprintf(`ulimit -d %d 2>/dev/null; exec "$@"`, memory)
	cmd := exec.CommandContext(ctx, "sh", "-c", script, "sh", binary, "-test.timeout="+r.timeout.String(), "-test.v")
	cmd.Args = append(cmd.Args, args...)
	if !r.all {
		cmd.Args = append(cmd.Args, "-test.failfast")
	}
	cmd.Dir = filepath.Join(r.root, pkg)
	cmd.WaitDelay = 10 * time.Second
	out, err = cmd.CombinedOutput()
	_, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case err != nil && !exited:
		return nil, false, fmt.Errorf("running the tests of %s: %w", pkg, err)
	}
	return out, err != nil, nil
}

// passed is a line of the output of a test that passed, with the seconds that it took.
var passed = regexp.MustCompile(`(?m)^--- PASS: (\w+) \(([0-9.]+)s\)$`)

// slowest are the tests that take most of the time of their package.
func slowest(out []byte) (names []string) {
	total, took := 0.0, map[string]float64{}
	for _, m := range passed.FindAllSubmatch(out, -1) {
		seconds, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			continue
		}
		took[string(m[1])] = seconds
		total += seconds
	}
	for name, seconds := range took {
		if seconds > total/10 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// failures names what failed, by the output of the tests.
func failures(out []byte) string {
	var names []string
	for line := range bytes.Lines(out) {
		name, ok := strings.CutPrefix(string(line), "--- FAIL: ")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case bytes.Contains(out, []byte("panic: test timed out")):
		names = append(names, "(it did not end)")
	case len(names) == 0:
		names = append(names, "(the tests ended early)") // out of memory, a deadlock
	}
	const shown = 4
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
