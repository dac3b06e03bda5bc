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
	"slices"
	"strings"
	"time"
)

type options struct {
	all, list, baseline bool
	timeout             time.Duration
}

// memory is what the tests of one package may take, in KiB of address space: a mutant that
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
	r := runner{root: root, options: o}
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
			if err != nil {
				return 0, err
			}
			switch {
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
	fmt.Fprintf(w, "%d mutants: %d noticed, %d equivalent, %d survived, %d wrongly marked\n", all, noticed, equivalent, survived, wrong)
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
				by, err := r.test(ctx, "", pkg)
				if err == nil && by != "" {
					err = fmt.Errorf("without any defect, the tests of %s fail: %s", pkg, by)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
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

// test builds and runs the tests of one package and returns what fails.
func (r *runner) test(ctx context.Context, overlay, pkg string) (by string, err error) {
	binary := filepath.Join(r.dir, "package.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", binary, pkg)
	build.Dir = r.root
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("building the tests of %s: %w\n%s", pkg, err, out), ctx.Err())
	}
	// Where the shell can't bound the memory, the time does.
	script := fmt.Sprintf(`ulimit -v %d 2>/dev/null; exec "$@"`, memory)
	run := exec.CommandContext(ctx, "sh", "-c", script, "sh", binary, "-test.timeout="+r.timeout.String())
	if !r.all {
		run.Args = append(run.Args, "-test.failfast")
	}
	run.Dir = filepath.Join(r.root, pkg)
	run.WaitDelay = 10 * time.Second
	out, err := run.CombinedOutput()
	switch _, exited := errors.AsType[*exec.ExitError](err); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return "", nil
	case !exited:
		return "", fmt.Errorf("running the tests of %s: %w", pkg, err)
	}
	return failures(out), nil
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
