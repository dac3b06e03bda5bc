package docs

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"mvdan.cc/sh/v3/syntax"
)

// shells are the languages of blocks that a reader pastes into a shell.
var shells = []string{"sh", "bash", "shell", "console"}

// placeholder is what a reader would have to replace: a shell takes it for redirections.
var placeholder = regexp.MustCompile(`<[A-Za-z](?:[^<>\n]*[^<>\s])?>`)

// checkBlock checks a code block by its language.
func (c *checker) checkBlock(p *page, b part, known scope) {
	switch {
	case slices.Contains(shells, b.language):
		c.checkShell(p, b, known, false)
	case b.language == "json":
		if err := json.Unmarshal([]byte(b.text), new(any)); err != nil {
			c.report(p, b.line, "the JSON does not parse: %v", err)
		}
	case b.language == "hcl":
		if _, diagnostics := hclsyntax.ParseConfig([]byte(b.text), p.path, hcl.Pos{Line: b.line}); diagnostics.HasErrors() {
			c.report(p, b.line, "the HCL does not parse: %v", diagnostics)
		}
	case b.language == "" && c.commands.tool(b.text):
		c.report(p, b.line, "a block that begins with a command is one of the language sh: fence it with ```sh, so that it is checked")
	}
}

// checkSpan checks code within a sentence if it begins with a tool and says more than its name.
func (c *checker) checkSpan(p *page, s part, known scope) {
	if c.commands.tool(s.text) && strings.Contains(strings.TrimSpace(s.text), " ") {
		c.checkShell(p, s, known, true)
	}
}

// checkShell checks what a reader would paste. In a sentence a command may be named only, or be
// shortened with an ellipsis.
func (c *checker) checkShell(p *page, code part, known scope, inline bool) {
	typed := typed(code)
	for _, found := range placeholder.FindAllStringIndex(typed, -1) {
		c.report(p, code.line+strings.Count(typed[:found[0]], "\n"),
			"%s is no word for a shell: use a variable that a block before has set, or an example", typed[found[0]:found[1]])
	}
	file, err := script(code)
	if err != nil {
		line, text := code.line, err.Error()
		var at syntax.ParseError
		if errors.As(err, &at) {
			line, text = code.line+int(at.Pos.Line())-1, at.Text
		}
		c.report(p, line, "the shell does not parse this: %s", text)
		return
	}
	c.checkVariables(p, code, file, known)
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			c.checkCall(p, code.line+int(call.Pos().Line())-1, invocation{words: words(call.Args), inline: inline}, known)
		}
		return true
	})
}

// script parses what a reader would paste. A placeholder counts as a word, so that it hides no other finding.
func script(code part) (*syntax.File, error) {
	source := placeholder.ReplaceAllStringFunc(typed(code), func(s string) string { return strings.Repeat("x", len(s)) })
	return syntax.NewParser().Parse(strings.NewReader(source), "")
}

// typed is what a reader types: of a dialogue the lines after "$ ", and those after "> " that go on.
func typed(code part) string {
	if code.language != "console" {
		return code.text
	}
	lines := strings.Split(code.text, "\n")
	typing := false
	for i, line := range lines {
		command, first := strings.CutPrefix(line, "$ ")
		more, second := strings.CutPrefix(line, "> ")
		switch {
		case first:
			lines[i], typing = command, true
		case typing && second:
			lines[i] = more
		default:
			lines[i], typing = "", false
		}
	}
	return strings.Join(lines, "\n")
}

// expansion stands in a word for what only a shell could know.
const expansion = "\x00"

// words are the arguments of a call, without quotes.
func words(args []*syntax.Word) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = literal(arg.Parts)
	}
	return out
}

func literal(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(unescape.Replace(part.Value))
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			b.WriteString(literal(part.Parts))
		default:
			b.WriteString(expansion)
		}
	}
	return b.String()
}

var unescape = strings.NewReplacer("\\\n", "", `\"`, `"`, `\\`, `\`)
