package docs

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Command is what a tool's reference says of one of its commands.
type Command struct {
	// Command is the tool and its subcommands: "az ad app create".
	Command string
	// Source is the address of the reference.
	Source string
	// Group says that it is not a command, but has options that all commands below it take.
	Group bool
	// Options are its options: "--append" takes nothing, "--id=" a value, "--settings=..." one value or
	// more, "--show[=]" a value or nothing.
	Options []string
	// Required are the options without which it does nothing useful; alternatives, such as a
	// short form, are separated by spaces, and one of them is enough.
	Required []string
	// Ordered says that what stands after the first other word is no option.
	Ordered bool
	// Arguments is how many words it takes besides; less than 0 is any number.
	Arguments int
}

// takes is how many values an option has.
type takes int

const (
	nothing takes = iota
	perhaps
	one
	several
)

// commands finds entries by their words.
type commands struct {
	entries map[string]Command
	groups  map[string]bool // what has commands below it: "az ad"
	options map[string]map[string]takes
}

// index checks the entries themselves.
func index(list []Command) (commands, error) {
	c := commands{entries: map[string]Command{}, groups: map[string]bool{}, options: map[string]map[string]takes{}}
	for _, entry := range list {
		name := entry.Command
		source, err := url.Parse(entry.Source)
		switch _, twice := c.entries[name]; {
		case name == "" || twice:
			return c, fmt.Errorf("the command %q is listed twice, or has no name", name)
		case err != nil || source.Scheme != "https" || source.Host == "":
			return c, fmt.Errorf("the command %q has no source: give the https address of its reference", name)
		}
		c.entries[name] = entry
		c.options[name] = map[string]takes{}
		for _, option := range entry.Options {
			bare, arity := arityOf(option)
			if !strings.HasPrefix(bare, "-") {
				return c, fmt.Errorf("the command %q has the option %q, which does not begin with a hyphen", name, option)
			}
			c.options[name][bare] = arity
		}
		parts := strings.Fields(name)
		for i := 1; i < len(parts); i++ {
			c.groups[strings.Join(parts[:i], " ")] = true
		}
	}
	for _, entry := range list {
		for _, alternatives := range entry.Required {
			for option := range strings.FieldsSeq(alternatives) {
				if _, ok := c.option(entry.Command, option); !ok {
					return c, fmt.Errorf("the command %q requires %q, which is none of its options", entry.Command, option)
				}
			}
		}
	}
	return c, nil
}

func arityOf(option string) (string, takes) {
	for _, form := range []struct {
		suffix string
		arity  takes
	}{{"[=]", perhaps}, {"=...", several}, {"=", one}} {
		if bare, ok := strings.CutSuffix(option, form.suffix); ok {
			return bare, form.arity
		}
	}
	return option, nothing
}

// tool reports whether a text begins with the name of a tool.
func (c commands) tool(text string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	_, entry := c.entries[first]
	return entry || c.groups[first] || first == "make"
}

// option looks an option up in a command and in what stands above it.
func (c commands) option(command, option string) (takes, bool) {
	for {
		if arity, ok := c.options[command][option]; ok {
			return arity, true
		}
		i := strings.LastIndexByte(command, ' ')
		if i < 0 {
			return nothing, false
		}
		command = command[:i]
	}
}

// split divides words into the name of a command, as far as it is known, and the rest. Options of
// groups stand within the name only with their value attached, as in terraform -chdir=a plan.
func (c commands) split(words []string) (name string, rest []string) {
	name, words = words[0], words[1:]
	for len(words) > 0 {
		longer := name + " " + words[0]
		_, entry := c.entries[longer]
		switch {
		case entry || c.groups[longer]:
			name = longer
		case c.groups[name] && strings.HasPrefix(words[0], "-") && strings.Contains(words[0], "="):
			rest = append(rest, words[0])
		default:
			return name, append(rest, words...)
		}
		words = words[1:]
	}
	return name, rest
}

// use marks an entry, and those above it.
func (c *checker) use(command string) {
	for parts := strings.Fields(command); len(parts) > 0; parts = parts[:len(parts)-1] {
		c.used[strings.Join(parts, " ")] = true
	}
}

// checkUnused reports entries of the reference that no page uses.
func (c *checker) checkUnused() {
	unused := func(page, entry string) {
		if !c.used[entry] {
			c.findings = append(c.findings, Finding{Page: page, Text: fmt.Sprintf("no page uses %q: remove the entry", entry)})
		}
	}
	for _, entry := range c.reference.Commands {
		unused("infra/docs/commands.yaml", entry.Command)
	}
	for _, entry := range slices.Concat(c.reference.Settings, c.reference.Files) {
		if !c.told[entry.Name] {
			unused("infra/docs/names.yaml", entry.Name)
		}
	}
}
