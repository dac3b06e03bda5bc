// Package docs reads the pages of this repository as a reader with a terminal does, and says
// where they mislead.
//
// A page can't be compiled, and its commands can't be run at every change, since they need a tenant.
// [Check] promises what can be known without one: a shell block parses; every command in a page is
// one that its tool has, with options that it has and those that it demands; every variable of a
// shell block was set before it; a setting is one that the program or its platform reads, and every
// setting of the program is told; links, make targets and files exist; JSON and HCL parse. What the
// program itself tells people to run is checked for commands and options.
//
// What tools and platforms have is listed in commands.yaml and names.yaml, each entry with the
// reference that it was read in. They list what the pages use and nothing else: an entry that no
// page uses is a finding too.
package docs

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Finding is one place where a page misleads, and what to do.
type Finding struct {
	Page string // its path from the root of the repository
	Line int    // 0 if the finding is of the page as a whole
	Text string
}

// String is the finding as compilers write theirs.
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.Page, f.Line, f.Text) }

// checker holds what the rules share.
type checker struct {
	files     fs.FS
	reference Reference
	commands  commands
	tree      tree
	makefile  string
	pages     map[string]*page           // those of the list, and what their links lead to
	variables map[string]map[string]bool // by page: the shell variables that it sets
	told      map[string]bool            // the settings that a page names
	used      map[string]bool            // the entries of the reference that a page uses
	findings  []Finding
}

// Check returns what is wrong with the pages of the repository in files, by page and line. The error
// is about files and reference, not about what the pages say.
func Check(files fs.FS, reference Reference) ([]Finding, error) {
	c := &checker{files: files, reference: reference, pages: map[string]*page{}, variables: map[string]map[string]bool{},
		told: map[string]bool{}, used: map[string]bool{}}
	makefile, err := fs.ReadFile(files, "Makefile")
	if err != nil {
		return nil, fmt.Errorf("reading the make targets: %w", err)
	}
	c.makefile = string(makefile)
	if c.commands, err = index(reference.Commands); err != nil {
		return nil, err
	}
	if c.tree, err = readTree(files); err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(reference.Settings, reference.Files) {
		if !strings.HasPrefix(name.Source, "https://") && (name.Source == "" || !c.tree.has(name.Source)) {
			return nil, fmt.Errorf("the name %q has no source: give the https address of its reference, or a file of the repository", name.Name)
		}
	}
	for _, name := range c.tree.pages() {
		if err := c.check(name); err != nil {
			return nil, err
		}
	}
	if err := c.checkProgram(); err != nil {
		return nil, err
	}
	c.checkTold()
	c.checkUnused()
	slices.SortStableFunc(c.findings, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Page, b.Page), cmp.Compare(a.Line, b.Line)) })
	return slices.Compact(c.findings), nil
}

// check applies every rule to one page, part by part in the order of the page.
func (c *checker) check(name string) error {
	p, err := c.page(name)
	if err != nil {
		return err
	}
	known := scope{set: map[string]bool{}, exported: map[string]bool{}}
	for _, part := range p.parts {
		switch part.kind {
		case block:
			c.checkBlock(p, part, known)
			c.checkSettings(p, part)
		case span:
			c.checkSpan(p, part, known)
			c.checkPath(p, part)
			c.checkSettings(p, part)
		case link:
			c.checkLink(p, part)
		case variable:
			known.set[part.text] = true
		case imported:
			known.add(c.variablesOf(part.text))
		}
	}
	return nil
}

// report notes a finding at a line of a page.
func (c *checker) report(p *page, line int, format string, args ...any) {
	c.findings = append(c.findings, Finding{Page: p.path, Line: line, Text: fmt.Sprintf(format, args...)})
}
