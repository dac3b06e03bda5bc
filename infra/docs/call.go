package docs

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// invocation is a command as a page writes it.
type invocation struct {
	words  []string
	inline bool // within a sentence
}

// shortened reports whether the page says that it left something out.
func (i invocation) shortened() bool { return slices.Contains(i.words, "…") }

// builtins are the commands that the shell has itself.
var builtins = []string{".", ":", "[", "cd", "echo", "eval", "exit", "export", "false", "printf", "read", "return", "set", "shift",
	"source", "test", "trap", "true", "type", "umask", "unset", "wait"}

// subcommand is the form of one.
var subcommand = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// checkCall checks one command against the reference of its tool.
func (c *checker) checkCall(p *page, line int, call invocation, known scope) {
	tool := call.words[0]
	switch {
	case strings.Contains(tool, expansion) || slices.Contains(builtins, tool) || known.set[function+tool]:
		return
	case tool == "make":
		c.checkMake(p, line, call.words[1:])
		return
	}
	c.checkFiles(p, line, call.words)
	if strings.HasPrefix(tool, "./") {
		return
	}
	name, rest := c.commands.split(call.words)
	entry, ok := c.commands.entries[name]
	if !ok || entry.Group {
		if call.inline && len(rest) == 0 && c.commands.groups[name] {
			return // the page names a group, not a command
		}
		for c.commands.groups[tool] && len(rest) > 0 && subcommand.MatchString(rest[0]) {
			name, rest = name+" "+rest[0], rest[1:]
		}
		c.report(p, line, "the command %q is not in infra/docs/commands.yaml: look it up in its tool's reference, and mend the page, or add it "+
			"there with its options and source", name)
		return
	}
	c.use(name)
	if !call.inline && call.shortened() {
		c.report(p, line, "%s: a block leaves nothing out: write the command in full", name)
	}
	a := c.parse(p, line, entry, rest)
	if call.inline && (len(rest) == 0 || call.shortened()) {
		return // it is named only
	}
	c.checkGiven(p, line, entry, a)
	c.checkJSON(p, line, name, a)
}

// given is what a command was given: its options with the values of each, and the other words.
type given struct {
	options map[string][]string
	words   []string
}

// parse reads the words after a command's name as its tool would.
func (c *checker) parse(p *page, line int, entry Command, rest []string) given {
	g := given{options: map[string][]string{}}
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		if word == "--" {
			g.words = append(g.words, rest...)
			break
		}
		if !strings.HasPrefix(word, "-") || word == "-" || entry.Ordered && len(g.words) > 0 {
			g.words = append(g.words, word)
			continue
		}
		option, value, attached := c.optionOf(entry.Command, word)
		arity, ok := c.commands.option(entry.Command, option)
		if !ok {
			c.report(p, line, "%s has no option %s (%s)", entry.Command, option, entry.Source)
			continue
		}
		values := []string{}
		switch {
		case attached && arity == nothing:
			c.report(p, line, "the option %s of %s takes no value", option, entry.Command)
		case attached:
			values = append(values, value)
		case arity != nothing:
			n := 0
			for n < len(rest) && (n == 0 || arity == several) && (rest[n] == "-" || !strings.HasPrefix(rest[n], "-")) {
				n++
			}
			if n == 0 && arity != perhaps {
				c.report(p, line, "the option %s of %s takes a value, and none follows", option, entry.Command)
			}
			values, rest = rest[:n], rest[n:]
		}
		g.options[option] = append(g.options[option], values...)
	}
	return g
}

// optionOf reads --option=value, -option=value, and one-letter options in one word: of those it is the
// first that is unknown, else the last.
func (c *checker) optionOf(command, word string) (option, value string, attached bool) {
	option, value, attached = strings.Cut(word, "=")
	if _, ok := c.commands.option(command, option); ok || strings.HasPrefix(word, "--") || len(word) <= 2 {
		return option, value, attached
	}
	for i, letter := range word[1:] {
		arity, ok := c.commands.option(command, "-"+string(letter))
		last := i == len(word)-2
		switch {
		case !ok:
			return word, "", false
		case arity != nothing && !last:
			return "-" + string(letter), word[i+2:], true
		case last:
			return "-" + string(letter), "", false
		}
	}
	return word, "", false
}

// checkGiven reports what a command needs and has not, and the words that it has too many.
func (c *checker) checkGiven(p *page, line int, entry Command, g given) {
	for _, alternatives := range entry.Required {
		names := strings.Fields(alternatives)
		if !slices.ContainsFunc(names, func(name string) bool { _, ok := g.options[name]; return ok }) {
			c.report(p, line, "%s needs %s (%s)", entry.Command, strings.Join(names, " or "), entry.Source)
		}
	}
	if entry.Arguments >= 0 && len(g.words) > entry.Arguments {
		c.report(p, line, "%s takes no further word, such as %q: quote a value that has spaces", entry.Command,
			strings.ReplaceAll(g.words[entry.Arguments], expansion, "$…"))
	}
}

// checkFiles reports files of the repository that a command names and that there are not.
func (c *checker) checkFiles(p *page, line int, words []string) {
	for _, word := range words {
		if option, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(option, "-") {
			word = value
		}
		name := strings.TrimSuffix(strings.TrimPrefix(word, "./"), "/...")
		first, _, folders := strings.Cut(name, "/")
		if folders && c.tree.has(first) && pathForm.MatchString(name) && !c.tree.has(name) && !c.readers(name) {
			c.report(p, line, "there is no %s in the repository", word)
		}
	}
}

// bodies are the options whose value is JSON if it begins like it.
var bodies = []string{"-d", "--data", "--data-raw", "--data-binary", "--json", "--body", "--parameters", "--app-roles",
	"--required-resource-accesses"}

// checkJSON checks that values which look like JSON are it.
func (c *checker) checkJSON(p *page, line int, command string, g given) {
	for _, option := range bodies {
		for _, value := range g.options[option] {
			value = strings.TrimSpace(strings.ReplaceAll(value, expansion, "0"))
			if !strings.HasPrefix(value, "{") && !strings.HasPrefix(value, "[") {
				continue
			}
			if err := json.Unmarshal([]byte(value), new(any)); err != nil {
				c.report(p, line, "the JSON of %s %s does not parse: %v", command, option, err)
			}
		}
	}
}

var target = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)

// checkMake checks targets and variables against the Makefile.
func (c *checker) checkMake(p *page, line int, words []string) {
	for _, word := range words {
		name, _, assigned := strings.Cut(word, "=")
		switch {
		case word == "…":
		case assigned && !regexp.MustCompile(`\$\(`+regexp.QuoteMeta(name)+`\)|\b`+regexp.QuoteMeta(name)+`\s*\?=`).MatchString(c.makefile):
			c.report(p, line, "the Makefile uses no variable %s", name)
		case !assigned && !slices.ContainsFunc(target.FindAllStringSubmatch(c.makefile, -1), func(m []string) bool { return m[1] == word }):
			c.report(p, line, "the Makefile has no target %s", word)
		}
	}
}
