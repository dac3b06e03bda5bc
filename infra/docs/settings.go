package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Name is a name that no file of the repository defines.
type Name struct {
	Name   string
	Source string   // where its meaning is told
	Sets   []string // of a file that a shell reads: the variables that it sets
}

// Reference is what the pages are held against.
type Reference struct {
	Commands []Command
	Program  []string // the settings that the program reads
	Settings []Name   // the settings that its hosts and libraries read
	Files    []Name   // the files on a reader's machine
}

// setting is the form of a setting's name, or of its beginning.
var setting = regexp.MustCompile(`\b(?:REKEY|AZURE|WEBSITE|OTEL|AWS|INF_APP)_[A-Z0-9_]*|\bAzureWebJobs\w+`)

// checkSettings reports names that look like settings and are none. One that ends in an underscore
// stands for all that begin like it.
func (c *checker) checkSettings(p *page, code part) {
	for _, name := range setting.FindAllString(code.text, -1) {
		if c.tell(name) || c.variablesOf(p.path)[name] {
			continue
		}
		c.report(p, code.line, "%s is no setting of the program, and none of infra/docs/names.yaml: correct it, or add it there with its "+
			"source", name)
	}
	if code.kind == span {
		c.checkShort(p, code)
	}
}

// settings are the names of all settings.
func (c *checker) settings() []string {
	names := slices.Clone(c.reference.Program)
	for _, other := range c.reference.Settings {
		names = append(names, other.Name)
	}
	return names
}

// tell marks the settings that a name stands for, and reports whether there is one.
func (c *checker) tell(name string) bool {
	found := false
	for _, other := range c.settings() {
		if other == name || strings.HasSuffix(name, "_") && strings.HasPrefix(other, name) {
			c.told[other], found = true, true
		}
	}
	return found
}

// short is the rest of a setting whose beginning is that of the one before it.
var short = regexp.MustCompile(`^(?:…|\.\.\.)?(_[A-Z0-9_]+)$`)

// checkShort finds the settings that a shortened name stands for: `REKEY_VERIFY_SPACING`, `_MIN_AGE`.
func (c *checker) checkShort(p *page, code part) {
	m := short.FindStringSubmatch(code.text)
	if m == nil {
		return
	}
	found := false
	for _, before := range p.parts {
		if before.kind != span || before.group != code.group {
			continue
		}
		for _, name := range c.settings() {
			if begin, ok := strings.CutSuffix(name, m[1]); ok && strings.HasPrefix(before.text, begin+"_") {
				found = c.tell(name) || found
			}
		}
	}
	if !found {
		c.report(p, code.line, "%s ends no setting that begins like one in the same paragraph", code.text)
	}
}

// checkTold reports the settings of the program that no page names.
func (c *checker) checkTold() {
	for _, name := range c.reference.Program {
		if !c.told[name] {
			c.findings = append(c.findings, Finding{Page: "README.md", Text: fmt.Sprintf("no page tells the setting %s: describe it", name)})
		}
	}
}

// sourced are the variables that a file of the reader sets for the shell that reads it.
func (c *checker) sourced(file string) []string {
	i := slices.IndexFunc(c.reference.Files, func(n Name) bool { return n.Name == file })
	if i < 0 {
		return nil
	}
	c.used[file] = true
	return c.reference.Files[i].Sets
}
