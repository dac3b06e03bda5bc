package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutation is one small defect.
type mutation struct {
	name string // what the defect does
	rule string // the rule or promise that it breaks
	file string // from the root of the module
	old  string // occurs in file exactly once
	new  string

	tests      []string // the packages that may notice, the quickest first; none: those of the core
	equivalent string   // why no test can notice; empty: one has to
}

// core are the packages whose tests are about the protocol, the quickest first.
var core = []string{"./shared/rotation", "./shared/rotator", "./shared/rotationtest", "./shared/connection", "./shared/rebuild"}

func (m *mutation) packages() []string {
	if len(m.tests) > 0 {
		return m.tests
	}
	return core
}

// apply returns the file with the defect in it.
func (m *mutation) apply(root string) ([]byte, error) {
	src, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", m.name, err)
	}
	switch n := strings.Count(string(src), m.old); {
	case m.old == "" || m.old == m.new:
		return nil, fmt.Errorf("%q changes nothing", m.name)
	case n != 1:
		return nil, fmt.Errorf("%q: its snippet is %d times in %s, and has to be there once:\n%s", m.name, n, m.file, m.old)
	}
	return []byte(strings.Replace(string(src), m.old, m.new, 1)), nil
}

// subject is a part of the protocol, with the defects that are about it.
type subject struct {
	name      string
	mutations []mutation
}

// chosen returns the subjects with the mutations whose subject or name matches.
func chosen(all []subject, only *regexp.Regexp) (list []subject) {
	for _, s := range all {
		if !only.MatchString(s.name) {
			s.mutations = slices.DeleteFunc(slices.Clone(s.mutations), func(m mutation) bool { return !only.MatchString(m.name) })
		}
		if len(s.mutations) > 0 {
			list = append(list, s)
		}
	}
	return list
}

// check tells what is wrong with a table, without running anything.
func check(root string, all []subject) error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range all {
		for i := range s.mutations {
			m := &s.mutations[i]
			if _, err := m.apply(root); err != nil {
				errs = append(errs, err)
			}
			if seen[m.name] {
				errs = append(errs, fmt.Errorf("%q is listed twice", m.name))
			}
			seen[m.name] = true
			if m.name == "" || m.rule == "" {
				errs = append(errs, fmt.Errorf("%s: a mutation without a name or a rule: %q", s.name, m.old))
			}
		}
	}
	return errors.Join(errs...)
}
